//! The directory of one workspace over HTTP: readings are tried again within limits, a batch of
//! changes is sent once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::answer::{ErrorContext, Response};
use super::transport::{Transport, Unanswered};
use super::{
    Answer, ClientError, Credentials, ErrorClass, ReadDirectory, Reply, RequestMetrics, TRACE,
    WriteDirectory, document, interpret,
};
use crate::directory::Snapshot;
use crate::failure::FailureKind;
use crate::plan::change::Change;
use crate::retry;

/// The directory of one workspace, with the credentials of one run.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Arc<Transport>,
    credentials: Credentials,
}

/// A reading that failed, and the wait that the server asked for.
struct FailedReading {
    error: ClientError,
    asked: Option<Duration>,
}

impl Client {
    pub fn new(transport: Arc<Transport>, credentials: Credentials) -> Self {
        Self { transport, credentials }
    }

    fn context(&self) -> ErrorContext<'_> {
        ErrorContext::new(self.transport.endpoint(), &self.credentials)
    }

    /// One request; what it took is logged and told. `field` is what of the API is asked for.
    async fn ask(
        &self,
        (operation, field): (&'static str, &'static str),
        count: usize,
        body: String,
    ) -> Result<Response, Unanswered> {
        let began = Instant::now();
        let span = tracing::info_span!(
            target: TRACE,
            "request",
            otel.name = field,
            otel.kind = "client",
            count,
            http.response.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        let context = self.context();
        let exchange = self.transport.exchange(&self.credentials, body, &context);
        let answered = exchange.instrument(span.clone()).await;
        let (status, unanswered) = match &answered {
            Ok(response) => (response.status, None),
            Err(unanswered) => (0, Some(unanswered.error.kind)),
        };
        span.record("http.response.status_code", status);
        if let Some(kind) = unanswered {
            span.record("error.type", kind.as_str());
        }
        let took = began.elapsed();
        self.transport.tell(&RequestMetrics { operation: field, status, unanswered, took });
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let kind = unanswered.map_or("answered", FailureKind::as_str);
        tracing::debug!(operation, status, kind, ms, count, "request");
        answered
    }

    /// Trouble slows everybody down.
    fn note(&self, began: Instant, error: &ClientError, asked: Option<Duration>) {
        if matches!(error.kind, FailureKind::Throttled | FailureKind::Server | FailureKind::Timeout)
        {
            self.transport.throttle.trouble(began, asked);
        }
    }

    async fn list_once(&self, patience: Duration) -> Result<Snapshot, FailedReading> {
        if let Err(left) = self.transport.throttle.turn(patience).await {
            return Err(FailedReading { error: self.throttled_error(left), asked: Some(left) });
        }
        let began = Instant::now();
        let (error, asked) = match self.ask(("list", "listUsers"), 0, document::list()).await {
            Err(unanswered) => (unanswered.error, None),
            Ok(response) => match interpret::reading(&response, &self.context()) {
                Ok(snapshot) => return Ok(snapshot),
                Err(error) => (error, response.retry_after),
            },
        };
        self.note(began, &error, asked);
        Err(FailedReading { error, asked })
    }

    fn throttled_error(&self, left: Duration) -> ClientError {
        let said = format!("asked to be left alone for another {} s", left.as_secs().max(1));
        self.context().error(ErrorClass::Transient, FailureKind::Throttled, &said)
    }

    async fn send_batch(&self, batch: &[(usize, &Change)]) -> Reply {
        // Waiting longer is the caller's business: it can be called off there.
        if let Err(left) = self.transport.throttle.turn(Duration::ZERO).await {
            return Reply::NotExecuted {
                error: self.throttled_error(left),
                retry_after: Some(left),
            };
        }
        let began = Instant::now();
        let body = document::mutation(batch.iter().copied());
        let (reply, asked) = match self.ask(("change", field(batch)), batch.len(), body).await {
            Ok(response) => {
                let aliases: Vec<String> =
                    batch.iter().map(|(at, _)| document::alias(*at)).collect();
                let reply = interpret::writing(&response, &aliases, &self.context());
                (reply, response.retry_after)
            }
            Err(Unanswered { error, sent: false }) => {
                (Reply::NotExecuted { error, retry_after: None }, None)
            }
            Err(Unanswered { error, sent: true }) => (Reply::Unknown(error), None),
        };
        if let Reply::NotExecuted { error, .. } | Reply::Unknown(error) = &reply {
            self.note(began, error, asked);
        }
        reply
    }
}

/// What a batch asks for; the changes of one are of one class.
fn field(batch: &[(usize, &Change)]) -> &'static str {
    batch.first().map_or("", |(_, change)| document::field(&change.action))
}

impl ReadDirectory for Client {
    async fn list(&self) -> Result<Snapshot, ClientError> {
        let began = Instant::now();
        let mut attempt = 1;
        loop {
            let patience = retry::DEADLINE.saturating_sub(began.elapsed());
            let FailedReading { error, asked } = match self.list_once(patience).await {
                Ok(snapshot) => return Ok(snapshot),
                Err(failed) => failed,
            };
            let wait = retry::next(attempt, began.elapsed(), asked, fastrand::f64());
            let Some(wait) = wait.filter(|_| error.class == ErrorClass::Transient) else {
                return Err(error);
            };
            let kind = error.kind.as_str();
            tracing::info!(kind, %error, ?wait, attempt, "request failed, retrying");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }
}

impl WriteDirectory for Client {
    /// A change that cannot be written in GraphQL is rejected here and does not hinder the others.
    async fn send(&self, batch: &[&Change]) -> Reply {
        let violations: Vec<Option<String>> =
            batch.iter().map(|change| document::validate_role(change)).collect();
        let sayable: Vec<(usize, &Change)> = batch
            .iter()
            .copied()
            .enumerate()
            .filter(|(at, _)| violations.get(*at).is_some_and(Option::is_none))
            .collect();
        let reply = if sayable.is_empty() {
            Reply::Answered(Vec::new())
        } else {
            self.send_batch(&sayable).await
        };
        let Reply::Answered(answers) = reply else { return reply };
        let mut answers = answers.into_iter();
        let merged = violations.into_iter().map(|refusal| match refusal {
            Some(why) => Answer::Rejected(why),
            None => answers
                .next()
                .unwrap_or_else(|| Answer::Unknown("the answer does not mention it".into())),
        });
        Reply::Answered(merged.collect())
    }
}
