//! Addresses that look like a member's, and are others.

use proptest::prelude::*;
use rosterd::action::BudgetName;
use rosterd::directory::InviteStatus;
use rosterd::email::Email;
use rosterd::guard::Verdict;
use rosterd::plan::OnRemoved;
use rosterd::plan::change::Class;
use rosterd::role::Role;

use crate::support::world::{World, dates, email, hours, note};

/// Spellings of `zoe@acme.io` that a person reads as that address.
const SPELLINGS: [&str; 19] = [
    "zoe@acme.io\u{a0}",
    "zoe@acme.io\u{200b}",
    "\u{feff}zoe@acme.io",
    "zo\u{ad}e@acme.io",
    "zoe@\u{2060}acme.io",
    "zoe\u{2800}@acme.io",
    "zoe@acme.io \u{3000}",
    "zoe@acme.io\u{7}",
    "ZOE@ACME.IO\u{a0}",
    "zoe@acme.io.",
    "Zoe@Acme.io.\u{202f}",
    // Cyrillic small o, e, a, c, i; capital O and E.
    "z\u{43e}e@acme.io",
    "zo\u{435}@acme.io",
    "zoe@\u{430}cme.io",
    "zoe@a\u{441}me.io",
    "zoe@acme.\u{456}o",
    "z\u{41e}\u{415}@acme.io",
    // Greek omicron and capital Iota, a full-width z.
    "zoe@acme.\u{399}\u{3bf}",
    "\u{ff5a}oe@acme.io",
];

/// Addresses that look otherwise.
const OTHERS: [&str; 5] = [
    "zo\u{eb}@acme.io",
    "zoe@acme.io.uk\u{a0}",
    "zo@acme.io\u{200b}",
    "zoe@acne.io.",
    "\u{5c71}@acme.io",
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Zoe {
    Removed,
    Expired,
    Future,
    Present,
    /// Has an account under her own address.
    Active,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    Account,
    Pending,
    Expired,
}

fn world(zoe: Zoe, spelled: &str, shown: Shown, mode: OnRemoved) -> World {
    let world = World { on_removed: mode, ..World::converged() };
    let world = match zoe {
        Zoe::Removed => world,
        Zoe::Expired => world.member_with("zoe", Role::Developer, dates(None, Some(0))),
        Zoe::Future => world.member_with("zoe", Role::Developer, dates(Some(1), None)),
        Zoe::Present => world.member("zoe", Role::Developer),
        Zoe::Active => world.both("zoe", Role::Developer),
    };
    match shown {
        Shown::Account => world.account_as("other", spelled, Role::Developer),
        Shown::Pending => world.invitation(spelled, Role::Developer, InviteStatus::Pending),
        Shown::Expired => world.invitation(spelled, Role::Developer, InviteStatus::Expired),
    }
}

/// The kinds of the approved changes, and of those that `lookalike` holds.
fn decided(verdict: &Verdict) -> (Vec<&str>, Vec<&str>) {
    let approved = verdict.approved.changes().iter().map(|it| it.action.kind()).collect();
    let held = verdict.held.iter().map(|held| {
        let by: Vec<String> = held.by.iter().map(ToString::to_string).collect();
        assert_eq!(by, ["lookalike"]);
        held.change.action.kind()
    });
    (approved, held.collect())
}

#[test]
fn a_lookalike_and_its_member_wait_for_a_person() {
    use {Shown::*, Zoe::*};
    for spelled in SPELLINGS {
        for zoe in [Removed, Zoe::Expired, Future, Present, Active] {
            for shown in [Account, Pending, Shown::Expired] {
                for mode in [OnRemoved::Disable, OnRemoved::Report] {
                    let is_protected = matches!(zoe, Future | Present | Active);
                    let (mut approved, mut held) = (vec![], vec![]);
                    if shown == Account && mode == OnRemoved::Disable {
                        if is_protected { &mut held } else { &mut approved }.push("disable");
                    }
                    if zoe == Present {
                        let waits = shown != Shown::Expired;
                        if waits { &mut held } else { &mut approved }.push("invite");
                    }
                    let world = world(zoe, spelled, shown, mode);
                    let what = format!("{spelled:?} {zoe:?} {shown:?} {mode:?}");
                    assert_eq!(decided(&world.verdict()), (approved, held), "{what}");
                    let noted: Vec<String> = world.plan().findings().iter().map(note).collect();
                    let is_noted = noted.iter().any(|it| it.starts_with("Lookalike "));
                    let has_no_change = shown == Pending || mode == OnRemoved::Report;
                    let expected = is_protected && shown != Shown::Expired && has_no_change;
                    assert_eq!(is_noted, expected, "{what}: {noted:?}");
                }
            }
        }
    }
}

#[test]
fn an_address_that_resembles_no_member_is_disabled_like_any_other() {
    for spelled in OTHERS {
        let verdict = world(Zoe::Present, spelled, Shown::Account, OnRemoved::Disable).verdict();
        assert_eq!(decided(&verdict), (vec!["disable", "invite"], vec![]), "{spelled:?}");
    }
    // An address that a roster may have is another person, whatever it looks like.
    let other = World::converged().member("oie", Role::Developer).account("0ie", Role::Developer);
    assert_eq!(decided(&other.verdict()), (vec!["disable", "invite"], vec![]));
}

#[test]
fn both_rows_name_each_other_and_the_message_shows_every_character() {
    let world = world(Zoe::Present, "z\u{43e}e@acme.io", Shown::Account, OnRemoved::Disable);
    let verdict = world.verdict();
    let names: Vec<_> = verdict.held.iter().map(|it| it.change.lookalikes()).collect();
    assert_eq!(names, ["zoe@acme.io", "z\\u{43e}e@acme.io"]);
    let messages: Vec<&str> = verdict.violations.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "1 of 1 disables, because the address resembles a member's: z\\u{43e}e@acme.io and \
             zoe@acme.io",
            "1 of 1 invitations, because there is an account or an invitation whose address \
             resembles the member's: zoe@acme.io and z\\u{43e}e@acme.io",
        ]
    );
    let nbsp = self::world(Zoe::Present, SPELLINGS[0], Shown::Account, OnRemoved::Disable);
    let block = nbsp.verdict().approvals(None).unwrap();
    assert!(block.contains("- disable: [\"zoe@acme.io\\U000000A0\"]"), "{block}");
    assert!(block.contains("- invite: [zoe@acme.io]"), "{block}");
}

#[test]
fn only_an_approval_that_spells_the_address_releases_it() {
    for spelled in SPELLINGS {
        let world = || world(Zoe::Present, spelled, Shown::Account, OnRemoved::Disable);
        let verdict = |budget, name| world().approve(budget, &[name]).verdict();
        assert_eq!(
            decided(&verdict(BudgetName::Disable, spelled)),
            (vec!["disable"], vec!["invite"])
        );
        assert_eq!(decided(&verdict(BudgetName::Invite, "zoe")), (vec!["invite"], vec!["disable"]));
        for (budget, other) in [(BudgetName::Disable, "zoe"), (BudgetName::Invite, spelled)] {
            assert_eq!(decided(&verdict(budget, other)), (vec![], vec!["disable", "invite"]));
        }
    }
}

#[test]
fn an_account_that_was_the_members_stays_the_members() {
    // Seen under the right address, then edited: the uid decides.
    let before = World::converged().both("zoe", Role::Developer);
    let world = before.seen(-30).account_as("zoe", "zoe@acme.io\u{a0}", Role::Developer);
    assert_eq!(decided(&world.verdict()), (vec![], vec![]));
    let noted: Vec<String> = world.plan().findings().iter().map(note).collect();
    assert_eq!(noted, ["EmailDiffers zoe@acme.io DEVELOPER"]);
}

#[test]
fn a_disable_that_depends_on_the_end_of_a_member_waits_for_a_right_clock() {
    let mut world = world(Zoe::Expired, SPELLINGS[0], Shown::Account, OnRemoved::Disable);
    world.server_time = Some(hours(-2));
    let verdict = world.verdict();
    assert!(verdict.approved.is_empty());
    assert_eq!(verdict.held.len(), 1);
}

fn perturbed() -> impl Strategy<Value = (String, String)> {
    let local = "[a-z][a-z0-9_-]{0,6}(\\.[a-z0-9]{1,5})?";
    let domain = "[a-z]{1,6}\\.(io|com|co\\.uk)";
    let head = "[\u{a0}\u{200b}\u{2800}\u{feff}\u{3000}\u{7}]{0,2}";
    let tail = "\\.?[\u{a0}\u{200b}\u{2800}\u{feff}\u{3000}\u{7}]{0,2}";
    (local, domain, head, tail, any::<u64>()).prop_map(|(local, domain, head, tail, bits)| {
        let member = format!("{local}@{domain}");
        let alike = |c: char| match c {
            'a' => '\u{430}',
            'c' => '\u{441}',
            'e' => '\u{435}',
            'i' => '\u{456}',
            'o' => '\u{3bf}',
            'p' => '\u{440}',
            'x' => '\u{445}',
            'y' => '\u{443}',
            'm' => '\u{41c}',
            't' => '\u{422}',
            other => other,
        };
        let spelled = member.chars().enumerate().map(|(at, c)| match bits >> (at % 32 * 2) & 3 {
            1 => c.to_ascii_uppercase(),
            2 => alike(c),
            _ => c,
        });
        (member.clone(), format!("{head}{}{tail}", spelled.collect::<String>()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_spelling_of_a_member_is_disabled_and_none_is_invited_beside_it(
        (member, spelled) in perturbed(),
        approved: bool,
    ) {
        let mut world = World::converged()
            .member(&member, Role::Developer)
            .account_as("other", &spelled, Role::Developer);
        if approved {
            world = world.approve(BudgetName::Disable, &[&spelled]);
        }
        let verdict = world.verdict();
        let sent = |class| verdict.approved.of(class).count();
        prop_assert_eq!(sent(Class::Invite), 0);
        let is_theirs = email(&member) == Email::remote(&spelled);
        prop_assert_eq!(sent(Class::Disable), usize::from(approved && !is_theirs));
    }
}
