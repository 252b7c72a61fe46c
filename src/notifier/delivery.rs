//! The delivery to one receiver: attempts, signature, retries.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use secrecy::ExposeSecret as _;
use tokio::sync::mpsc;

use super::{AllowedHosts, Delivery, sign};
use crate::client::{self, endpoint_is_safe, is_loopback};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Format, NotifyTarget, WebhookUrl};
use crate::escape::escape;
use crate::metrics::Metrics;
use crate::notice::{Notice, json, slack};
use crate::source::env_var;

/// Timeout of one attempt.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends the notices of one receiver, in order.
pub(super) struct DeliveryWorker {
    pub receiver: NotifyTarget,
    pub name: String,
    pub metrics: Arc<Metrics>,
    pub retry_delays: &'static [Duration],
    pub allowed_hosts: AllowedHosts,
}

/// Why an attempt failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DeliveryError {
    /// With the time in `Retry-After`.
    Retryable(String, Option<Duration>),
    Permanent(String),
}

impl DeliveryWorker {
    /// Until the queue is closed.
    pub async fn run(self, mut deliveries: mpsc::Receiver<Delivery>) {
        while let Some(delivery) = deliveries.recv().await {
            match delivery {
                Delivery::Notice(notice) => {
                    let outcome = self.deliver(&notice).await;
                    self.metrics.count_notice(&self.name, notice.event, outcome);
                }
                Delivery::Remember(kept) => kept.keep().await,
            }
        }
    }

    /// Attempts the delivery until it succeeds, fails permanently, or has no retries left.
    async fn deliver(&self, notice: &Notice) -> &'static str {
        let id = new_id();
        let (receiver, event) = (&self.name, notice.event.as_str());
        let mut delays = self.retry_delays.iter();
        loop {
            let (error, delay) = match self.attempt(&id, notice).await {
                Ok(_) => {
                    tracing::debug!(receiver, event, "notice delivered");
                    return "delivered";
                }
                Err(DeliveryError::Retryable(error, retry_after)) => {
                    (error, delays.next().map(|delay| (*delay, retry_after)))
                }
                Err(DeliveryError::Permanent(error)) => (error, None),
            };
            let Some((delay, retry_after)) = delay else {
                tracing::warn!(receiver, event, "notice not delivered: {error}");
                return "failed";
            };
            tracing::info!(receiver, event, "notice not delivered, retrying: {error}");
            let longest = self.retry_delays.last().copied().unwrap_or(delay);
            tokio::time::sleep(delay.max(retry_after.unwrap_or_default().min(longest))).await;
        }
    }

    /// Sends it once, and returns the status.
    pub async fn attempt(&self, id: &str, notice: &Notice) -> Result<StatusCode, DeliveryError> {
        let url = self.url()?;
        if self.allowed_hosts == AllowedHosts::Loopback && !is_loopback(&url) {
            let message = "with --sandbox, notices are sent only to loopback addresses";
            return Err(DeliveryError::Permanent(message.to_owned()));
        }
        let body = match self.receiver.format {
            Format::Json => json::body(notice),
            Format::Slack => slack::body(notice),
        };
        let settings = client::Settings::new(url.clone(), TIMEOUT);
        let http = client::connections(&settings).map_err(|error| retryable(error.message))?;
        let mut request = http.post(url).header(CONTENT_TYPE, "application/json");
        if let Some(secret) = &self.receiver.secret {
            let secret =
                secret.resolve(&env_var).map_err(|problem| retryable(problem.to_string()))?;
            let signed = sign::headers(&secret, id, SystemClock.now(), &body);
            let signed =
                signed.ok_or_else(|| retryable("invalid secret: no valid base64 after whsec_"))?;
            for (name, value) in signed {
                request = request.header(name, value);
            }
        }
        let sent = request.body(body).send().await;
        let response = sent.map_err(|error| retryable(escape(&client::cause(&error))))?;
        let status = response.status();
        if status.is_success() {
            return Ok(status);
        }
        let error = format!("the receiver returned {status}{}", what_to_do(status));
        let is_retryable = status.is_server_error()
            || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
        if !is_retryable {
            return Err(DeliveryError::Permanent(error));
        }
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        Err(DeliveryError::Retryable(error, retry_after.map(Duration::from_secs)))
    }

    fn url(&self) -> Result<Url, DeliveryError> {
        let source = match &self.receiver.url {
            WebhookUrl::Plain(url) => return Ok(url.clone()),
            WebhookUrl::Secret(source) => source,
        };
        let text = source.resolve(&env_var).map_err(|problem| retryable(problem.to_string()))?;
        let url: Url =
            text.expose_secret().trim().parse().map_err(|_| retryable("not a valid URL"))?;
        if endpoint_is_safe(&url) { Ok(url) } else { Err(retryable("the URL is not https")) }
    }
}

/// All attempts share the id, so that the receiver can detect duplicates.
pub(super) fn new_id() -> String {
    format!("msg_{:032x}", fastrand::u128(..))
}

fn what_to_do(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => "; write the URL that it redirects to",
        400 | 415 | 422 => "; check `format`",
        401 | 403 => "; check `url` and `secret`",
        404 | 410 => "; check `url`: the webhook may have been deleted",
        _ => "",
    }
}

/// Unreadable secrets are retryable too: an operator can fix them meanwhile.
fn retryable(why: impl Into<String>) -> DeliveryError {
    DeliveryError::Retryable(why.into(), None)
}
