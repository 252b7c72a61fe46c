//! A saved plan, read again and compared with the present one.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::json::{FORMAT_VERSION, SavedChange, SavedPlan, SavedPlans};
use crate::diagnostic::Sources;
use crate::escape::escape;
use crate::plan::Plan;

/// Why a file is no saved plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("this is not JSON ({0}); a plan is written by `rosterd --plan --format json`")]
    NotJson(String),
    #[error(
        "this JSON is not a plan: it has no `format_version`; write one with `rosterd --plan \
             --format json`"
    )]
    NoVersion,
    #[error(
        "the plan has format_version {0}, and this rosterd reads {FORMAT_VERSION}; make the \
             plan again"
    )]
    OtherVersion(String),
    #[error("the plan is damaged: {0}; make it again")]
    Damaged(String),
}

/// One difference between a saved plan and the present one. Every text in it is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The roster's files have changed since.
    Roster { saved: String, now: String },
    /// The saved plan has it, and nothing asks for it any more.
    Gone(String),
    /// It has come up since.
    New(String),
}

/// Reads what [`super::json::write`] wrote. Unknown fields are ignored, so that a later rosterd may
/// add some.
pub fn read(text: &str) -> Result<SavedPlans, ReadError> {
    let told = |error: serde_json::Error| escape(&error.to_string()).into_owned();
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| ReadError::NotJson(told(error)))?;
    match value.get("format_version") {
        None => return Err(ReadError::NoVersion),
        Some(version) if *version != FORMAT_VERSION => {
            return Err(ReadError::OtherVersion(escape(&version.to_string()).into_owned()));
        }
        Some(_) => {}
    }
    // Read from the text once more, so that an error knows its line.
    serde_json::from_str(text).map_err(|error| ReadError::Damaged(told(error)))
}

/// Why a saved plan is refused, for people: the differences, up to a few of them.
pub fn stale(differences: &[Difference]) -> String {
    const SHOWN: usize = 20;
    let mut text = String::from("the plan is stale, and nothing was changed:\n");
    for difference in differences.iter().take(SHOWN) {
        let _ = writeln!(text, "  {difference}");
    }
    if differences.len() > SHOWN {
        let _ = writeln!(text, "  … {} more differences", differences.len() - SHOWN);
    }
    text + "hint: look at a new plan and save that: rosterd --plan --format json --out …"
}

impl SavedPlan {
    /// What is different in `plan`: the roster, and each change that only one of them has. A
    /// change is what it does to whom: kind, address, uid, role before and after.
    pub fn differences(&self, plan: &Plan) -> Vec<Difference> {
        let mut differences = Vec::new();
        let now = plan.roster().hex();
        if self.roster.digest != now {
            let saved = escape(&self.roster.digest).into_owned();
            differences.push(Difference::Roster { saved, now });
        }
        let nowhere = Sources::default();
        let present: Vec<SavedChange> =
            plan.changes().iter().map(|change| SavedChange::of(change, None, &nowhere)).collect();
        let mut times: BTreeMap<Key, (isize, &SavedChange)> = BTreeMap::new();
        for (changes, step) in [(&self.changes, -1), (&present, 1)] {
            for change in changes {
                times.entry(change.key()).or_insert((0, change)).0 += step;
            }
        }
        differences.extend(times.into_values().filter_map(|(times, change)| match times {
            0 => None,
            ..0 => Some(Difference::Gone(change.description())),
            _ => Some(Difference::New(change.description())),
        }));
        differences
    }
}

/// Address first, so that what became of one person stands together.
type Key = (String, String, Option<String>, Option<String>, Option<String>);

impl SavedChange {
    fn key(&self) -> Key {
        let Self { kind, email, uid, from, to, .. } = self;
        (email.to_ascii_lowercase(), kind.clone(), uid.clone(), from.clone(), to.clone())
    }

    /// `update_role jonny@acme.io ADMIN → BUSINESS`, escaped.
    fn description(&self) -> String {
        let role = match (&self.from, &self.to) {
            (Some(from), Some(to)) => format!("{} → {}", escape(from), escape(to)),
            (from, to) => escape(from.as_deref().or(to.as_deref()).unwrap_or_default()).into(),
        };
        let uid = self.uid.as_deref().map(|uid| format!(" (uid {})", escape(uid)));
        let (kind, email) = (escape(&self.kind), escape(&self.email));
        format!("{kind} {email} {role}{}", uid.unwrap_or_default())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |digest: &str| digest.chars().take(8).collect::<String>();
        match self {
            Self::Roster { saved, now } => {
                write!(f, "the roster is another one: {} then, {} now", short(saved), short(now))
            }
            Self::Gone(change) => write!(f, "no longer wanted: {change}"),
            Self::New(change) => write!(f, "new since then:   {change}"),
        }
    }
}
