//! Saved plans: any file is read or rejected, and a plan that is written is read back.
//!
//! An input is the text of a plan file; or, separated by the line [`LISTING`], a roster and the
//! response to a listing, which are planned, written and read.

use rosterd::client::answer::{ErrorContext, Response};
use rosterd::client::{Credentials, interpret};
use rosterd::diagnostic::Sources;
use rosterd::directory::Snapshot;
use rosterd::guard::{Limits, Override, evaluate};
use rosterd::memory::Memory;
use rosterd::plan::{Plan, Rules, plan};
use rosterd::render::approve::ApproveBy;
use rosterd::render::{View, github, json, markdown, saved, text, unified};

use super::{now, output, roster};

const LISTING: &str = "\n#listing\n";
/// Maximum length of an error in characters; it quotes little of the file.
const MAX_ERROR: usize = 300 * 9 + 300;

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.split_once(LISTING) {
        Some((roster, listing)) => check_round_trip(roster, listing),
        None => check_file(text),
    }
}

/// Any file is a plan that survives a round trip, or a harmless error.
fn check_file(text: &str) {
    let plans = match saved::read(text) {
        Ok(plans) => plans,
        Err(error) => {
            let message = error.to_string();
            output::is_harmless(&message);
            return assert!(
                !message.contains('\n') && message.chars().count() <= MAX_ERROR,
                "{message}"
            );
        }
    };
    assert_eq!(plans.format_version, json::FORMAT_VERSION);
    let written = serde_json::to_string(&plans).expect("JSON");
    assert_eq!(saved::read(&written).as_ref(), Ok(&plans));
    let (roster, listing) = ("version: 1\nusers: []\n", empty_listing());
    let empty = plan_for(roster, &listing).expect("a plan").1;
    for saved in &plans.workspaces {
        assert!(plans.workspace(&saved.workspace).is_some());
        let differences = saved.differences(&empty);
        let same_roster = saved.roster.digest == empty.roster.hex();
        assert!(!differences.is_empty() || same_roster, "another roster is a difference");
        output::is_harmless(&saved::stale(&differences));
    }
}

/// A plan survives a round trip, and no format of it contains a hostile character.
fn check_round_trip(roster: &str, listing: &str) {
    let Some(snapshot) = parse_listing(listing) else { return };
    let Some((desired, plan)) = plan_for(roster, &snapshot) else { return };
    let memory = Memory::empty();
    let verdict = evaluate(&plan, &Limits::default(), &memory, &Override::None);
    let (sources, roster) = &desired;
    let (plan, snapshot, verdict) = (&plan, &snapshot, &verdict);
    let view = View {
        workspace: "acme",
        sources,
        roster,
        snapshot,
        plan,
        verdict,
        revision: None,
        approve_by: ApproveBy::Commit,
    };
    let written = json::write(&[view]);
    let read = saved::read(&written).expect("a written plan is valid");
    assert_eq!(read.workspaces.len(), 1);
    let saved = read.workspace("acme").expect("the one workspace");
    assert_eq!(saved.differences(plan), [""; 0]);
    assert_eq!(
        (&saved.fingerprint, saved.changes.len()),
        (&plan.fingerprint.hex(), plan.changes().len())
    );
    assert_eq!(
        saved.changes.iter().filter(|it| !it.held_by.is_empty()).count(),
        verdict.held.len()
    );
    for (saved, change) in saved.changes.iter().zip(plan.changes()) {
        assert_eq!((&*saved.email, &*saved.kind), (change.email.as_str(), change.action.kind()));
    }
    output::is_harmless(&written);
    for shown in [unified::diff(&view), markdown::plan(&view), github::plan(&view)] {
        output::is_harmless(&shown);
    }
    let _ = text::plan(&view, rosterd::render::table::Screen { width: Some(80), all: true });
}

type Desired = (Sources, rosterd::roster::Roster);

fn plan_for(text: &str, snapshot: &Snapshot) -> Option<(Desired, Plan)> {
    let mut sources = Sources::default();
    sources.add("users.yaml", text);
    let roster = roster::validate(&sources).0?;
    let plan = plan(&roster, snapshot, &Memory::empty(), Rules::default(), now());
    Some(((sources, roster), plan))
}

fn parse_listing(body: &str) -> Option<Snapshot> {
    let response = Response { status: 200, body: body.into(), ..Response::default() };
    let credentials = Credentials::Token("prdm_wsp_of-a-test".into());
    interpret::listing(&response, &ErrorContext::new("https://api.acme.io/", &credentials)).ok()
}

fn empty_listing() -> Snapshot {
    Snapshot::new(Vec::new(), Vec::new(), None).expect("an empty listing is valid")
}
