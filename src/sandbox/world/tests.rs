use super::*;
use AccountType::{Admin, Analyst, Business, Developer};

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn acme() -> World {
    World::seeded(&["acme".to_owned()], 0, 1, now())
}

#[test]
fn an_invitation_is_sent_once_and_again_only_when_it_has_expired() {
    let mut world = acme();
    assert_eq!(world.invite("acme", "alice@acme.io", Developer, now()), Ok(()));
    let again = world.invite("acme", " ALICE@acme.io ", Business, now());
    assert_eq!(again, Err(Refusal::AlreadyInvited));
    let later = now() + INVITATION_LASTS;
    assert_eq!(world.accept("acme", "alice@acme.io", later), Err(Refusal::UnknownEmail));
    assert_eq!(world.invite("acme", "alice@acme.io", Analyst, later), Ok(()));
    assert_eq!(world.accept("acme", "alice@acme.io", later), Ok(()));
    let taken = world.invite("acme", "alice@acme.io", Analyst, later);
    assert_eq!(taken, Err(Refusal::AlreadyActive));
    assert_eq!(world.by_email("acme", "alice@acme.io").unwrap().account_type, Analyst);
}

#[test]
fn a_disabled_user_is_gone_and_not_forgotten() {
    let mut world = acme();
    let uid = DOCUMENTED[2].0;
    assert_eq!(world.disable("acme", uid), Ok(()));
    assert_eq!(world.disable("acme", uid), Err(Refusal::UnknownUid));
    assert_eq!(world.set_account_type("acme", uid, Admin), Err(Refusal::UnknownUid));
    assert_eq!(world.workspaces[0].active().count(), 2);
    let invited = world.invite("acme", "matt@acme.io", Developer, now());
    assert_eq!(invited, Err(Refusal::Disabled));
    world.by_email("acme", "matt@acme.io").unwrap().disabled = false;
    assert_eq!(world.set_account_type("acme", uid, Admin), Ok(()));
}

#[test]
fn what_is_no_address_is_not_invited() {
    for email in ["", "alice", "@acme.io", "a b@acme.io", "alice@acme", "a@b@acme.io"] {
        let invited = acme().invite("acme", email, Developer, now());
        assert_eq!(invited, Err(Refusal::BadEmail), "{email:?}");
    }
}

#[test]
fn the_same_seed_makes_the_same_world_and_every_uid_is_one_of_its_kind() {
    let names = ["acme".to_owned(), "other".to_owned()];
    let world = World::seeded(&names, 50, 7, now());
    assert_eq!(world, World::seeded(&names, 50, 7, now()));
    assert_ne!(world, World::seeded(&names, 50, 8, now()));
    let uids = world.workspaces.iter().flat_map(|it| &it.accounts).map(|it| &it.uid);
    let uids: std::collections::HashSet<_> = uids.collect();
    assert_eq!(uids.len(), 2 * 53);
    assert!(uids.iter().all(|uid| uid.len() == 64));
}

#[test]
fn workspaces_are_apart() {
    let mut world = World::seeded(&["acme".to_owned(), "other".to_owned()], 0, 1, now());
    assert_eq!(world.disable("other", DOCUMENTED[0].0), Err(Refusal::UnknownUid));
    assert_eq!(world.invite("nowhere", "a@acme.io", Admin, now()), Err(Refusal::NoWorkspace));
    world.remove("other", "jonny@acme.io").unwrap();
    assert!(world.by_email("acme", "jonny@acme.io").is_ok());
}
