//! A saved plan: what is read of any file, and that what is written is read back.
//!
//! An input is the text of a file; or, after the line [`LISTING`], the answer to a reading, with a
//! roster before it: then it is planned, written and read.

use rosterd::client::answer::{ErrorContext, Response};
use rosterd::client::{Credentials, interpret};
use rosterd::diagnostic::Sources;
use rosterd::directory::Snapshot;
use rosterd::guard::{Limits, Override, evaluate};
use rosterd::memory::Memory;
use rosterd::plan::{OnRemoved, Plan, plan};
use rosterd::render::{View, github, json, markdown, saved, text, unified};

use super::{now, roster, told};

const LISTING: &str = "\n#listing\n";
/// In characters; an error repeats little of the file.
const LONGEST: usize = 300 * 9 + 300;

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.split_once(LISTING) {
        Some((roster, listing)) => is_read_back(roster, listing),
        None => is_read(text),
    }
}

/// A file of any kind is a plan that is as it was written, or an error in harmless words.
fn is_read(text: &str) {
    let plans = match saved::read(text) {
        Ok(plans) => plans,
        Err(error) => {
            let said = error.to_string();
            told::is_harmless(&said);
            return assert!(!said.contains('\n') && said.chars().count() <= LONGEST, "{said}");
        }
    };
    assert_eq!(plans.format_version, json::FORMAT_VERSION);
    let written = serde_json::to_string(&plans).expect("JSON");
    assert_eq!(saved::read(&written).as_ref(), Ok(&plans));
    let (roster, listing) = ("version: 1\nusers: []\n", nobody());
    let nothing = made(roster, &listing).expect("a plan").1;
    for saved in &plans.workspaces {
        assert!(plans.workspace(&saved.workspace).is_some());
        let differences = saved.differences(&nothing);
        let same_roster = saved.roster.digest == nothing.roster().hex();
        assert!(!differences.is_empty() || same_roster, "another roster is a difference");
        told::is_harmless(&saved::stale(&differences));
    }
}

/// A plan, written and read, is the plan; and no format of it holds a hostile character.
fn is_read_back(roster: &str, listing: &str) {
    let Some(snapshot) = reading(listing) else { return };
    let Some((world, plan)) = made(roster, &snapshot) else { return };
    let memory = Memory::empty();
    let verdict = evaluate(&plan, &Limits::default(), &memory, Override::None);
    let (sources, roster) = &world;
    let (plan, snapshot, verdict) = (&plan, &snapshot, &verdict);
    let view = View { workspace: "acme", sources, roster, snapshot, plan, verdict, revision: None };
    let written = json::write(&[view]);
    let read = saved::read(&written).expect("what is written is read");
    assert_eq!(read.workspaces.len(), 1);
    let saved = read.workspace("acme").expect("the one workspace");
    assert_eq!(saved.differences(plan), []);
    assert_eq!(
        (&saved.fingerprint, saved.changes.len()),
        (&plan.fingerprint().hex(), plan.changes().len())
    );
    assert_eq!(
        saved.changes.iter().filter(|it| !it.held_by.is_empty()).count(),
        verdict.held.len()
    );
    for (saved, change) in saved.changes.iter().zip(plan.changes()) {
        assert_eq!((&*saved.email, &*saved.kind), (change.email.as_str(), change.kind()));
    }
    told::is_harmless(&written);
    for shown in [unified::diff(&view), markdown::plan(&view), github::plan(&view)] {
        told::is_harmless(&shown);
    }
    let _ = text::plan(&view, true);
}

type Desired = (Sources, rosterd::roster::Roster);

fn made(text: &str, snapshot: &Snapshot) -> Option<(Desired, Plan)> {
    let mut sources = Sources::default();
    sources.add("users.yaml", text);
    let roster = roster::validate(&sources).0?;
    let plan = plan(&roster, snapshot, &Memory::empty(), OnRemoved::Disable, now());
    Some(((sources, roster), plan))
}

fn reading(body: &str) -> Option<Snapshot> {
    let response = Response { status: 200, body: body.into(), ..Response::default() };
    let credentials = Credentials::Token("prdm_wsp_of-a-test".into());
    interpret::listing(&response, &ErrorContext::new("https://api.acme.io/", &credentials)).ok()
}

fn nobody() -> Snapshot {
    Snapshot::new(Vec::new(), Vec::new(), None).expect("nobody can be listed")
}
