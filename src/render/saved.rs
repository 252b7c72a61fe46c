//! Reads a saved plan and compares it with the current one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::json::{FORMAT_VERSION, SavedChange, SavedPlan, SavedPlans};
use crate::diagnostic::Sources;
use crate::escape::escape;
use crate::plan::Plan;

/// Why a file is not a valid saved plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("not JSON ({0}); write a plan with `rosterd --plan --format json`")]
    NotJson(String),
    #[error(
        "not a plan: `format_version` is missing; write a plan with `rosterd --plan --format json`"
    )]
    NoVersion,
    #[error(
        "unsupported format_version {0}, expected {FORMAT_VERSION}; write the plan again with this \
         version of rosterd"
    )]
    OtherVersion(String),
    #[error("invalid plan: {0}; write it again")]
    Invalid(String),
}

/// Reads the output of [`super::json::write`]. Ignores unknown fields, which a later version may
/// add.
pub fn read(text: &str) -> Result<SavedPlans, ReadError> {
    let escaped = |error: serde_json::Error| escape(&error.to_string()).into_owned();
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| ReadError::NotJson(escaped(error)))?;
    match value.get("format_version") {
        None => return Err(ReadError::NoVersion),
        Some(version) if *version != FORMAT_VERSION => {
            return Err(ReadError::OtherVersion(escape(&version.to_string()).into_owned()));
        }
        Some(_) => {}
    }
    // Parsed from the text again, so that an error has a line number.
    serde_json::from_str(text).map_err(|error| ReadError::Invalid(escaped(error)))
}

/// The message for a stale plan, with up to 20 differences.
pub fn stale(differences: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut text = String::from("the plan is stale; nothing was changed:\n");
    for difference in differences.iter().take(SHOWN) {
        let _ = writeln!(text, "  {difference}");
    }
    if differences.len() > SHOWN {
        let _ = writeln!(text, "  … {} more differences", differences.len() - SHOWN);
    }
    text + "hint: review and save a new plan: rosterd --plan --format json --out …"
}

impl SavedPlan {
    /// The differences to `plan`, escaped: the roster, and each change that only one plan has.
    /// Changes are compared by kind, address, uid, and the role before and after.
    pub fn differences(&self, plan: &Plan) -> Vec<String> {
        let mut differences = Vec::new();
        let now = plan.roster.hex();
        if self.roster.digest != now {
            let short = |digest: &str| escape(digest).chars().take(8).collect::<String>();
            let (saved, now) = (short(&self.roster.digest), short(&now));
            differences.push(format!("roster changed: {saved} saved, {now} now"));
        }
        let no_sources = Sources::default();
        let changes = plan.changes().iter();
        let current: Vec<SavedChange> =
            changes.map(|change| SavedChange::of(change, None, &no_sources)).collect();
        let mut balance: BTreeMap<Key, (isize, &SavedChange)> = BTreeMap::new();
        for (changes, step) in [(&self.changes, -1), (&current, 1)] {
            for change in changes {
                balance.entry(change.key()).or_insert((0, change)).0 += step;
            }
        }
        differences.extend(balance.into_values().filter_map(|(balance, change)| match balance {
            0 => None,
            ..0 => Some(format!("removed: {}", change.description())),
            _ => Some(format!("added:   {}", change.description())),
        }));
        differences
    }
}

/// The address is first, to sort the changes of one user together.
type Key = (String, String, Option<String>, Option<String>, Option<String>);

impl SavedChange {
    fn key(&self) -> Key {
        let Self { kind, email, uid, from, to, .. } = self;
        (email.to_ascii_lowercase(), kind.clone(), uid.clone(), from.clone(), to.clone())
    }

    /// `update_role jonny@acme.io ADMIN → BUSINESS`, escaped.
    fn description(&self) -> String {
        let role = super::role_change(self.from.as_deref(), self.to.as_deref());
        let uid = self.uid.as_deref().map(|uid| format!(" (uid {})", escape(uid)));
        let (kind, email, role) = (escape(&self.kind), escape(&self.email), escape(&role));
        format!("{kind} {email} {role}{}", uid.unwrap_or_default())
    }
}
