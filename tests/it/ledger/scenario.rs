//! A sandbox, a ledger and a roster that keeps changing, and what must hold between the three.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rosterd::action::Action;
use rosterd::ledger::{Ledger, LedgerError, Location};
use rosterd::memory::entry::{AttemptStatus, Entry, Intent, Seq};
use rosterd::sandbox::executed::Kind;
use rosterd::sandbox::world::{AccountType, World};

use crate::cli::test_env::TestEnv;

const CONFIG: &str = "\
version: 1
workspaces:
  - name: acme
    endpoint: ${PARADIME_API_ENDPOINT}
    credentials:
      api_key: { env: PARADIME_API_KEY }
      api_secret: { env: PARADIME_API_SECRET }
    users: users.yaml
    guard:
      budgets:
        disable: { percent: 100, floor: 10000, max: 10000, window: 24h }
        demote: { percent: 100, floor: 10000, max: 10000, window: 24h }
        invite: { percent: 100, floor: 10000, max: 10000, window: 24h }
        grant_admin: { percent: 100, floor: 10000, max: 10000, window: 24h }
    http: { timeout: 1s, concurrency: 2, batch: 3, rate: off }
";

/// No account gets one of them twice.
const ROLES: [&str; 7] = [
    "DEVELOPER",
    "BUSINESS",
    "ANALYST",
    "SANDBOX_USER",
    "WORKSPACE_ADMIN",
    "SECURITY_ADMIN",
    "BILLING_ADMIN",
];

/// Number of accounts at the start, besides those of the documentation.
const PEOPLE: usize = 40;

/// A mutation: its name in the API, the address or the uid, and the role. The rosters of a scenario
/// ask for each of them once.
pub type Mutation = (Kind, String, String);

pub struct Scenario {
    pub stage: TestEnv,
    pub random: fastrand::Rng,
    members: BTreeMap<String, Wanted>,
    /// How many people there have ever been.
    people: usize,
    /// The last row that has been seen.
    head: Option<String>,
}

struct Wanted {
    role: String,
    /// Roles that it never had.
    ahead: Vec<&'static str>,
}

/// An intent and its status in the ledger.
struct Attempt {
    mutation: Mutation,
    at: Timestamp,
    status: AttemptStatus,
}

impl Scenario {
    /// A sandbox that answers after `latency`, and a roster that it agrees with; no ledger.
    pub fn new(seed: u64, latency: &str) -> Self {
        let (people, seed_text) = (PEOPLE.to_string(), seed.to_string());
        let flags = ["--people", &people, "--latency", latency, "--seed", &seed_text];
        let stage = TestEnv::with_sandbox(&flags);
        stage.write("rosterd.yaml", CONFIG);
        let random = fastrand::Rng::with_seed(seed);
        let (members, head) = (BTreeMap::new(), None);
        let mut scenario = Self { stage, random, members, people: PEOPLE, head };
        for number in 1..=PEOPLE {
            scenario.join(number, if number % 4 == 0 { "BUSINESS" } else { "DEVELOPER" });
        }
        scenario.write();
        scenario
    }

    fn join(&mut self, number: usize, role: &'static str) {
        let mut ahead: Vec<&str> = ROLES.into_iter().filter(|other| *other != role).collect();
        self.random.shuffle(&mut ahead);
        let wanted = Wanted { role: role.to_owned(), ahead };
        self.members.insert(format!("user{number}@acme.io"), wanted);
    }

    fn write(&self) {
        let mut roster = "\
version: 1
unmanaged: [max@acme.io, john@acme.io, matt@acme.io]
users:
  - { email: alexandra@acme.io, role: ADMIN }
  - { email: jonny@acme.io, role: ADMIN }
"
        .to_owned();
        for (email, wanted) in &self.members {
            writeln!(roster, "  - {{ email: {email}, role: {} }}", wanted.role).unwrap();
        }
        self.stage.write("users.yaml", &roster);
    }

    /// Somebody accepts; then some are invited, get another role, or leave.
    pub fn change_the_roster(&mut self) {
        let world = self.world();
        let invited = world.workspaces[0].invitations.iter().map(|it| it.email.clone());
        let invited: Vec<String> = invited.filter(|it| self.members.contains_key(it)).collect();
        if let Some(email) = self.random.choice(&invited) {
            self.stage.control("POST", "accept", &format!(r#"{{"email":"{email}"}}"#));
        }
        for _ in 0..3 {
            self.people += 1;
            let role = ROLES[self.random.usize(..3)];
            self.join(self.people, role);
        }
        let accounts = self.world().workspaces.remove(0).accounts;
        let mut accounts: Vec<String> = accounts.into_iter().map(|it| it.email).collect();
        accounts.retain(|email| self.members.contains_key(email));
        self.random.shuffle(&mut accounts);
        for email in accounts.iter().take(7) {
            let wanted = self.members.get_mut(email).unwrap();
            if let Some(role) = wanted.ahead.pop() {
                wanted.role = role.to_owned();
            }
        }
        for email in accounts.iter().skip(7).take(1) {
            self.members.remove(email);
        }
        self.write();
    }

    pub fn faults(&self, faults: &[&str]) {
        let body = serde_json::json!({ "faults": faults }).to_string();
        self.stage.control("POST", "faults", &body);
    }

    pub fn world(&self) -> World {
        serde_json::from_value(self.stage.state()).unwrap()
    }

    /// One run of the binary.
    pub fn once(&self) -> Command {
        let mut command = self.stage.command(&["--once", "-c", "rosterd.yaml"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// One run that is left alone: its exit code, and how long it took.
    pub fn run(&self) -> (i32, Duration) {
        let started = Instant::now();
        let code = self.once().status().unwrap().code().unwrap();
        (code, started.elapsed())
    }

    pub fn path(&self) -> PathBuf {
        self.stage.path("state/rosterd/ledger.db")
    }

    pub fn ledger(&self) -> Ledger {
        Ledger::at(Location::File(self.path()))
    }

    /// No row that was ever seen is missing, and none has changed.
    pub fn chain_holds(&mut self) {
        match self.ledger().verify(self.head.as_deref()) {
            Ok(verified) => {
                assert!(verified.contains_head, "the ledger has lost rows: {verified:?}");
                self.head = (verified.rows > 0).then_some(verified.head.hash);
            }
            // Killed before there was one, or before it had its tables.
            Err(LedgerError::None) if self.head.is_none() => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Sandbox and ledger agree.
    pub fn ledger_is_true(&self) {
        let attempts = self.attempts();
        let mut executed = HashSet::new();
        for it in self.world().executed.iter() {
            let role = it.account_type.map(word).unwrap_or_default();
            let mutation = (it.kind, it.target.clone(), role);
            let intents = attempts
                .iter()
                .filter(|attempt| attempt.mutation == mutation && attempt.at <= it.at);
            let statuses: Vec<AttemptStatus> = intents.map(|attempt| attempt.status).collect();
            assert!(!statuses.is_empty(), "{mutation:?} was executed without an intent before it");
            let may = statuses.iter().any(|status| status.may_have_happened());
            assert!(may, "{mutation:?} was executed, and the ledger denies it: {statuses:?}");
            assert!(executed.insert(mutation.clone()), "{mutation:?} was executed twice");
        }
        for Attempt { mutation, status, .. } in attempts {
            let wrong = status == AttemptStatus::Done && !executed.contains(&mutation);
            assert!(!wrong, "{mutation:?} is done in the ledger and was never executed");
            assert_ne!(
                status,
                AttemptStatus::Rejected,
                "{mutation:?} was rejected, so it should not have been sent"
            );
        }
    }

    /// Every intent with what is known of it, in order. No second one may follow one that may have
    /// happened: the rosters want everything once, and the waiting times are longer than a test.
    fn attempts(&self) -> Vec<Attempt> {
        let mut attempts: BTreeMap<Seq, Attempt> = BTreeMap::new();
        for (_, noted) in self.ledger().entries().unwrap() {
            match noted.entry {
                Entry::Intent(intent) => {
                    let mutation = mutation(&intent);
                    let twice = attempts
                        .values()
                        .find(|it| it.mutation == mutation && it.status.may_have_happened())
                        .map(|it| it.status);
                    assert_eq!(twice, None, "{mutation:?} is intended twice (row {})", noted.seq);
                    attempts.insert(
                        noted.seq,
                        Attempt { mutation, at: noted.at, status: AttemptStatus::Open },
                    );
                }
                Entry::Outcome(closing) => {
                    attempts.get_mut(&closing.of).unwrap().status = closing.status;
                }
                Entry::Shown { of } => {
                    for seq in of {
                        attempts.get_mut(&seq).unwrap().status = AttemptStatus::Done;
                    }
                }
                _ => {}
            }
        }
        attempts.into_values().collect()
    }

    /// The workspace is what the roster says, but for what the ledger has sent and nobody has seen
    /// yet: that is left alone for ten minutes, an invitation for a day. The number of these.
    pub fn workspace_equals_roster(&self) -> usize {
        let attempts = self.attempts();
        let open = attempts.iter().filter(|it| it.status == AttemptStatus::Open).count();
        assert_eq!(open, 0, "intents stay open");
        let unknown: HashSet<Mutation> = attempts
            .into_iter()
            .filter(|it| it.status == AttemptStatus::Unknown)
            .map(|it| it.mutation)
            .collect();
        let workspace = self.world().workspaces.remove(0);
        let invited: HashMap<&str, String> =
            workspace.invitations.iter().map(|it| (&*it.email, word(it.account_type))).collect();
        let accounts: HashMap<&str, _> = workspace.active().map(|it| (&*it.email, it)).collect();
        let mut waiting = 0;
        let mut excuse = |mutation: Mutation| {
            assert!(
                unknown.contains(&mutation),
                "{mutation:?} is missing without a reason in the ledger"
            );
            waiting += 1;
        };
        for (email, wanted) in &self.members {
            let role = wanted.role.clone();
            match accounts.get(email.as_str()) {
                Some(account) if word(account.account_type) == role => {}
                Some(account) => excuse((Kind::UpdateUserAccountType, account.uid.clone(), role)),
                None if invited.get(email.as_str()) == Some(&role) => {}
                None => excuse((Kind::InviteUser, email.clone(), role)),
            }
        }
        let ours = |email: &str| email.starts_with("user") && !self.members.contains_key(email);
        for account in accounts.into_values().filter(|account| ours(&account.email)) {
            excuse((Kind::DisableUser, account.uid.clone(), String::new()));
        }
        waiting
    }

    /// So many mutations have been executed.
    pub fn executed(&self) -> usize {
        self.world().executed.iter().count()
    }

    pub fn forget_the_ledger(&mut self) {
        let _ = std::fs::remove_dir_all(self.stage.path("state"));
        self.head = None;
    }

    /// The database finds nothing wrong with its file.
    pub fn file_is_sound(&self) {
        let file = rusqlite::Connection::open(self.path()).unwrap();
        let says: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(says, "ok");
    }
}

fn mutation(intent: &Intent) -> Mutation {
    let to = intent.action.to().map(|role| role.as_str().to_owned()).unwrap_or_default();
    match &intent.action {
        Action::Invite { .. } | Action::Reinvite { .. } => {
            (Kind::InviteUser, intent.email.folded(), to)
        }
        Action::UpdateRole { uid, .. } => (Kind::UpdateUserAccountType, uid.to_string(), to),
        Action::Disable { uid, .. } => (Kind::DisableUser, uid.to_string(), String::new()),
    }
}

/// The role as the API writes it.
fn word(role: AccountType) -> String {
    serde_json::to_value(role).unwrap().as_str().unwrap().to_owned()
}
