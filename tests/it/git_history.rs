//! Random histories of a repository, and who may change the roster in them. A model written without
//! git says which commit is in force.

mod graph;

use std::path::PathBuf;

use gix::ObjectId;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::Index;
use rosterd::apply::Sending;
use rosterd::guard::Limits;
use rosterd::plan::OnRemoved;
use rosterd::reconcile::{self, WorkspaceSpec};
use rosterd::role::Role;
use rosterd::roster::policy::Policy;
use rosterd::source::RosterSource;
use rosterd::source::remote::{GitRemote, clone_folder};
use tempfile::TempDir;

use self::graph::{Commit, Graph, Signature};
use crate::support::repository::Repository;
use crate::support::world::{World, lines};

/// What happens to the branch `main`.
#[derive(Clone, Debug)]
enum Step {
    /// A commit that follows the branch, or one of any commit that no branch has yet.
    Commit {
        on: Option<Index>,
        roster: Option<u8>,
        signature: Signature,
        time: i64,
    },
    /// The branch and others are merged.
    Merge {
        with: Vec<Index>,
        take: Take,
        signature: Signature,
        time: i64,
    },
    /// The branch is set to any commit.
    Force(Index),
    Delete,
    Fetch,
    /// An operator accepts a rewritten history.
    Accept,
}

/// The roster of a merge.
#[derive(Clone, Copy, Debug)]
enum Take {
    /// That of a parent.
    Side(Index),
    /// What both sides have changed.
    Right,
    Other(u8),
}

/// A roster: none, or one of a few. Few, so that some return.
fn roster() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![1 => Just(None), 3 => (0..4_u8).prop_map(Some)]
}

fn signature() -> impl Strategy<Value = Signature> {
    use Signature::{Listed, Missing, OfAnother, Unlisted};
    prop_oneof![5 => Just(Listed), 3 => Just(Missing), 1 => Just(Unlisted), 1 => Just(OfAnother)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Whoever writes a commit chooses its time.
    let time = || 0..1000_i64;
    let on = prop_oneof![3 => Just(None), 2 => any::<Index>().prop_map(Some)];
    let commit = (on, roster(), signature(), time());
    let commit = commit.prop_map(|(on, roster, signature, time)| Step::Commit {
        on,
        roster,
        signature,
        time,
    });
    let take = prop_oneof![
        2 => any::<Index>().prop_map(Take::Side),
        2 => Just(Take::Right),
        1 => (0..4_u8).prop_map(Take::Other),
    ];
    let merge = (prop::collection::vec(any::<Index>(), 1..3), take, signature(), time());
    let merge =
        merge.prop_map(|(with, take, signature, time)| Step::Merge { with, take, signature, time });
    let step = prop_oneof![
        6 => commit,
        4 => merge,
        1 => any::<Index>().prop_map(Step::Force),
        1 => Just(Step::Delete),
        6 => Just(Step::Fetch),
        1 => Just(Step::Accept),
    ];
    prop::collection::vec(step, 1..30)
}

/// A repository and its clone, and what the model knows of them.
struct Simulation {
    graph: Graph,
    source: RosterSource,
    _state: TempDir,
    /// The branch; None if it is deleted.
    tip: Option<usize>,
    fetched: Option<usize>,
    accepted: Option<usize>,
    /// The commit that the next one must follow.
    base: Option<usize>,
    /// Every tip at a fetch.
    tips: Vec<usize>,
    /// Every accepted commit since an operator has accepted a history.
    since: Vec<usize>,
}

impl Simulation {
    fn new(is_signed: bool) -> Self {
        let (graph, state) = (Graph::new(), tempfile::tempdir().unwrap());
        let url: reqwest::Url = format!("file://{}", graph.path().display()).parse().unwrap();
        let clone = clone_folder(state.path(), &url, "main");
        let mut remote = GitRemote::new(url, "main".to_owned(), clone);
        let signers = state.path().join("signers");
        std::fs::write(&signers, graph::allowed_signers()).unwrap();
        remote.ssh_signers = is_signed.then_some(signers);
        let users = vec!["users.yaml".to_owned()];
        let source = RosterSource { git: Some(remote), ..RosterSource::new(users, PathBuf::new()) };
        Self {
            graph,
            source,
            _state: state,
            tip: None,
            fetched: None,
            accepted: None,
            base: None,
            tips: Vec::new(),
            since: Vec::new(),
        }
    }

    fn is_signed(&self) -> bool {
        self.source.git.as_ref().unwrap().ssh_signers.is_some()
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let any = |graph: &Graph, index: &Index| index.index(graph.commits.len());
        match step {
            Step::Commit { on, roster, signature, time } => {
                let on = on.as_ref().filter(|_| !self.graph.commits.is_empty());
                let side = on.map(|on| any(&self.graph, on));
                let parent = side.or(self.tip);
                let before = parent.and_then(|parent| self.graph.commits[parent].roster);
                // Every other commit is about another file.
                let roster = if time % 2 == 0 { before } else { *roster };
                let parents = parent.into_iter().collect();
                let made =
                    self.graph.commit(Commit { parents, roster, signature: *signature }, *time);
                if side.is_none() {
                    self.point(Some(made));
                }
            }
            Step::Merge { with, take, signature, time } => {
                let Some(tip) = self.tip else { return Ok(()) };
                let mut parents = vec![tip];
                for index in with {
                    let other = any(&self.graph, index);
                    if !parents.contains(&other) {
                        parents.push(other);
                    }
                }
                let roster = match take {
                    Take::Side(index) => self.graph.commits[*index.get(&parents)].roster,
                    Take::Right => self.graph.merged(&parents),
                    Take::Other(roster) => Some(*roster),
                };
                let merge = Commit { parents, roster, signature: *signature };
                let made = self.graph.commit(merge, *time);
                self.point(Some(made));
            }
            Step::Force(index) if !self.graph.commits.is_empty() => {
                self.point(Some(any(&self.graph, index)));
            }
            Step::Force(_) => {}
            Step::Delete => self.point(None),
            Step::Fetch => self.fetch()?,
            Step::Accept => self.accept()?,
        }
        Ok(())
    }

    fn point(&mut self, tip: Option<usize>) {
        self.tip = tip;
        self.graph.set_branch(tip);
    }

    fn fetch(&mut self) -> Result<(), TestCaseError> {
        let fetched = self.source.git.as_ref().unwrap().fetch();
        prop_assert_eq!(fetched.is_ok(), self.tip.is_some(), "{:?}", fetched);
        self.fetched = self.tip.or(self.fetched);
        self.tips.extend(self.tip);
        self.load()
    }

    fn is_rewritten(&self) -> bool {
        let both = self.fetched.zip(self.base);
        both.is_some_and(|(fetched, base)| !self.graph.is_ancestor(base, fetched))
    }

    /// What a load must return: a commit, or the code of the error.
    fn expected(&self) -> Result<usize, &'static str> {
        let fetched = self.fetched.ok_or("not-fetched")?;
        if self.is_rewritten() {
            return Err("rewritten");
        }
        if self.is_signed() && !self.graph.is_believed(self.base, fetched) {
            return Err("not-signed");
        }
        self.graph.commits[fetched].roster.map(|_| fetched).ok_or("missing-file")
    }

    fn load(&mut self) -> Result<(), TestCaseError> {
        let found = self.source.load();
        let got = match &found {
            Ok(sources) => Ok(sources.commit().unwrap().parse::<ObjectId>().unwrap()),
            Err(problems) => Err(problems[0].code),
        };
        let expected = self.expected();
        prop_assert_eq!(got, expected.map(|commit| self.graph.ids[commit]));
        if let (Ok(sources), Ok(commit)) = (&found, expected) {
            let text = &sources.iter().next().unwrap().1.text;
            prop_assert_eq!(Some(text.clone()), self.graph.text(commit));
            prop_assert!(self.tips.contains(&commit), "only what was a tip");
            let follows = |earlier: &usize| self.graph.is_ancestor(*earlier, commit);
            prop_assert!(self.since.iter().all(follows), "older never undoes newer");
            self.source.accept(sources).unwrap();
            (self.accepted, self.base) = (Some(commit), Some(commit));
            self.since.push(commit);
        }
        self.check_accepted()
    }

    fn accept(&mut self) -> Result<(), TestCaseError> {
        let hold = self.source.rewritten();
        prop_assert_eq!(hold.is_some(), self.is_rewritten());
        if let Some(hold) = hold {
            self.source.accept_rewritten(&hold).unwrap();
            prop_assert!(self.source.rewritten().is_none());
            prop_assert!(self.source.accept_rewritten(&hold).is_err(), "only once");
            // What was in force stays so until a commit of the accepted history can be used.
            self.base = self.fetched;
            self.since = self.base.into_iter().collect();
        }
        self.check_accepted()
    }

    fn check_accepted(&self) -> Result<(), TestCaseError> {
        let last = self.source.last_accepted();
        let text = last.as_ref().map(|it| it.iter().next().unwrap().1.text.clone());
        prop_assert_eq!(text, self.accepted.and_then(|commit| self.graph.text(commit)));
        Ok(())
    }
}

fn check(steps: &[Step], is_signed: bool) -> Result<(), TestCaseError> {
    let mut simulation = Simulation::new(is_signed);
    for step in steps {
        simulation.step(step)?;
    }
    simulation.fetch()
}

/// Fewer cases than elsewhere: each makes about 100 files.
fn configuration() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { failure_persistence: None, cases: default.cases.div_ceil(16), ..default }
}

proptest! {
    #![proptest_config(configuration())]

    #[test]
    fn older_commits_never_undo_newer_ones(steps in steps()) {
        check(&steps, false)?;
    }

    #[test]
    fn a_roster_is_believed_if_its_changes_are_signed(steps in steps()) {
        check(&steps, true)?;
    }
}

/// The clocks of those who write commits are wrong in both directions. Searches that trust them
/// find other ancestors.
#[test]
fn the_dates_of_commits_do_not_count() {
    let add = |simulation: &mut Simulation, parents: &[usize], roster, signature, time| {
        let parents = parents.to_vec();
        let made = simulation.graph.commit(Commit { parents, roster, signature }, time);
        simulation.point(Some(made));
        made
    };
    let mut rewritten = Simulation::new(false);
    let parents: [&[usize]; 7] = [&[], &[0], &[0, 1], &[1, 0], &[2, 0], &[4, 3], &[5, 0]];
    let times = [67, 538, 801, 538, 248, 476, 51];
    for (at, time) in times.into_iter().enumerate() {
        let made = add(&mut rewritten, parents[at], Some(1), Signature::Missing, time);
        if [4, 6].contains(&made) {
            rewritten.fetch().unwrap();
            assert_eq!(rewritten.accepted, Some(made));
        }
    }
    let mut signed = Simulation::new(true);
    add(&mut signed, &[], None, Signature::Missing, 245);
    add(&mut signed, &[0], None, Signature::Listed, 0);
    for parents in [&[1][..], &[2, 0]] {
        let roster = u8::try_from(parents.len()).unwrap();
        let made = add(&mut signed, parents, Some(roster), Signature::Listed, 1);
        signed.fetch().unwrap();
        assert_eq!(signed.accepted, Some(made));
    }
}

/// An accepted history that goes back opens nothing for what is pushed after it came forward again.
#[test]
fn an_accepted_history_is_used_once() {
    let mut simulation = Simulation::new(false);
    let add = |simulation: &mut Simulation, parent: Option<usize>, roster| {
        let parents = parent.into_iter().collect();
        let commit = Commit { parents, roster: Some(roster), signature: Signature::Missing };
        let made = simulation.graph.commit(commit, 0);
        simulation.point(Some(made));
        made
    };
    let first = add(&mut simulation, None, 0);
    let second = add(&mut simulation, Some(first), 1);
    simulation.fetch().unwrap();
    simulation.point(Some(first));
    simulation.fetch().unwrap();
    simulation.accept().unwrap();
    simulation.point(Some(second));
    simulation.fetch().unwrap();
    assert_eq!(simulation.base, Some(second));
    add(&mut simulation, Some(first), 2);
    simulation.fetch().unwrap();
    assert!(simulation.is_rewritten());
}

/// Whoever may write the objects of a local repository must not change what somebody has signed.
#[test]
fn an_object_of_a_local_repository_is_what_its_name_says() {
    let mut simulation = Simulation::new(true);
    let first = Commit { parents: vec![], roster: Some(1), signature: Signature::Listed };
    let made = simulation.graph.commit(first, 0);
    simulation.point(Some(made));
    simulation.graph.forge_roster(1, "version: 1\nusers: [] # forged\n");
    let fetched = simulation.source.git.as_ref().unwrap().fetch().unwrap_err();
    assert!(fetched.message.contains("has other contents"), "{}", fetched.message);
    assert_eq!(simulation.source.load().unwrap_err()[0].code, "not-fetched");
}

/// A restart with a newest commit that cannot be used: the one in force is planned as of today.
#[test]
fn dates_of_the_last_accepted_commit_fall_due() {
    let (mut repository, state) = (Repository::new(), tempfile::tempdir().unwrap());
    let alice = "{ email: alice@acme.io, role: DEVELOPER, expires: 2026-11-30 }";
    let text = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n";
    repository.write("users.yaml", &format!("{text}  - {alice}\n"));
    let first = repository.commit("Matt", "Begin");
    let url: reqwest::Url = format!("file://{}", repository.folder().display()).parse().unwrap();
    let clone = clone_folder(state.path(), &url, "HEAD");
    let remote = GitRemote::new(url, "HEAD".to_owned(), clone);
    let users = vec!["users.yaml".to_owned()];
    let source = RosterSource { git: Some(remote), ..RosterSource::new(users, PathBuf::new()) };
    let world = World::default().account("alexandra", Role::Admin);
    let world = world.account("alice", Role::Developer);
    let spec = WorkspaceSpec { source, ..spec() };
    let plan = |at: &str| {
        spec.source.git.as_ref().unwrap().fetch().unwrap();
        let at = at.parse().unwrap();
        let loaded = reconcile::load(&spec, at).unwrap();
        let (snapshot, memory) = (world.snapshot(), world.memory.clone());
        let planned = reconcile::dry_run(snapshot, &spec, &loaded, memory, at).unwrap().0;
        let outage = loaded.outage.map(|outage| outage.diagnostics[0].code);
        (loaded.revision.unwrap().commit, outage, lines(planned.plan.changes()))
    };
    let (commit, outage, changes) = plan("2026-11-30T23:59:59Z");
    assert_eq!((commit, outage, changes), (first.clone(), None, Vec::new()));
    repository.write("users.yaml", "version: 2\nusers: []\n");
    repository.commit("Matt", "Break it");
    let (commit, outage, changes) = plan("2026-12-01T00:00:00Z");
    assert!(commit == first && outage.is_some(), "{commit} {outage:?}");
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].starts_with("disable alice@acme.io"), "{changes:?}");
}

fn spec() -> WorkspaceSpec {
    WorkspaceSpec {
        workspace: "acme".into(),
        source: RosterSource::new(Vec::new(), PathBuf::new()),
        max_changes: reconcile::MAX_CHANGES,
        zone: TimeZone::UTC,
        on_removed: OnRemoved::Disable,
        approvals_in_file: true,
        limits: Limits::default(),
        policy: Policy::default(),
        sending: Sending { concurrency: 1, batch: 25 },
    }
}
