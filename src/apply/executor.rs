//! Sends the changes of one order class: which batch is next, when, and the outcome of each
//! change.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch_size::BatchSize;
use super::journal::Journal;
use super::{ApplyResult, GIVE_UP_AFTER, Sending};
use crate::client::{Answer, ClientError, Reply, WriteDirectory};
use crate::failure::FailureKind;
use crate::memory::entry::Seq;
use crate::plan::change::Change;
use crate::report::{Failure, Outcome};
use crate::retry;

/// The state of one order class. One loop changes it, so nothing is shared.
pub(super) struct ClassExecutor<'a> {
    changes: &'a [Change],
    concurrency: usize,
    /// Positions that have not been sent. A request carries at most one of the ranges.
    queue: VecDeque<Range<usize>>,
    outcomes: Vec<Option<Outcome>>,
    /// The number of outcomes that are known.
    known: usize,
    /// The intents in the ledger. A change that is sent again has one already.
    intents: Vec<Option<Seq>>,
    /// Positions whose outcome is not in the ledger yet.
    unwritten: Vec<usize>,
    /// Nothing more is sent in this run.
    stopped: Option<Failure>,
    /// Nothing more is sent in this class.
    given_up: Option<String>,
    /// No connection sends before this instant.
    pub not_before: Option<Instant>,
    /// When the server began to refuse every request.
    throttled_since: Option<Instant>,
    /// The number of consecutive waits of the whole class.
    attempt: u32,
    size: BatchSize,
    /// The server refused a single change, so that earlier refusals may not be about the size.
    refused_single: bool,
}

impl<'a> ClassExecutor<'a> {
    /// `stopped` and `not_before` come from the class before.
    pub fn new(
        changes: &'a [Change],
        sending: Sending,
        stopped: Option<Failure>,
        not_before: Option<Instant>,
    ) -> Self {
        let concurrency = sending.concurrency.max(1);
        // Spread evenly over the connections, so that a large last batch leaves none idle.
        let size = sending.batch.min(changes.len().div_ceil(concurrency)).max(1);
        Self {
            changes,
            concurrency,
            queue: Some(0..changes.len()).filter(|all| !all.is_empty()).into_iter().collect(),
            outcomes: vec![None; changes.len()],
            intents: vec![None; changes.len()],
            stopped,
            given_up: not_before
                .filter(|until| *until > Instant::now() + GIVE_UP_AFTER)
                .map(|_| "the server asked for a longer wait than a run allows".to_owned()),
            not_before,
            throttled_since: None,
            attempt: 0,
            known: 0,
            unwritten: Vec::new(),
            size: BatchSize::new(size),
            refused_single: false,
        }
    }

    /// Sends until every change has an outcome or nothing more may be sent. It always waits for
    /// requests in flight. `on_progress` gets the number of known outcomes.
    pub async fn run<W: WriteDirectory>(
        &mut self,
        writer: &W,
        cancel: &CancellationToken,
        journal: &mut Journal<'_>,
        on_progress: &(dyn Fn(usize) + Sync),
    ) {
        let changes = self.changes;
        let mut in_flight = FuturesUnordered::new();
        loop {
            if cancel.is_cancelled() && self.stopped.is_none() && !self.queue.is_empty() {
                let message = "interrupted at a batch boundary";
                self.stopped = Some(Failure::new(FailureKind::Cancelled, message));
            }
            while in_flight.len() < self.allowed_in_flight()
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

    /// Writes the intents of a batch. If that fails, nothing more is sent.
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
            Err(failure) => {
                self.stopped.get_or_insert(failure);
                self.queue.push_front(batch.clone());
                false
            }
        }
    }

    /// Gives new outcomes to the journal.
    fn log_outcomes(&mut self, journal: &mut Journal<'_>) {
        for at in std::mem::take(&mut self.unwritten) {
            if let (Some(intent), Some(outcome)) = (self.intents[at], &self.outcomes[at]) {
                journal.log_outcome(intent, outcome);
            }
        }
    }

    /// Writes outcomes that the next intents did not take along. If that fails, the intents stay
    /// open, and the next run's listing decides.
    async fn flush(&mut self, journal: &mut Journal<'_>) {
        if let Err(failure) = journal.flush().await {
            self.stopped.get_or_insert(failure);
        }
    }

    /// Gives every change that was not sent that outcome.
    fn mark_unsent(&mut self) {
        let stopped = self.stopped.as_ref().map(|failure| &failure.message);
        let reason = stopped.or(self.given_up.as_ref()).cloned();
        let reason = reason.unwrap_or_else(|| "deferred to the next run".to_owned());
        for at in 0..self.outcomes.len() {
            if self.outcomes[at].is_none() {
                self.record(at, Outcome::NotSent(reason.clone()));
            }
        }
    }

    /// One outcome for each change, in order. What concerns the whole apply goes into `result`.
    pub fn into_outcomes(self, result: &mut ApplyResult) -> Vec<Outcome> {
        result.max_batch = self.max_batch().or(result.max_batch);
        result.stopped = self.stopped;
        self.outcomes.into_iter().flatten().collect()
    }

    /// The number of changes that the server accepts in one request, if it refused more.
    pub fn max_batch(&self) -> Option<usize> {
        self.size.learned().filter(|_| !self.refused_single)
    }

    fn allowed_in_flight(&self) -> usize {
        if self.size.is_trial() { 1 } else { self.concurrency }
    }

    fn is_over(&self) -> bool {
        self.stopped.is_some() || self.given_up.is_some() || self.queue.is_empty()
    }

    /// The next batch, if one may be sent at this instant.
    fn next(&mut self) -> Option<Range<usize>> {
        if self.is_over() || self.pause().is_some() {
            return None;
        }
        let Range { start, end } = self.queue.pop_front()?;
        let middle = end.min(start + self.size.next());
        if middle < end {
            self.queue.push_front(middle..end);
        }
        Some(start..middle)
    }

    /// When the queue may go on, if it has to wait.
    fn pause(&self) -> Option<Instant> {
        let now = Instant::now();
        self.not_before.filter(|until| *until > now && !self.is_over())
    }

    /// Takes the reply to one request.
    fn handle_reply(&mut self, batch: Range<usize>, reply: Reply) {
        if !matches!(reply, Reply::NotExecuted { .. }) {
            self.throttled_since = None;
            self.attempt = 0;
        }
        match reply {
            Reply::Answered(answers) => self.answered(batch, answers),
            Reply::Refused(error) if ends_the_run(&error) => self.stop(batch, error),
            Reply::Refused(error) if batch.len() > 1 => self.refused(batch, &error),
            Reply::Refused(error) => {
                self.refused_single = true;
                self.all(batch, &Outcome::Rejected(error.message));
            }
            Reply::Unknown(error) => self.unknown(batch, error),
            Reply::NotExecuted { error, retry_after } => self.not_run(batch, error, retry_after),
        }
    }

    fn answered(&mut self, batch: Range<usize>, answers: Vec<Answer>) {
        self.size.accept(batch.len());
        let mut answers = answers.into_iter();
        for at in batch {
            let outcome = match answers.next() {
                Some(Answer::Done) => Outcome::Done,
                Some(Answer::Rejected(why)) => Outcome::Rejected(why),
                Some(Answer::Unknown(why)) => Outcome::Unknown(why),
                None => Outcome::Unknown("the response does not mention it".to_owned()),
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

    /// The request was not executed, and no other would be.
    fn stop(&mut self, batch: Range<usize>, error: ClientError) {
        self.all(batch, &Outcome::NotSent(error.message.clone()));
        self.stopped.get_or_insert(error.into());
    }

    /// The server refused the document of a batch: for its size, or for one of its changes. It
    /// comes last, so that others show which.
    fn refused(&mut self, batch: Range<usize>, error: &ClientError) {
        let Range { start, end } = batch;
        if self.size.refuse(end - start) {
            let size = self.size.next();
            tracing::info!(%error, size, "the server refused a batch; sending smaller ones");
            self.queue.push_back(batch);
        } else {
            let middle = start.midpoint(end);
            self.queue.extend([start..middle, middle..end]);
        }
    }

    /// Nothing waits for it: the listing after the run shows what happened.
    fn unknown(&mut self, batch: Range<usize>, error: ClientError) {
        self.all(batch, &Outcome::Unknown(error.message.clone()));
        if ends_the_run(&error) {
            self.stopped.get_or_insert(error.into());
        }
    }

    /// The request was certainly not executed, so it may be sent again, until the time limit.
    /// Then throttling ends this class, and having no connection ends the run.
    fn not_run(&mut self, batch: Range<usize>, error: ClientError, retry_after: Option<Duration>) {
        if !error.kind.is_transient() {
            return self.stop(batch, error);
        }
        let now = Instant::now();
        let since = *self.throttled_since.get_or_insert(now);
        // A request that was in flight when the wait began says nothing new, unless the server
        // asks for a longer wait.
        let waiting = self.not_before.is_some_and(|until| until > now);
        self.attempt += u32::from(!waiting);
        let wait = match retry_after {
            None if waiting => Duration::ZERO,
            asked => retry::delay(self.attempt, asked, fastrand::f64()),
        };
        self.not_before = self.not_before.max(Some(now + wait));
        if self.not_before <= Some(since + GIVE_UP_AFTER) {
            self.queue.push_front(batch);
        } else if error.kind == FailureKind::Throttled {
            self.all(batch, &Outcome::NotSent(error.message.clone()));
            self.given_up = Some(error.message);
        } else {
            self.stop(batch, error);
        }
    }
}

/// Whether every later request would fail as well.
fn ends_the_run(error: &ClientError) -> bool {
    !error.kind.is_transient() && error.kind != FailureKind::Graphql
}
