//! The memory: properties of observing and folding, and behaviour over time.

mod past;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rosterd::action::{Action, BudgetName};
use rosterd::directory::{Account, InviteStatus};
use rosterd::memory::Memory;
use rosterd::memory::entry::{AttemptStatus, Entry, OutcomeEntry, Record};
use rosterd::memory::observe::observe;
use rosterd::plan::{self, FindingKind};
use rosterd::role::Role;

use crate::support::states::{LINES, shown};
use crate::support::world::{World, disable, email, intent, now, uid};

/// Two people in any states, as a reading shows them.
fn world() -> impl Strategy<Value = World> {
    let person = || (0..LINES.len(), 0..shown().len());
    (person(), person()).prop_map(|(matt, max)| {
        let world = World::default().person("matt", LINES[matt.0], shown()[matt.1]);
        world.person("max", LINES[max.0], shown()[max.1])
    })
}

/// So many minutes after the instant of the plans.
fn minutes(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

/// A memory that grows, with everything that was written.
#[derive(Clone, Debug)]
struct LedgerWriter {
    memory: Memory,
    written: Vec<Record>,
}

impl LedgerWriter {
    fn new() -> Self {
        Self { memory: Memory::of_ledger(), written: Vec::new() }
    }

    fn write(&mut self, at: Timestamp, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            let noted = Record { seq: self.memory.through() + 1, at, entry };
            self.memory.fold(&noted);
            self.written.push(noted);
        }
    }

    fn observe(&mut self, world: &World, at: Timestamp) {
        let entries = observe(&self.memory, &world.snapshot(), &world.roster(), at);
        self.write(at, entries);
    }

    fn plan(&self, world: &World, at: Timestamp) -> plan::Plan {
        let (roster, snapshot) = (world.roster(), world.snapshot());
        plan::plan(&roster, &snapshot, &self.memory, world.rules(), at)
    }

    /// Intends everything that is planned, as it would be sent now, and closes it so.
    fn act(&mut self, world: &World, at: Timestamp, status: AttemptStatus) -> Vec<Action> {
        let plan = self.plan(world, at);
        for change in plan.changes() {
            self.write(at, [intent(change.email.as_str(), change.action.clone())]);
            let of = self.memory.through();
            let closing = Entry::Outcome(OutcomeEntry { of, status, detail: None });
            self.write(at, (status != AttemptStatus::Open).then_some(closing));
        }
        plan.changes().iter().map(|change| change.action.clone()).collect()
    }
}

const FATES: [AttemptStatus; 5] = [
    AttemptStatus::Done,
    AttemptStatus::Open,
    AttemptStatus::Unknown,
    AttemptStatus::Rejected,
    AttemptStatus::NotSent,
];

/// A life of readings and deeds.
fn lived(worlds: &[(World, i64, usize)]) -> LedgerWriter {
    let (mut book, mut at) = (LedgerWriter::new(), 0);
    for (world, pause, status) in worlds {
        at += pause;
        book.observe(world, minutes(at));
        book.act(world, minutes(at), FATES[*status]);
    }
    book
}

fn life() -> impl Strategy<Value = Vec<(World, i64, usize)>> {
    prop::collection::vec((world(), 0_i64..2000, 0..FATES.len()), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn observing_the_same_listing_again_adds_nothing(life in life(), world in world()) {
        let mut book = lived(&life);
        let at = minutes(20_000);
        book.observe(&world, at);
        let again = observe(&book.memory, &world.snapshot(), &world.roster(), at);
        prop_assert_eq!(again, Vec::<Entry>::new());
    }

    #[test]
    fn entries_round_trip_through_json(life in life()) {
        let book = lived(&life);
        let mut read = Memory::of_ledger();
        for noted in &book.written {
            let text = serde_json::to_string(&noted.entry).unwrap();
            let entry: Entry = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&entry, &noted.entry);
            read.fold(&Record { entry, ..noted.clone() });
        }
        prop_assert_eq!(&read, &book.memory);
        let text = serde_json::to_string(&read).unwrap();
        prop_assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), read);
    }

    #[test]
    fn the_order_of_a_listing_does_not_matter(life in life(), world in world()) {
        let book = lived(&life);
        let mut other = world.clone();
        other.accounts.reverse();
        other.invitations.reverse();
        let entries = |world: &World| {
            observe(&book.memory, &world.snapshot(), &world.roster(), minutes(20_000))
        };
        prop_assert_eq!(entries(&world), entries(&other));
    }

    /// Whatever the readings show, as long as nobody accepts.
    #[test]
    fn invitations_respect_the_backoff(
        steps in prop::collection::vec((0_u8..5, 1_i64..3000, 0..3_usize), 1..60),
    ) {
        // A former account that we disabled: a listing that lags may show it again.
        let member = World::default().member("matt", Role::Developer);
        let with_account = member.clone().account("matt", Role::Developer);
        let mut book = LedgerWriter::new();
        book.observe(&with_account, minutes(-5000));
        book.write(minutes(-4000), [intent("matt", disable("matt"))]);
        let of = book.memory.through();
        let closing = OutcomeEntry { of, status: AttemptStatus::Done, detail: None };
        book.write(minutes(-4000), [Entry::Outcome(closing)]);
        book.observe(&member, minutes(-3999));
        let (mut at, mut sent) = (0, Vec::new());
        for (shows, pause, status) in steps {
            at += pause;
            let world = match shows {
                0 => with_account.clone(),
                1 => member.clone().invitation("matt", Role::Developer, InviteStatus::Pending),
                2 => member.clone().invitation("matt", Role::Admin, InviteStatus::Expired),
                _ => member.clone(),
            };
            book.observe(&world, minutes(at));
            let actions = book.act(&world, minutes(at), FATES[status]);
            let is_invitation = |action: &&Action| action.class().invites();
            if actions.iter().find(is_invitation).is_some() {
                sent.push(at);
            }
            // A blip is over before it can count as a return.
            book.observe(&member, minutes(at + 1));
            at += 1;
        }
        let waits = [24 * 60, 72 * 60, 168 * 60];
        prop_assert!(sent.len() <= 4, "{sent:?}");
        for (pair, wait) in sent.windows(2).zip(waits) {
            prop_assert!(pair[1] - pair[0] >= wait, "{sent:?}");
        }
    }
}

#[test]
fn acceptance_resets_the_invitation_backoff() {
    let member = World::default().member("matt", Role::Developer);
    let mut book = LedgerWriter::new();
    for day in [0, 1, 4] {
        book.observe(&member, minutes(day * 1440));
        assert_eq!(book.act(&member, minutes(day * 1440), AttemptStatus::Done).len(), 1, "{day}");
    }
    let accepted = member.clone().account("matt", Role::Developer);
    book.observe(&accepted, minutes(5 * 1440));
    assert_eq!(book.memory.sent([&email("matt")]), None);
    let role = |book: &LedgerWriter| book.memory.account(&uid("matt")).unwrap().role.clone();
    assert_eq!(role(&book), Role::Developer);
}

#[test]
fn an_account_is_known_by_its_former_address() {
    let matt = |id: &str, address: &str| Account {
        uid: uid(id),
        email: email(address),
        name: None,
        role: Role::Developer,
    };
    let mut book = LedgerWriter::new();
    let mut world = World::converged().member("matt", Role::Developer);
    for (hours, accounts) in [
        vec![matt("first", "matt")],
        vec![matt("first", "matthew")],
        vec![matt("first", "matthew"), matt("second", "matt")],
    ]
    .into_iter()
    .enumerate()
    {
        let his = ["matt", "matthew"].map(email);
        world.accounts.retain(|account| !his.contains(&account.email));
        world.accounts.extend(accounts);
        book.observe(&world, minutes(60 * i64::try_from(hours).unwrap()));
    }
    let plan = book.plan(&world, minutes(240));
    assert!(plan.changes().is_empty(), "{plan:?}");
    let several = |kind: &FindingKind| matches!(kind, FindingKind::SeveralAccounts { .. });
    assert!(plan.findings().iter().any(|it| several(&it.kind)), "{plan:?}");
}

/// John has been removed, which is held and approved.
fn approved_removal() -> (LedgerWriter, World) {
    let mut world = World::converged().no_member("john").approve(BudgetName::Disable, &["john"]);
    world.limits.budgets.get_mut(&BudgetName::Disable).unwrap().percent = 0;
    world.limits.budgets.get_mut(&BudgetName::Disable).unwrap().floor = 0;
    let mut book = LedgerWriter::new();
    book.observe(&World::converged(), minutes(-100));
    book.observe(&world, minutes(-99));
    world.memory = book.memory.clone();
    world = world.bound();
    book.memory = world.memory.clone();
    (book, world)
}

fn without_john(world: &World) -> World {
    let mut gone = world.clone();
    gone.accounts.retain(|account| account.email != email("john"));
    gone
}

#[test]
fn an_approval_releases_a_change_until_a_listing_shows_it() {
    let (mut book, world) = approved_removal();
    let is_held = |book: &LedgerWriter, world: &World| {
        let world = World { memory: book.memory.clone(), ..world.clone() };
        !world.verdict().held.is_empty()
    };
    assert!(!is_held(&book, &world));
    book.act(&world, minutes(-99), AttemptStatus::Unknown);
    let used = |book: &LedgerWriter| {
        let approval = book.memory.approval(&world.approvals[0].item);
        approval.is_some_and(|approval| approval.used.is_some())
    };
    assert!(!used(&book) && !is_held(&book, &world), "no listing shows it");
    book.observe(&without_john(&world), minutes(-98));
    assert!(used(&book));
    // An administrator lets him in again.
    book.observe(&world, minutes(-70));
    assert!(is_held(&book, &world), "it releases one removal");
    book.observe(&World { approvals: Vec::new(), ..world.clone() }, minutes(-69));
    assert_eq!(book.memory.approval(&world.approvals[0].item), None, "it has left the file");
    assert!(!is_held(&book, &world), "and is read anew");
}

#[test]
fn an_approval_is_used_by_a_change_made_elsewhere() {
    let (mut book, world) = approved_removal();
    book.observe(&without_john(&world), minutes(-98));
    assert!(book.memory.approval(&world.approvals[0].item).unwrap().used.is_some());
}

#[test]
fn pruning_drops_only_what_is_not_needed() {
    let world = World::converged().no_member("john");
    let mut book = LedgerWriter::new();
    book.observe(&World::converged(), minutes(0));
    book.observe(&world, minutes(1));
    book.act(&world, minutes(1), AttemptStatus::Done);
    let mut later = world.clone();
    later.accounts.retain(|account| account.email != email("john"));
    book.observe(&later, minutes(2));
    let (mut kept, at) = (book.memory.clone(), minutes(3 * 1440));
    kept.prune(minutes(1440));
    assert!(kept.attempts().is_empty() && !book.memory.attempts().is_empty());
    let wanted = World { accounts: later.accounts.clone(), ..World::converged() };
    let plan =
        |memory: &Memory| LedgerWriter { memory: memory.clone(), ..book.clone() }.plan(&wanted, at);
    assert_eq!(plan(&kept), plan(&book.memory));
    assert_eq!(plan(&kept).changes()[0].reason.description(), "re-added after a disable");
}
