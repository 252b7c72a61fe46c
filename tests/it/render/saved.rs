//! The plan as JSON: its fields, reading it back, and the comparison with a current plan.

use rosterd::directory::{Snapshot, Uid};
use rosterd::email::Email;
use rosterd::guard::Limits;
use rosterd::memory::Memory;
use rosterd::plan::{OnRemoved, Rules, plan};
use rosterd::render::{json, saved};
use rosterd::role::Role;
use rosterd::roster::{Digest, Roster};

use super::{World, account, invitation, member, now, rich};

#[test]
fn json_has_every_field() {
    let world = World::with(
        vec![
            member("alexandra@acme.io", Role::Admin, 3),
            member("jonny@acme.io", Role::Business, 5),
            member("alice@acme.io", Role::Developer, 9),
            member("john@acme.io", Role::Admin, 11),
        ],
        vec![account("alexandra@acme.io", Role::Admin), account("jonny@acme.io", Role::Admin)],
        vec![invitation("john@acme.io", Role::Admin, "SENT")],
        OnRemoved::Disable,
        &Limits { required_admins: vec![Email::remote("jonny@acme.io")], ..Limits::default() },
    );
    insta::assert_snapshot!(json::write(&[world.view()]), @r#"
    {
      "format_version": 2,
      "workspaces": [
        {
          "workspace": "acme",
          "roster": {
            "digest": "d00e1c0cedac2c408ea64030b8134ce250129870ce3d0e5f92929599874b1d34",
            "files": [
              "users.yaml"
            ]
          },
          "fingerprint": "a9626c7be6496d5583baf0af1aaf17118f5fc42e2f7f30b3b548a432a6e10b12",
          "made_at": "2026-11-25T12:00:00Z",
          "changes": [
            {
              "kind": "update_role",
              "class": "demote",
              "email": "jonny@acme.io",
              "uid": "uid-jonny@acme.io",
              "from": "ADMIN",
              "to": "BUSINESS",
              "reason": "role differs from the roster",
              "name": "jonny",
              "place": {
                "file": "users.yaml",
                "line": 5,
                "column": 12
              },
              "held_by": [
                "required-admins"
              ]
            },
            {
              "kind": "invite",
              "class": "invite",
              "email": "alice@acme.io",
              "to": "DEVELOPER",
              "reason": "not in the workspace",
              "place": {
                "file": "users.yaml",
                "line": 9,
                "column": 12
              },
              "held_by": []
            }
          ],
          "findings": [
            {
              "kind": "invited",
              "status": "pending",
              "message": "invited, acceptance pending",
              "email": "john@acme.io",
              "role": "ADMIN",
              "place": {
                "file": "users.yaml",
                "line": 11,
                "column": 12
              }
            }
          ],
          "violations": [
            {
              "guard": "required-admins",
              "message": "1 of 1 required admins would lose ADMIN (guard.required_admins in rosterd.yaml)",
              "hint": "only a change of `guard.required_admins` releases this"
            }
          ],
          "has_ledger": true,
          "summary": {
            "invite": 1,
            "reinvite": 0,
            "role": 0,
            "disable": 0,
            "held": 1,
            "propagating": 0,
            "pending": 1,
            "needs_action": 0,
            "drift": 0,
            "info": 0,
            "in_sync": 1
          }
        }
      ]
    }
    "#);
}

#[test]
fn a_saved_plan_is_read_back_without_a_difference() {
    let world = rich();
    let written = json::write(&[world.view()]);
    let read = saved::read(&written).unwrap();
    let saved = read.workspace("acme").unwrap();
    assert_eq!(saved.differences(&world.plan), [""; 0]);
    assert_eq!(saved.changes.len(), world.plan.changes().len());
    let held = saved.changes.iter().filter(|change| !change.held_by.is_empty()).count();
    assert_eq!(held, world.verdict.held.len());
    assert!(held > 0 && read.workspace("other").is_none());
}

#[test]
fn a_stale_plan_shows_the_differences() {
    let mut world = rich();
    let saved = saved::read(&json::write(&[world.view()])).unwrap().workspaces.remove(0);
    let mut accounts = world.snapshot.accounts().to_vec();
    accounts.retain(|account| account.email.as_str() != "user3@acme.io");
    accounts.push(account("alice@acme.io", Role::Business));
    let jonny = accounts.iter_mut().find(|it| it.email.as_str() == "jonny@acme.io").unwrap();
    jonny.uid = Uid("uid-again".into());
    let members = world.roster.members().to_vec();
    let digest = Digest::of(["something else"]);
    world.roster = Roster::new(members, Vec::new(), Vec::new(), digest).unwrap();
    let snapshot = Snapshot::new(accounts, world.snapshot.invitations().to_vec(), None).unwrap();
    let fresh = plan(&world.roster, &snapshot, &Memory::empty(), Rules::default(), now());
    let differences = saved.differences(&fresh);
    insta::assert_snapshot!(saved::stale(&differences), @"
    the plan is stale; nothing was changed:
      roster changed: d00e1c0c saved, 3464a539 now
      removed: invite alice@acme.io DEVELOPER
      added:   update_role alice@acme.io BUSINESS → DEVELOPER (uid uid-alice@acme.io)
      added:   disable bolt@paradime.io ADMIN (uid uid-bolt@paradime.io)
      added:   update_role jonny@acme.io ADMIN → BUSINESS (uid uid-again)
      removed: update_role jonny@acme.io ADMIN → BUSINESS (uid uid-jonny@acme.io)
      removed: disable user3@acme.io DEVELOPER (uid uid-user3@acme.io)
    hint: review and save a new plan: rosterd --plan --format json --out …
    ");
    let many = vec![differences[0].clone(); 25];
    assert!(saved::stale(&many).contains("  … 5 more differences\n"));
}

#[test]
fn an_invalid_plan_file_is_an_error() {
    let error = |text: &str| saved::read(text).unwrap_err().to_string();
    let version = r#"{"format_version": 1, "workspaces": []}"#;
    let damaged = r#"{"format_version": 2, "workspaces": [{"workspace": 3}]}"#;
    let all = [error("users:\n"), error("{}"), error("[1]"), error(version), error(damaged)];
    insta::assert_snapshot!(all.join("\n"), @"
    not JSON (expected value at line 1 column 1); write a plan with `rosterd --plan --format json`
    not a plan: `format_version` is missing; write a plan with `rosterd --plan --format json`
    not a plan: `format_version` is missing; write a plan with `rosterd --plan --format json`
    unsupported format_version 1, expected 2; write the plan again with this version of rosterd
    invalid plan: invalid type: integer `3`, expected a string at line 1 column 52; write it again
    ");
}

#[test]
fn the_committed_schema_is_the_format() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/plan.schema.json");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(path, json::schema()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert_eq!(committed, json::schema(), "update it with UPDATE_FIXTURES=1");
}
