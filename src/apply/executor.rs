//! The changes of one order class on their way: which batch goes next, when, and what became of
//! each change.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::journal::{self, Journal};
use super::{ApplyResult, GIVE_UP_AFTER, Sending};
use crate::client::{Answer, ClientError, Reply, WriteDirectory};
use crate::failure::FailureKind;
use crate::memory::entry::Seq;
use crate::plan::change::Change;
use crate::report::{Failure, Outcome};
use crate::retry;

/// One class. Everything about it happens in one loop, so nothing here is shared.
pub(super) struct ClassExecutor<'a> {
    changes: &'a [Change],
    concurrency: usize,
    /// Batches that wait, as positions.
    queue: VecDeque<Range<usize>>,
    outcomes: Vec<Option<Outcome>>,
    /// How many of them are known.
    known: usize,
    /// The intents in the ledger; a change that is sent again has one already.
    intents: Vec<Option<Seq>>,
    /// Positions whose outcome the ledger does not know yet.
    unwritten: Vec<usize>,
    /// Nothing more is sent in this run.
    stopped: Option<Failure>,
    /// Nothing more is sent in this class.
    given_up: Option<String>,
    /// Nothing is sent before this instant, by whatever connection.
    not_before: Option<Instant>,
    /// Since when the server has refused to hear anything.
    throttled_since: Option<Instant>,
    /// How often in a row the whole line has had to wait.
    attempt: u32,
    refused: Refused,
}

/// What was refused as a whole document.
#[derive(Default)]
struct Refused {
    batch: bool,
    /// Then the documents are at fault, not their size.
    single: bool,
}

impl<'a> ClassExecutor<'a> {
    /// `stopped` and `not_before` are what the class before left.
    pub fn new(
        changes: &'a [Change],
        sending: Sending,
        stopped: Option<Failure>,
        not_before: Option<Instant>,
    ) -> Self {
        let concurrency = sending.concurrency.max(1);
        // Evenly over the connections, so that a large last batch leaves none of them idle.
        let size = sending.batch.min(changes.len().div_ceil(concurrency)).max(1);
        let starts = (0..changes.len()).step_by(size);
        Self {
            changes,
            concurrency,
            queue: starts.map(|start| start..(start + size).min(changes.len())).collect(),
            outcomes: vec![None; changes.len()],
            known: 0,
            intents: vec![None; changes.len()],
            unwritten: Vec::new(),
            stopped,
            given_up: not_before
                .filter(|until| *until > Instant::now() + GIVE_UP_AFTER)
                .map(|_| "the server asked to wait for longer than a run does".to_owned()),
            not_before,
            throttled_since: None,
            attempt: 0,
            refused: Refused::default(),
        }
    }

    /// Sends until every change has an outcome or nothing more may be sent. What is in flight is
    /// always waited for; `on_progress` hears how many outcomes are known.
    pub async fn work<W: WriteDirectory>(
        &mut self,
        writer: &W,
        cancel: &CancellationToken,
        journal: &mut Journal<'_>,
        on_progress: &(dyn Fn(usize) + Sync),
    ) {
        let changes = self.changes;
        let mut in_flight = FuturesUnordered::new();
        loop {
            self.check_cancelled(cancel);
            while in_flight.len() < self.concurrency
                && let Some(batch) = self.next()
                && self.log_intents(&batch, journal).await
            {
                in_flight.push(async move {
                    let sent: Vec<&Change> = changes[batch.clone()].iter().collect();
                    (batch, writer.send(&sent).await)
                });
            }
            self.flush(journal).await;
            let pause = self.pause();
            tokio::select! {
                biased;
                Some((batch, reply)) = in_flight.next() => {
                    self.handle_reply(batch, reply);
                    self.log_outcomes(journal);
                    on_progress(self.known);
                }
                () = tokio::time::sleep_until(pause.unwrap_or_else(Instant::now)),
                    if pause.is_some() => {}
                () = cancel.cancelled(), if pause.is_some() => {}
                else => break,
            }
        }
        self.mark_unsent();
        self.log_outcomes(journal);
        self.flush(journal).await;
    }

    /// Writes down what is about to be sent; where that fails nothing is sent any more.
    async fn log_intents(&mut self, batch: &Range<usize>, journal: &mut Journal<'_>) -> bool {
        let new: Vec<usize> = batch.clone().filter(|at| self.intents[*at].is_none()).collect();
        let changes: Vec<&Change> = new.iter().map(|at| &self.changes[*at]).collect();
        match journal.log_intents(&changes, batch.len()).await {
            Ok(numbers) => {
                for (at, number) in new.into_iter().zip(numbers) {
                    self.intents[at] = Some(number);
                }
                true
            }
            Err(error) => {
                self.stopped.get_or_insert(journal::failure(journal.writer.ledger(), &error));
                self.queue.push_front(batch.clone());
                false
            }
        }
    }

    /// Hands the outcomes that have become known to the journal.
    fn log_outcomes(&mut self, journal: &mut Journal<'_>) {
        for at in std::mem::take(&mut self.unwritten) {
            if let (Some(intent), Some(outcome)) = (self.intents[at], &self.outcomes[at]) {
                journal.log_outcome(intent, outcome);
            }
        }
    }

    /// What the next intents did not take along is written now. Where that fails, the intents stay
    /// open, and the next run's reading decides.
    async fn flush(&mut self, journal: &mut Journal<'_>) {
        if let Err(error) = journal.flush().await {
            self.stopped.get_or_insert(journal::failure(journal.writer.ledger(), &error));
        }
    }

    /// What was not sent until now is not sent in this run.
    fn mark_unsent(&mut self) {
        let stopped = self.stopped.as_ref().map(|failure| failure.message.clone());
        let given_up = self.given_up.clone();
        let reason = stopped.or(given_up).unwrap_or_else(|| "left to the next run".to_owned());
        for at in 0..self.outcomes.len() {
            if self.outcomes[at].is_none() {
                self.record(at, Outcome::NotSent(reason.clone()));
            }
        }
    }

    /// Before this instant the server wants to hear nothing.
    pub fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// Whether a batch was refused, so that what follows goes out by itself.
    pub fn has_split_batches(&self) -> bool {
        self.refused.batch
    }

    /// One outcome for each change, in order; what concerns the whole apply goes into `effects`.
    pub fn settle(self, effects: &mut ApplyResult) -> Vec<Outcome> {
        effects.stopped = self.stopped;
        effects.batching_unsupported |= self.refused.batch && !self.refused.single;
        self.outcomes.into_iter().flatten().collect()
    }

    fn check_cancelled(&mut self, cancel: &CancellationToken) {
        if cancel.is_cancelled() && self.stopped.is_none() && !self.queue.is_empty() {
            self.stopped = Some(Failure {
                kind: FailureKind::Cancelled,
                message: "interrupted at a batch boundary".to_owned(),
            });
        }
    }

    fn is_over(&self) -> bool {
        self.stopped.is_some() || self.given_up.is_some() || self.queue.is_empty()
    }

    /// The next batch, if one may be sent at this instant.
    fn next(&mut self) -> Option<Range<usize>> {
        if self.is_over() || self.pause().is_some() {
            return None;
        }
        self.queue.pop_front()
    }

    /// Until when the queue has to wait, if it has to.
    fn pause(&self) -> Option<Instant> {
        let now = Instant::now();
        self.not_before.filter(|until| *until > now && !self.is_over())
    }

    /// Records what one request became.
    fn handle_reply(&mut self, batch: Range<usize>, reply: Reply) {
        if !matches!(reply, Reply::NotExecuted { .. }) {
            self.throttled_since = None;
            self.attempt = 0;
        }
        match reply {
            Reply::Answered(answers) => self.answered(batch, answers),
            Reply::Refused(error) if ends_the_run(&error) => self.stop(batch, error),
            Reply::Refused(error) if batch.len() > 1 => self.split_batches(batch, &error),
            Reply::Refused(error) => {
                self.refused.single = true;
                self.all(batch, &Outcome::Rejected(error.message));
            }
            Reply::Unknown(error) => self.unknown(batch, error),
            Reply::NotExecuted { error, retry_after } => self.not_run(batch, error, retry_after),
        }
    }

    fn answered(&mut self, batch: Range<usize>, answers: Vec<Answer>) {
        let mut answers = answers.into_iter();
        for at in batch {
            let outcome = match answers.next() {
                Some(Answer::Done) => Outcome::Done,
                Some(Answer::Rejected(why)) => Outcome::Rejected(why),
                Some(Answer::Unknown(why)) => Outcome::Unknown(why),
                None => Outcome::Unknown("the answer does not mention it".to_owned()),
            };
            self.record(at, outcome);
        }
    }

    fn record(&mut self, at: usize, outcome: Outcome) {
        self.outcomes[at] = Some(outcome);
        self.unwritten.push(at);
        self.known += 1;
    }

    fn all(&mut self, batch: Range<usize>, outcome: &Outcome) {
        for at in batch {
            self.record(at, outcome.clone());
        }
    }

    /// The request did not run, and no other one would.
    fn stop(&mut self, batch: Range<usize>, error: ClientError) {
        self.all(batch, &Outcome::NotSent(error.message.clone()));
        self.stopped.get_or_insert(failure(error));
    }

    /// The server takes no batch: everything that waits goes out by itself.
    fn split_batches(&mut self, batch: Range<usize>, error: &ClientError) {
        tracing::info!(error = %error, "the server refused a batch; sending one change at a time");
        self.refused.batch = true;
        let waiting = std::mem::take(&mut self.queue);
        let positions = std::iter::once(batch).chain(waiting).flatten();
        self.queue = positions.map(|at| at..at + 1).collect();
    }

    /// It blocks nothing: the reading after the run says what happened.
    fn unknown(&mut self, batch: Range<usize>, error: ClientError) {
        self.all(batch, &Outcome::Unknown(error.message.clone()));
        if ends_the_run(&error) {
            self.stopped.get_or_insert(failure(error));
        }
    }

    /// The request certainly did not run, so it may be sent again, for a while.
    fn not_run(&mut self, batch: Range<usize>, error: ClientError, retry_after: Option<Duration>) {
        if !error.kind.is_transient() {
            return self.stop(batch, error);
        }
        let now = Instant::now();
        let since = *self.throttled_since.get_or_insert(now);
        // A request that was under way when the line began to wait says nothing new, unless the
        // server asks for more.
        let waiting = self.not_before.is_some_and(|until| until > now);
        self.attempt += u32::from(!waiting);
        let wait = match retry_after {
            None if waiting => Duration::ZERO,
            asked => retry::delay(self.attempt, asked, fastrand::f64()),
        };
        self.not_before = self.not_before.max(Some(now + wait));
        if self.not_before > Some(since + GIVE_UP_AFTER) {
            return self.give_up(batch, error);
        }
        self.queue.push_front(batch);
    }

    /// Throttling concerns this class; no connection at all concerns the run.
    fn give_up(&mut self, batch: Range<usize>, error: ClientError) {
        if error.kind != FailureKind::Throttled {
            return self.stop(batch, error);
        }
        self.all(batch, &Outcome::NotSent(error.message.clone()));
        self.given_up = Some(error.message);
    }
}

/// Nothing that follows would fare better.
fn ends_the_run(error: &ClientError) -> bool {
    !error.kind.is_transient() && error.kind != FailureKind::Graphql
}

fn failure(error: ClientError) -> Failure {
    Failure { kind: error.kind, message: error.message }
}
