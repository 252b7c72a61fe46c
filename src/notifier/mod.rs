//! Delivers notices to webhooks. A run never waits for a delivery; a failed one is logged and
//! counted.

mod sign;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use secrecy::ExposeSecret as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::client::{self, endpoint_is_safe, is_loopback};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Format, NotifyTarget, SecretSource, WebhookUrl};
use crate::daemon::RunCompleted;
use crate::escape::escape;
use crate::metrics::Metrics;
use crate::notice::tracker::{NoticeTracker, RunView};
use crate::notice::{Notice, json, slack};
use crate::source::env_var;

/// Maximum number of queued notices for one receiver; further ones are dropped.
const QUEUE_SIZE: usize = 100;
/// Timeout of one attempt.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Delays after failed attempts. `Retry-After` can extend them, up to the longest.
pub const RETRY_DELAYS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
];

#[derive(Debug)]
pub struct Notifier {
    metrics: Arc<Metrics>,
    retry_delays: &'static [Duration],
    allowed_hosts: AllowedHosts,
    /// URL of the web UI.
    public_url: Mutex<Option<Url>>,
    subscriptions: Mutex<Vec<Subscription>>,
}

/// The hosts that may receive notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedHosts {
    Any,
    /// Only loopback addresses; for a sandbox, whose events are not real.
    Loopback,
}

/// A receiver, with its queue and worker.
#[derive(Debug)]
struct Subscription {
    receiver: NotifyTarget,
    tracker: NoticeTracker,
    queue: mpsc::Sender<Delivery>,
    worker: JoinHandle<()>,
}

/// A notice to deliver. All attempts share the id, so that the receiver can detect duplicates.
#[derive(Debug)]
struct Delivery {
    id: String,
    notice: Notice,
    /// The page of the workspace.
    page: Option<String>,
}

impl Notifier {
    pub fn new(
        metrics: Arc<Metrics>,
        retry_delays: &'static [Duration],
        allowed_hosts: AllowedHosts,
    ) -> Self {
        let (public_url, subscriptions) = Default::default();
        Self { metrics, retry_delays, allowed_hosts, public_url, subscriptions }
    }

    /// Replaces the receivers. One that stays keeps its queue and what it was notified of.
    pub fn set_receivers(&self, receivers: &[NotifyTarget], public_url: Option<&Url>) {
        *self.public_url.lock() = public_url.cloned();
        let mut subscriptions = self.subscriptions.lock();
        let mut known = std::mem::take(&mut *subscriptions);
        for receiver in receivers {
            let position = known.iter().position(|it| it.receiver == *receiver);
            let subscription = position.map(|at| known.swap_remove(at));
            subscriptions.push(subscription.unwrap_or_else(|| self.subscribe(receiver)));
        }
    }

    fn subscribe(&self, receiver: &NotifyTarget) -> Subscription {
        let (queue, deliveries) = mpsc::channel(QUEUE_SIZE);
        self.metrics.add_receiver(&name(receiver), &receiver.events);
        let worker = DeliveryWorker {
            receiver: receiver.clone(),
            name: name(receiver),
            metrics: Arc::clone(&self.metrics),
            retry_delays: self.retry_delays,
            allowed_hosts: self.allowed_hosts,
        };
        Subscription {
            receiver: receiver.clone(),
            tracker: NoticeTracker::new(receiver.within),
            queue,
            worker: tokio::spawn(worker.run(deliveries)),
        }
    }

    /// Queues the new notices of a run. Does not block.
    pub fn on_run_completed(&self, run: &RunCompleted<'_>) {
        let loaded = run.observation.as_ref().map(|observation| &observation.loaded);
        let view = RunView {
            report: run.report,
            sources: run.sources,
            roster: loaded.map(|loaded| &loaded.roster),
            revision: loaded.and_then(|loaded| loaded.revision.as_ref()),
        };
        let page = self.public_url.lock().as_ref().and_then(|url| page(url, &run.report.workspace));
        for Subscription { receiver, tracker, queue, .. } in self.subscriptions.lock().iter_mut() {
            let workspaces = receiver.workspaces.as_ref();
            if workspaces.is_some_and(|names| !names.contains(&run.report.workspace)) {
                continue;
            }
            for notice in tracker.on_run_completed(&view) {
                if !receiver.events.contains(&notice.event) {
                    continue;
                }
                let event = notice.event;
                let id = format!("msg_{:032x}", fastrand::u128(..));
                let delivery = Delivery { id, notice, page: page.clone() };
                if queue.try_send(delivery).is_err() {
                    let receiver = name(receiver);
                    self.metrics.count_notice(&receiver, event, "dropped");
                    tracing::warn!(receiver, event = event.as_str(), "queue full, notice dropped");
                }
            }
        }
    }

    /// Closes the queues, and waits up to `timeout` for pending deliveries.
    pub async fn shutdown(&self, timeout: Duration) {
        let subscriptions = std::mem::take(&mut *self.subscriptions.lock());
        // Dropping the senders ends the workers once their queues are empty.
        let workers: Vec<_> = subscriptions.into_iter().map(|it| it.worker).collect();
        let _ = tokio::time::timeout(timeout, futures_util::future::join_all(workers)).await;
    }
}

/// The name of a receiver in logs and metrics. It never contains a secret URL.
fn name(receiver: &NotifyTarget) -> String {
    match &receiver.url {
        WebhookUrl::Plain(url) => url.host_str().unwrap_or("webhook").to_owned(),
        WebhookUrl::Secret(SecretSource::Env(name)) => name.clone(),
        WebhookUrl::Secret(SecretSource::File(path)) => path.display().to_string(),
        WebhookUrl::Secret(SecretSource::Sandbox(_)) => "sandbox".to_owned(),
    }
}

/// The URL of a workspace's page.
fn page(public_url: &Url, workspace: &str) -> Option<String> {
    let mut url = public_url.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(["workspaces", workspace]);
    Some(url.into())
}

struct DeliveryWorker {
    receiver: NotifyTarget,
    name: String,
    metrics: Arc<Metrics>,
    retry_delays: &'static [Duration],
    allowed_hosts: AllowedHosts,
}

/// Why an attempt failed.
#[derive(Debug, PartialEq, Eq)]
enum DeliveryError {
    /// With the time in `Retry-After`.
    Retryable(String, Option<Duration>),
    Permanent(String),
}

impl DeliveryWorker {
    async fn run(self, mut deliveries: mpsc::Receiver<Delivery>) {
        while let Some(delivery) = deliveries.recv().await {
            let outcome = self.deliver(&delivery).await;
            self.metrics.count_notice(&self.name, delivery.notice.event, outcome);
        }
    }

    /// Attempts the delivery until it succeeds, fails permanently, or has no retries left.
    async fn deliver(&self, delivery: &Delivery) -> &'static str {
        let (receiver, event) = (&self.name, delivery.notice.event.as_str());
        let mut delays = self.retry_delays.iter();
        loop {
            let (error, delay) = match self.attempt(delivery).await {
                Ok(()) => {
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

    async fn attempt(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let url = self.url()?;
        if self.allowed_hosts == AllowedHosts::Loopback && !is_loopback(&url) {
            let message = "with --sandbox, notices are sent only to loopback addresses";
            return Err(DeliveryError::Permanent(message.to_owned()));
        }
        let body = match self.receiver.format {
            Format::Json => json::body(&delivery.notice),
            Format::Slack => slack::body(&delivery.notice, delivery.page.as_deref()),
        };
        let settings = client::Settings::new(url.clone(), TIMEOUT);
        let http = client::connections(&settings).map_err(|error| retryable(error.message))?;
        let mut request = http.post(url).header(CONTENT_TYPE, "application/json");
        if let Some(secret) = &self.receiver.secret {
            let secret =
                secret.resolve(&env_var).map_err(|problem| retryable(problem.to_string()))?;
            let signed = sign::headers(&secret, &delivery.id, SystemClock.now(), &body);
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
            return Ok(());
        }
        let error = format!("the receiver returned {status}");
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

/// Unreadable secrets are retryable too: an operator can fix them meanwhile.
fn retryable(why: impl Into<String>) -> DeliveryError {
    DeliveryError::Retryable(why.into(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_a_workspace_is_below_the_public_url() {
        for public in ["https://acme.io/rosterd", "https://acme.io/rosterd/"] {
            let url = page(&public.parse().unwrap(), "a/b <c>");
            let expected = "https://acme.io/rosterd/workspaces/a%2Fb%20%3Cc%3E";
            assert_eq!(url.as_deref(), Some(expected));
        }
    }
}
