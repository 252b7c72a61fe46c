//! The directory of one workspace over HTTP. Listings are retried within limits; a batch of changes
//! is sent once.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::answer::{ErrorContext, Response};
use super::transport::{ExchangeError, Transport};
use super::{
    Answer, ClientError, Credentials, ReadDirectory, Reply, RequestMetrics, TRACE, WriteDirectory,
    document, interpret,
};
use crate::directory::Snapshot;
use crate::failure::FailureKind;
use crate::plan::change::Change;
use crate::retry;
use crate::roster::Digest;

/// The directory of one workspace, with the credentials of one run.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Arc<Transport>,
    credentials: Credentials,
    /// Where the credentials come from, for messages.
    origin: String,
}

/// Why there is no listing, and the wait that the server asks for.
type ListError = (ClientError, Option<Duration>);

impl Client {
    pub fn new(transport: Arc<Transport>, credentials: Credentials) -> Self {
        Self { transport, credentials, origin: String::new() }
    }

    /// Names the origin of the credentials in errors.
    #[must_use]
    pub fn with_origin(self, origin: String) -> Self {
        Self { origin, ..self }
    }

    fn context(&self) -> ErrorContext<'_> {
        let context = ErrorContext::new(self.transport.endpoint(), &self.credentials);
        context.with_origin(&self.origin)
    }

    /// Sends one request, and reports its metrics. `field` is the GraphQL field.
    async fn request(
        &self,
        (operation, field): (&'static str, &'static str),
        count: usize,
        body: String,
    ) -> Result<Response, ExchangeError> {
        let (began, sent) = (Instant::now(), body.len());
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
        let result = exchange.instrument(span.clone()).await;
        let (status, error) = match &result {
            Ok(response) => (response.status, None),
            Err(failed) => (0, Some(failed.error.kind)),
        };
        span.record("http.response.status_code", status);
        if let Some(kind) = error {
            span.record("error.type", kind.as_str());
        }
        let took = began.elapsed();
        let metrics = RequestMetrics { operation: field, status, error, took };
        self.transport.observer.iter().for_each(|observer| observer.on_request(&metrics));
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let kind = error.map_or("answered", FailureKind::as_str);
        tracing::debug!(operation, status, kind, ms, count, "request");
        let received = result.as_ref().map_or(0, |response| response.body.len());
        tracing::trace!(operation, sent, received, "bytes of the request and of its response");
        result
    }

    /// Lowers the shared rate after an overload error.
    fn note(&self, began: Instant, error: &ClientError, retry_after: Option<Duration>) {
        if matches!(error.kind, FailureKind::Throttled | FailureKind::Server | FailureKind::Timeout)
        {
            self.transport.throttle.on_throttle(began, retry_after);
        }
    }

    async fn list_once(&self, max_wait: Duration) -> Result<Snapshot, ListError> {
        if let Err(left) = self.transport.throttle.acquire(max_wait).await {
            return Err((self.throttled_error(left), Some(left)));
        }
        let began = Instant::now();
        let (error, retry_after) =
            match self.request(("list", "listUsers"), 0, document::list()).await {
                Err(failed) => (failed.error, None),
                Ok(response) => match interpret::listing(&response, &self.context()) {
                    Ok(snapshot) => return Ok(snapshot),
                    Err(error) => (error, response.retry_after),
                },
            };
        self.note(began, &error, retry_after);
        Err((error, retry_after))
    }

    fn throttled_error(&self, left: Duration) -> ClientError {
        let message = format!("rate limit exceeded; retry in {} s", left.as_secs().max(1));
        self.context().error(FailureKind::Throttled, &message)
    }

    async fn send_batch(&self, batch: &[(usize, &Change)]) -> Reply {
        // The caller waits, because it can be cancelled.
        if let Err(left) = self.transport.throttle.acquire(Duration::ZERO).await {
            let (error, retry_after) = (self.throttled_error(left), Some(left));
            return Reply::NotExecuted { error, retry_after };
        }
        let began = Instant::now();
        let body = document::mutation(batch.iter().copied());
        let request = self.request(("change", field(batch)), batch.len(), body);
        let (reply, retry_after) = match request.await {
            Ok(response) => {
                let aliases: Vec<String> =
                    batch.iter().map(|(at, _)| document::alias(*at)).collect();
                let reply = interpret::mutation(&response, &aliases, &self.context());
                (reply, response.retry_after)
            }
            Err(ExchangeError { error, sent: false }) => {
                (Reply::NotExecuted { error, retry_after: None }, None)
            }
            Err(ExchangeError { error, sent: true }) => (Reply::Unknown(error), None),
        };
        if let Reply::NotExecuted { error, .. } | Reply::Unknown(error) = &reply {
            self.note(began, error, retry_after);
        }
        reply
    }
}

/// The GraphQL field of a batch; all its changes are of one class.
fn field(batch: &[(usize, &Change)]) -> &'static str {
    batch.first().map_or("", |(_, change)| document::field(&change.action))
}

impl ReadDirectory for Client {
    async fn list(&self) -> Result<Snapshot, ClientError> {
        let began = Instant::now();
        let mut attempt = 1;
        loop {
            let max_wait = retry::DEADLINE.saturating_sub(began.elapsed());
            let (error, retry_after) = match self.list_once(max_wait).await {
                Ok(snapshot) => return Ok(snapshot),
                Err(failed) => failed,
            };
            let wait = retry::next(attempt, began.elapsed(), retry_after, fastrand::f64());
            let Some(wait) = wait.filter(|_| error.kind.is_transient()) else {
                return Err(error);
            };
            let kind = error.kind.as_str();
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(kind, %error, wait_ms, attempt, "request failed, retrying");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// The first eight digits of a hash of the key and its secret.
    fn key(&self) -> Option<String> {
        let secrets = match &self.credentials {
            Credentials::KeyPair { key, secret } => vec![key, secret],
            Credentials::Token(token) => vec![token],
        };
        Some(Digest::of(secrets.into_iter().map(ExposeSecret::expose_secret)).short())
    }
}

impl WriteDirectory for Client {
    /// Rejects changes that GraphQL cannot express, and sends the others.
    async fn send(&self, batch: &[&Change]) -> Reply {
        let invalid: Vec<Option<String>> =
            batch.iter().map(|change| document::validate_role(change)).collect();
        let all = batch.iter().copied().enumerate().zip(&invalid);
        let valid: Vec<(usize, &Change)> =
            all.filter(|(_, invalid)| invalid.is_none()).map(|(change, _)| change).collect();
        let reply = match &valid[..] {
            [] => Reply::Answered(Vec::new()),
            valid => self.send_batch(valid).await,
        };
        let Reply::Answered(answers) = reply else { return reply };
        let missing = || Answer::Unknown("no result in the response".into());
        let mut answers = answers.into_iter();
        let merged = invalid.into_iter().map(|invalid| match invalid {
            Some(why) => Answer::Rejected(why),
            None => answers.next().unwrap_or_else(missing),
        });
        Reply::Answered(merged.collect())
    }
}
