//! Plans beside the table: addresses of one person, pending findings, approvals.

use rosterd::action::{Action, BudgetName};
use rosterd::directory::InviteStatus;
use rosterd::email::Email;
use rosterd::guard;
use rosterd::memory::Memory;
use rosterd::memory::entry::{AttemptStatus, Entry, Key, OutcomeEntry};
use rosterd::plan::{FindingKind, approvals};
use rosterd::role::Role;
use rosterd::roster::ApprovalState;

use crate::support::world::{World, dates, disable, email, hours, intent, note, now, plan_rows};

/// A member with a new address, whose account still has the old one.
fn moved() -> World {
    World::default()
        .member_with("matt", Role::Admin, |member| member.aliases = [email("old")].into())
        .account("old", Role::Developer)
}

#[test]
fn a_change_has_every_address_of_the_person_once() {
    let aliases = |world: &World| -> Vec<String> {
        let plan = world.plan();
        plan.changes()[0].addresses().skip(1).map(Email::to_string).collect()
    };
    assert_eq!(aliases(&moved()), ["old@acme.io"]);
    let third = |member: &mut rosterd::roster::Member| {
        member.aliases = [email("old"), email("older")].into();
    };
    let world = moved().member_with("matt", Role::Admin, third);
    assert_eq!(aliases(&world), ["old@acme.io", "older@acme.io"]);
    let same = World::default().member("matt", Role::Admin).account("matt", Role::Developer);
    assert_eq!(aliases(&same), [""; 0]);
}

#[test]
fn a_pending_invitation_takes_precedence_then_one_to_the_members_email() {
    let alias = |member: &mut rosterd::roster::Member| member.aliases = [email("old")].into();
    let kinds = |invitations: [(&str, &str); 2]| {
        let world = World::default().member_with("matt", Role::Developer, alias);
        let world = invitations.into_iter().fold(world, |world, (name, status)| {
            // The role identifies the invitation.
            let role = if name == "matt" { Role::Admin } else { Role::Analyst };
            world.invitation(name, role, InviteStatus::from_api(status))
        });
        plan_rows(&world.plan())
    };
    let own = ["InvitedWithOtherRole matt@acme.io ADMIN"];
    let old = ["InvitedWithOtherRole old@acme.io ANALYST"];
    for (matt, alias, expected) in
        [("SENT", "SENT", own), ("SENT", "EXPIRED", own), ("EXPIRED", "SENT", old)]
    {
        assert_eq!(kinds([("matt", matt), ("old", alias)]), expected, "{matt} {alias}");
        assert_eq!(kinds([("old", alias), ("matt", matt)]), expected, "{alias} {matt}");
    }
}

#[test]
fn a_plan_without_a_ledger_has_no_next_instant() {
    let expired = InviteStatus::Expired;
    let world = World::converged().member("zoe", Role::Developer).invitation(
        "zoe",
        Role::Developer,
        expired,
    );
    let without = World { memory: Memory::empty(), ..world.clone() }.plan();
    assert_eq!((without.has_history, without.next), (false, None));
    assert_eq!(plan_rows(&without), ["InvitationExpired zoe@acme.io DEVELOPER"]);
    let with = World { memory: Memory::of_ledger(), ..world }.plan();
    assert_eq!((with.has_history, with.next), (true, Some(hours(24))));
}

#[test]
fn a_propagating_finding_shows_whether_the_api_confirmed_the_change() {
    let propagating = |world: World, action: Action, name: &str, status: Option<AttemptStatus>| {
        let world = world.seen(-2).remember(0, [intent(name, action)]);
        let of = world.memory.through();
        let closing =
            status.map(|status| Entry::Outcome(OutcomeEntry { of, status, detail: None }));
        let plan = world.remember(0, closing).plan();
        let kinds = plan.findings().iter().map(|finding| finding.kind.clone());
        let kinds: Vec<FindingKind> = kinds.collect();
        assert!(plan.changes().is_empty(), "{status:?}");
        kinds
    };
    for (status, answered) in
        [(Some(AttemptStatus::Done), true), (Some(AttemptStatus::Unknown), false), (None, false)]
    {
        let expected = [FindingKind::Propagating { answered }];
        let removed = World::converged().account("zoe", Role::Developer);
        assert_eq!(propagating(removed, disable("zoe"), "zoe", status), expected, "{status:?}");
        let added = World::converged().member("zoe", Role::Developer);
        let invite = Action::Invite { role: Role::Developer };
        assert_eq!(propagating(added, invite, "zoe", status), expected, "{status:?}");
    }
    // The attempts of another user do not matter.
    let two = World::converged().member("zoe", Role::Developer).member("yan", Role::Developer);
    let invite = || Action::Invite { role: Role::Developer };
    let two = two.remember(0, [intent("yan", invite())]);
    let of = two.memory.through();
    let two = two.remember(
        0,
        [Entry::Outcome(OutcomeEntry { of, status: AttemptStatus::Done, detail: None })],
    );
    let plan = two.remember(0, [intent("zoe", invite())]).plan();
    let of = |name: &str| {
        let mut found = plan.findings().iter();
        found.find(|it| it.email == email(name)).map(|finding| finding.kind.clone())
    };
    assert_eq!(of("yan"), Some(FindingKind::Propagating { answered: true }));
    assert_eq!(of("zoe"), Some(FindingKind::Propagating { answered: false }));
}

#[test]
fn an_invitation_recorded_in_the_future_is_not_propagating() {
    let invite = Action::Invite { role: Role::Developer };
    let world = World::converged().member("zoe", Role::Developer);
    let world = world.seen(-2).remember(240, [intent("zoe", invite)]);
    let of = world.memory.through();
    let world = world.remember(
        240,
        [Entry::Outcome(OutcomeEntry { of, status: AttemptStatus::Done, detail: None })],
    );
    assert_eq!(plan_rows(&world.plan()), ["InvitationMissing zoe@acme.io DEVELOPER"]);
}

#[test]
fn an_approval_that_releases_nothing_is_a_finding() {
    let budget = BudgetName::Disable;
    let world = World::converged().account("zoe", Role::Developer).limits(|limits| {
        let limit = limits.budgets.get_mut(&budget).unwrap();
        (limit.percent, limit.floor) = (0, 0);
    });
    let found = |world: &World| -> Vec<(FindingKind, String)> {
        let plan = world.clone().bound().plan();
        plan.findings().iter().map(|it| (it.kind.clone(), it.email.to_string())).collect()
    };
    let approved = world.approve(budget, &["zoe", "matt"]);
    let inert = FindingKind::ApprovalInert { budget };
    assert_eq!(found(&approved), [(inert, "matt@acme.io".to_owned())]);
    for why in [
        ApprovalState::NotCommitted,
        ApprovalState::NoWorkTree,
        ApprovalState::Untrusted,
        ApprovalState::NoReason,
    ] {
        let mut world = approved.clone();
        world.approvals.pop();
        world.approvals[0].state = why;
        let kind = FindingKind::ApprovalNotCounted { budget, why };
        assert_eq!(found(&world), [(kind, "zoe@acme.io".to_owned())]);
        assert_eq!(world.verdict().held.len(), 1, "{why:?}");
    }
}

#[test]
fn the_clock_is_trusted_unless_the_server_time_differs() {
    let mut world = World::converged();
    assert!(guard::clock_is_trusted(&world.plan()));
    world.server_time = Some(hours(1));
    assert!(!guard::clock_is_trusted(&world.plan()));
}

/// The warning about an approval, as code and reason, if there is one.
fn warning(world: &World, budget: BudgetName, name: &str) -> Option<String> {
    let world = world.clone().approve(budget, &[name]);
    let mut found = approvals::problems(&world.roster(), &world.memory, now());
    assert!(found.len() <= 1, "{found:?}");
    let problem = found.pop()?;
    let reason = problem.message.split_once("has no effect: ").map_or("", |(_, reason)| reason);
    Some(format!("{} {reason}", problem.code))
}

#[test]
fn a_warning_says_why_an_approval_has_no_effect() {
    let without = World { memory: Memory::empty(), ..World::converged() };
    let without = without.unmanaged("*@ops.acme.io").account("zoe", Role::Developer).member_with(
        "past",
        Role::Developer,
        dates(None, Some(0)),
    );
    let known = World { memory: Memory::of_ledger(), ..without.clone() };
    let held = known.clone().remember(
        -1,
        [
            Entry::Held { change: key(disable("zoe"), "zoe"), by: vec![] },
            Entry::Held { change: key(Action::Invite { role: Role::Admin }, "max"), by: vec![] },
        ],
    );
    let (disable, invite) = (BudgetName::Disable, BudgetName::Invite);
    let (grant, demote) = (BudgetName::GrantAdmin, BudgetName::Demote);
    let unmanaged = Some("approval-idle the address is unmanaged");
    let member = Some("approval-idle the address is a member");
    let not_member = Some("approval-idle the address is not a member");
    let not_held = Some("approval-idle the last run held no such change");
    for (world, budget, name, expected) in [
        (&known, disable, "bot@ops.acme.io", unmanaged),
        (&known, disable, "matt", member),
        (&known, invite, "zoe", not_member),
        (&known, grant, "zoe", not_member),
        (&known, demote, "past", not_member),
        (&without, disable, "past", None),
        (&without, disable, "zoe", None),
        (&without, invite, "max", None),
        (&known, disable, "past", not_held),
        (&known, invite, "max", not_held),
        (&held, disable, "zoe", None),
        (&held, disable, "past", not_held),
        (&held, invite, "max", None),
        (&held, demote, "max", not_held),
        (&held, invite, "matt", not_held),
    ] {
        assert_eq!(warning(world, budget, name).as_deref(), expected, "{budget:?} {name}");
    }
    let entry = Entry::ApprovalUsed { budget: disable, email: email("zoe") };
    let used = held.remember(0, [entry]);
    assert_eq!(warning(&used, disable, "zoe").as_deref(), Some("approval-used "));
}

fn key(action: Action, name: &str) -> Key {
    Key { action, email: email(name) }
}

#[test]
fn a_required_admin_without_an_account_is_noted() {
    let alias = |member: &mut rosterd::roster::Member| member.aliases = [email("alex")].into();
    let world = World::converged()
        .member("zoe", Role::Admin)
        .member_with("alexandra", Role::Admin, alias)
        .account("support", Role::Admin)
        .unmanaged("support@*");
    let required = ["alexandra", "alex", "support", "zoe", "yan"].map(email);
    let (roster, snapshot) = (world.roster(), world.snapshot());
    let plan = world.plan().with_required_admins(&required, &roster, &snapshot);
    let noted: Vec<String> = plan.findings().iter().map(note).collect();
    assert_eq!(noted, ["alex", "yan", "zoe"].map(|it| format!("RequiredAdminIdle {it}@acme.io ")));
}
