//! Applying what was approved: batches, several in flight, one order class after the other.
//!
//! Nothing is sent twice unless it certainly did not run; what nobody knows is left for the next
//! reading. Before each class that takes something away the guards judge what is left again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::{Answer, ClientError, ErrorClass, Reply, WriteDirectory};
use crate::guard::{self, Held, Limits, Refusal, Spent, Verdict};
use crate::plan::Plan;
use crate::plan::change::{Change, Class};
use crate::report::{Failure, Outcome};
use crate::retry;

/// A class that the server keeps refusing to hear for so long is left to the next run.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// How changes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// Batches in flight at once; at least 1.
    pub concurrency: usize,
    /// Changes in one request; at least 1.
    pub batch: usize,
}

/// What an apply is bound to.
pub struct Terms<'a> {
    pub plan: &'a Plan,
    pub limits: &'a Limits,
    pub spent: &'a Spent,
    pub sending: Sending,
    /// Ends the apply at the next batch boundary.
    pub cancel: &'a CancellationToken,
    /// Told how many changes have an outcome, of how many.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// What became of everything that was approved.
#[derive(Debug, Default)]
pub struct Effects {
    /// In the order of the plan's classes.
    pub outcomes: Vec<(Change, Outcome)>,
    /// What the guards held when they judged again, and why.
    pub held: Vec<Held>,
    pub refusals: Vec<Refusal>,
    pub stopped: Option<Failure>,
    /// The server refused batches and was served one change at a time.
    pub refused_batches: bool,
}

/// Sends what `verdict` approved. The type of its argument is the permission: only the guards
/// make one.
pub async fn apply<W: WriteDirectory>(writer: &W, verdict: &Verdict, terms: &Terms<'_>) -> Effects {
    let total = verdict.approved.len();
    let mut effects = Effects::default();
    for class in Class::ALL {
        let wanted: Vec<Change> = verdict.approved.of(class).cloned().collect();
        if wanted.is_empty() {
            continue;
        }
        let allowed = if class.takes_away() {
            judge_again(verdict, class, terms, &mut effects)
        } else {
            wanted
        };
        let line = Line::new(&allowed, terms, effects.stopped.take(), effects.refused_batches);
        line.work(writer, terms, effects.outcomes.len(), total).await;
        line.settle(&mut effects);
    }
    effects
}

/// What of `class` may still go out, after what really happened; the rest is held.
fn judge_again(
    verdict: &Verdict,
    class: Class,
    terms: &Terms<'_>,
    effects: &mut Effects,
) -> Vec<Change> {
    let happened: Vec<Change> = effects
        .outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Done | Outcome::Unknown(_)))
        .map(|(change, _)| change.clone())
        .collect();
    let left: Vec<Change> =
        verdict.approved.changes().iter().filter(|c| c.class() >= class).cloned().collect();
    let again = guard::rejudge(terms.plan, terms.limits, terms.spent, &left, &happened);
    let held = again.held.into_iter().filter(|held| held.change.class() == class);
    let before = effects.held.len();
    effects.held.extend(held);
    if effects.held.len() > before {
        effects.refusals.extend(again.refusals);
    }
    again.approved.of(class).cloned().collect()
}

/// The changes of one class on their way.
struct Line<'a> {
    changes: &'a [Change],
    state: Mutex<State>,
}

struct State {
    /// Batches that wait, as positions.
    queue: VecDeque<Vec<usize>>,
    outcomes: Vec<Option<Outcome>>,
    /// Nothing more is sent in this run.
    stopped: Option<Failure>,
    /// Nothing more is sent in this class.
    given_up: Option<String>,
    refused_batches: bool,
    /// Since when the server has refused to hear anything.
    unheard_since: Option<Instant>,
    /// Requests in a row that did not run.
    attempt: u32,
}

impl<'a> Line<'a> {
    fn new(
        changes: &'a [Change],
        terms: &Terms<'_>,
        stopped: Option<Failure>,
        refused_batches: bool,
    ) -> Self {
        let Sending { concurrency, batch } = terms.sending;
        // Evenly over the connections, so that a large last batch leaves none of them idle.
        let share = changes.len().div_ceil(concurrency.max(1));
        let size = if refused_batches { 1 } else { batch.min(share).max(1) };
        let positions: Vec<usize> = (0..changes.len()).collect();
        let state = State {
            queue: positions.chunks(size).map(<[usize]>::to_vec).collect(),
            outcomes: vec![None; changes.len()],
            stopped,
            given_up: None,
            refused_batches,
            unheard_since: None,
            attempt: 0,
        };
        Self { changes, state: Mutex::new(state) }
    }

    async fn work<W: WriteDirectory>(
        &self,
        writer: &W,
        terms: &Terms<'_>,
        before: usize,
        total: usize,
    ) {
        let workers = (0..terms.sending.concurrency.max(1)).map(|_| async {
            while let Some(batch) = self.next(terms.cancel) {
                let changes: Vec<&Change> = batch.iter().map(|at| &self.changes[*at]).collect();
                let reply = writer.send(&changes).await;
                let wait = self.with(|state| state.take_in(batch, reply));
                let known = self.with(|state| state.outcomes.iter().flatten().count());
                (terms.progress)(before + known, total);
                if let Some(wait) = wait {
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = terms.cancel.cancelled() => {}
                    }
                }
            }
        });
        futures_util::future::join_all(workers).await;
    }

    /// The next batch to send, or None when this class is over for this worker.
    fn next(&self, cancel: &CancellationToken) -> Option<Vec<usize>> {
        self.with(|state| {
            if cancel.is_cancelled() && state.stopped.is_none() && !state.queue.is_empty() {
                state.stopped = Some(Failure {
                    kind: "cancelled",
                    message: "ended early, at a batch boundary".into(),
                });
            }
            if state.stopped.is_some() || state.given_up.is_some() {
                return None;
            }
            state.queue.pop_front()
        })
    }

    fn settle(self, effects: &mut Effects) {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let reason = state
            .stopped
            .as_ref()
            .map(|failure| failure.message.clone())
            .or(state.given_up)
            .unwrap_or_else(|| "left to the next run".into());
        for (change, outcome) in self.changes.iter().zip(state.outcomes) {
            let outcome = outcome.unwrap_or_else(|| Outcome::NotSent(reason.clone()));
            effects.outcomes.push((change.clone(), outcome));
        }
        effects.stopped = state.stopped;
        effects.refused_batches |= state.refused_batches;
    }

    fn with<T>(&self, read: impl FnOnce(&mut State) -> T) -> T {
        read(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Records what one request became; the answer is how long to wait before the next one.
    fn take_in(&mut self, batch: Vec<usize>, reply: Reply) -> Option<Duration> {
        if !matches!(reply, Reply::NotRun { .. }) {
            self.unheard_since = None;
            self.attempt = 0;
        }
        match reply {
            Reply::Answered(answers) => self.answered(&batch, answers),
            Reply::Refused(error) if batch.len() > 1 => self.one_by_one(batch, &error),
            Reply::Refused(error) => self.all(&batch, &Outcome::Rejected(error.message)),
            Reply::Unknown(error) => self.unknown(&batch, error),
            Reply::NotRun { error, retry_after } => {
                return self.not_run(batch, error, retry_after);
            }
        }
        None
    }

    fn answered(&mut self, batch: &[usize], answers: Vec<Answer>) {
        let mut answers = answers.into_iter();
        for at in batch {
            self.outcomes[*at] = Some(match answers.next() {
                Some(Answer::Done) => Outcome::Done,
                Some(Answer::Rejected(why)) => Outcome::Rejected(why),
                Some(Answer::Unknown(why)) => Outcome::Unknown(why),
                None => Outcome::Unknown("the answer does not mention it".into()),
            });
        }
    }

    fn all(&mut self, batch: &[usize], outcome: &Outcome) {
        for at in batch {
            self.outcomes[*at] = Some(outcome.clone());
        }
    }

    /// The server takes no batch of this size: everything that waits goes out by itself.
    fn one_by_one(&mut self, batch: Vec<usize>, error: &ClientError) {
        tracing::info!(error = %error, "the server refused a batch; sending one change at a time");
        self.refused_batches = true;
        let waiting = std::mem::take(&mut self.queue);
        self.queue = std::iter::once(batch).chain(waiting).flatten().map(|at| vec![at]).collect();
    }

    fn unknown(&mut self, batch: &[usize], error: ClientError) {
        self.all(batch, &Outcome::Unknown(error.message.clone()));
        if error.class == ErrorClass::Protocol {
            self.stopped = Some(failure(error));
        }
    }

    /// The request certainly did not run, so it may be sent again, for a while.
    fn not_run(
        &mut self,
        batch: Vec<usize>,
        error: ClientError,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        if error.class != ErrorClass::Transient {
            self.all(&batch, &Outcome::NotSent(error.message.clone()));
            self.stopped = Some(failure(error));
            return None;
        }
        let since = *self.unheard_since.get_or_insert_with(Instant::now);
        self.attempt += 1;
        let wait = retry::delay(self.attempt, retry_after, fastrand::f64());
        if since.elapsed() + wait > GIVE_UP_AFTER {
            self.all(&batch, &Outcome::NotSent(error.message.clone()));
            if error.kind == "throttled" {
                self.given_up = Some(error.message);
            } else {
                self.stopped = Some(failure(error));
            }
            return None;
        }
        self.queue.push_front(batch);
        Some(wait)
    }
}

fn failure(error: ClientError) -> Failure {
    Failure { kind: error.kind, message: error.message }
}
