//! The judge of the roster's git source. It knows the history of the branch and when each commit was
//! pushed; of rosterd it uses the name of the commit that was fetched, and of that in force.
//!
//! A commit that is in force has been the tip of the branch. The next one follows it, unless an
//! operator accepted another history or the clone was lost. While the newest cannot be used, the
//! last one stays in force.

use std::time::Duration;

use jiff::Timestamp;
use rosterd::reconcile::{InputError, Loaded};

use super::git_server::{GitServer, POLL};
use super::sim_state::SimState;

/// Maximum time from a webhook, or the start of the daemon, to the end of the fetch.
const FETCH_TIMEOUT: Duration = Duration::from_mins(3);
/// A commit that is fetched after a longer time was not announced.
const LATE: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// What must be true of the clone. Commits are numbers of versions.
#[derive(Debug, Default)]
pub struct SourceTracker {
    fetched: Option<usize>,
    /// The commit that the next one must follow.
    accepted: Option<usize>,
    /// The last commit with a valid roster that was in force.
    in_force: Option<usize>,
    /// The commit of the last plan.
    planned: Option<usize>,
    /// Incremented when the next commit need not follow the last one.
    generation: usize,
    /// The commit of a rewritten history that an operator accepted last.
    begins: Option<usize>,
    /// When the last commit was pushed, and before when it must be fetched.
    pushed: Option<Timestamp>,
    deadline: Option<Timestamp>,
}

impl SimState {
    fn git(&self) -> &GitServer {
        self.git.as_ref().unwrap()
    }

    /// The next commit need not follow the last one.
    fn history_begins(&mut self, with: Option<usize>) {
        self.source.generation += 1;
        (self.source.planned, self.source.begins) = (None, with);
    }

    pub fn clone_lost(&mut self) {
        self.history_begins(None);
        (self.source.fetched, self.source.accepted, self.source.in_force) = (None, None, None);
        self.expect_fetch(false);
    }

    /// Something was pushed, or the daemon has started; `at_once`, if it knows.
    pub fn expect_fetch(&mut self, at_once: bool) {
        let Some(tip) = self.git.as_ref().map(|git| git.tip) else { return };
        let now = self.clocks.true_now();
        let before = now + FETCH_TIMEOUT + if at_once { Duration::ZERO } else { POLL };
        let is_known = tip.is_none() || tip == self.source.fetched;
        let deadline = self.source.deadline.into_iter().chain([before]).min();
        self.source.deadline = deadline.filter(|_| !is_known);
        self.source.pushed = Some(now);
    }

    /// The daemon has started: it fetches at once.
    pub fn reset_fetch_deadline(&mut self) {
        self.source.deadline = None;
        self.expect_fetch(true);
    }

    /// Commits may arrive late, but not later than the next poll.
    pub fn check_fetch_deadline(&mut self) {
        let now = self.clocks.true_now();
        if let Some(deadline) = self.source.deadline.take_if(|deadline| *deadline < now) {
            self.fail(format!("the newest commit was not fetched before {deadline}"));
        }
    }

    /// Compares the commit in the clone with the branch, if another one was fetched just now.
    pub fn check_fetched(&mut self) {
        let Some(git) = &self.git else { return };
        let reference = git.remote.clone.join("refs/rosterd/fetched");
        let Ok(id) = std::fs::read_to_string(reference) else { return };
        let (fetched, tip) = (git.number(id.trim()), git.tip);
        if self.source.fetched == fetched {
            return;
        }
        self.log_event("git fetched", &format!("commit {fetched:?}"));
        if fetched != tip || fetched.is_none() {
            self.fail(format!("fetched commit {fetched:?} ({id}), the branch names {tip:?}"));
        }
        let now = self.clocks.true_now();
        if self.source.pushed.is_some_and(|pushed| now.duration_since(pushed) > LATE) {
            self.count("git late");
        }
        (self.source.fetched, self.source.deadline) = (fetched, None);
    }

    /// The commit that must be in force now, if any; `Err` is the reason why it is not the newest.
    fn due(&self) -> (Option<usize>, Result<(), &'static str>) {
        let SourceTracker { fetched, accepted, in_force, .. } = self.source;
        let Some(newest) = fetched else { return (in_force, Err("nothing")) };
        if accepted.is_some_and(|accepted| !self.git().is_ancestor(accepted, newest)) {
            (in_force, Err("rewritten"))
        } else if self.versions[newest].expected.is_none() {
            (in_force, Err("invalid"))
        } else {
            (Some(newest), Ok(()))
        }
    }

    /// Whether the commit that was fetched does not follow the one in force.
    pub fn is_rewritten(&self) -> bool {
        self.git.is_some() && self.due().1 == Err("rewritten")
    }

    /// A roster was read. Returns the commit that is in force, if this process knows one.
    pub fn check_load(
        &mut self,
        run: usize,
        loaded: &Result<Loaded, InputError>,
        known: Option<usize>,
    ) -> Option<usize> {
        self.check_fetched();
        let (due, is_newest) = self.due();
        let (found, text) = match loaded {
            Ok(loaded) => {
                let id = loaded.sources.commit().unwrap_or_default();
                let text = loaded.sources.iter().next().map(|(_, file)| file.text.clone());
                (self.git().number(id), text)
            }
            Err(_) => (None, None),
        };
        let is_outage = loaded.as_ref().map_or(true, |loaded| loaded.outage.is_some());
        if (found, is_outage) != (due, is_newest.is_err()) {
            let state = &self.source;
            let why = match loaded {
                Ok(loaded) => loaded.outage.as_ref().map(|it| it.diagnostics.clone()),
                Err(error) => Some(error.diagnostics.clone()),
            };
            let expected = format!("commit {due:?} must be, {is_newest:?}");
            self.fail(format!("commit {found:?} is in force ({why:?}); {expected}; {state:?}"));
        }
        if let Some(found) = found {
            if !self.git().was_tip(found) {
                self.fail(format!("commit {found} is in force and was never the branch's"));
            }
            if self.versions[found].text != text {
                self.fail(format!("commit {found} has another roster"));
            }
        }
        if let Err(why) = is_newest {
            self.count(&format!("git outage {why}"));
            if known.is_none() && found.is_some() {
                self.count("git in force after a restart");
            }
        } else {
            (self.source.accepted, self.source.in_force) = (due, due);
        }
        // What only this process knows is in force, but no other commit has to follow it.
        self.runs[run].generation = found.map(|_| self.source.generation);
        found.or(known)
    }

    /// A run has made a plan: no other one has planned with a later commit.
    pub fn check_planned_commit(&mut self, run: usize) {
        let (Some(git), Some(now)) = (&self.git, self.runs[run].version) else { return };
        if self.runs[run].generation != Some(self.source.generation) {
            return;
        }
        let before = self.source.planned.replace(now).filter(|before| *before != now);
        // The accepted history comes into force with its first valid roster, and only once.
        let begins = self.source.begins.filter(|first| git.is_ancestor(*first, now));
        let is_later = before.is_none_or(|before| git.is_ancestor(before, now));
        if before.is_some() && begins.is_some() {
            self.source.begins = None;
        } else if !is_later {
            self.fail(format!("run {run} plans with commit {now} after one with {before:?}"));
        }
    }

    /// Whether `rosterd accept history` has something to accept.
    pub fn check_rewritten(&mut self, found: bool) {
        self.check_fetched();
        let expected = self.is_rewritten();
        if found != expected {
            self.fail(format!("the history is rewritten: {expected}, accept shows: {found}"));
        }
    }

    /// An operator has accepted the commit that was fetched.
    pub fn commit_accepted(&mut self) {
        self.log_event("accepted history", &format!("{:?}", self.source.fetched));
        self.history_begins(self.source.fetched);
        self.source.accepted = self.source.fetched;
    }
}
