//! Brings notices to those who asked for them. Nobody waits for it: a run goes on whatever a
//! receiver does, and what cannot be delivered is told in the log and counted.

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
use crate::metrics::Metrics;
use crate::notice::tracker::{NoticeTracker, RunView};
use crate::notice::{Notice, json, slack};
use crate::source::env_var;

/// So many notices wait for one receiver; what comes then is lost, and told.
const QUEUE: usize = 100;
/// A receiver answers within this.
const TIMEOUT: Duration = Duration::from_secs(10);
/// After an attempt that may be repeated. What is asked for by `Retry-After` is waited for too, up
/// to the last of these.
pub const RETRY_DELAYS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
];

/// All receivers.
#[derive(Debug)]
pub struct Notifier {
    metrics: Arc<Metrics>,
    waits: &'static [Duration],
    reach: AllowedHosts,
    routes: Mutex<Vec<Subscription>>,
}

/// How far notices go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedHosts {
    Any,
    /// This machine alone: what happens to the people of a sandbox is nobody else's business.
    Loopback,
}

/// The way to one receiver.
#[derive(Debug)]
struct Subscription {
    receiver: NotifyTarget,
    watch: NoticeTracker,
    queue: mpsc::Sender<Delivery>,
    carrier: JoinHandle<()>,
}

/// What is carried: the same identity whichever attempt it is.
#[derive(Debug)]
struct Delivery {
    id: String,
    notice: Notice,
}

impl Notifier {
    pub fn new(metrics: Arc<Metrics>, waits: &'static [Duration], reach: AllowedHosts) -> Self {
        Self { metrics, waits, reach, routes: Mutex::default() }
    }

    /// These are told from now on, and no others. Who was told before is not told again.
    pub fn adopt(&self, receivers: &[NotifyTarget]) {
        let mut routes = self.routes.lock();
        let mut known = std::mem::take(&mut *routes);
        for receiver in receivers {
            let before = known.iter().position(|route| route.receiver == *receiver);
            let route = before.map(|at| known.swap_remove(at));
            routes.push(route.unwrap_or_else(|| self.route(receiver)));
        }
    }

    fn route(&self, receiver: &NotifyTarget) -> Subscription {
        let (queue, parcels) = mpsc::channel(QUEUE);
        self.metrics.receives(&name(receiver), &receiver.events);
        let carrier = DeliveryWorker {
            receiver: receiver.clone(),
            name: name(receiver),
            metrics: Arc::clone(&self.metrics),
            waits: self.waits,
            reach: self.reach,
        };
        let carrier = tokio::spawn(carrier.carry(parcels));
        Subscription {
            receiver: receiver.clone(),
            watch: NoticeTracker::new(receiver.within),
            queue,
            carrier,
        }
    }

    /// Sends on what a run gives rise to. Never waits.
    pub fn hear(&self, run: &RunCompleted<'_>) {
        let loaded = run.observation.as_ref().map(|observation| &observation.loaded);
        let heard = RunView {
            report: run.report,
            sources: run.sources,
            roster: loaded.map(|loaded| &loaded.roster),
            revision: loaded.and_then(|loaded| loaded.revision.as_ref()),
        };
        for route in self.routes.lock().iter_mut() {
            let workspaces = route.receiver.workspaces.as_ref();
            if workspaces.is_some_and(|it| !it.contains(&run.report.workspace)) {
                continue;
            }
            for notice in route.watch.hear(&heard) {
                if !route.receiver.events.contains(&notice.event) {
                    continue;
                }
                let event = notice.event;
                let id = format!("msg_{:032x}", fastrand::u128(..));
                if route.queue.try_send(Delivery { id, notice }).is_err() {
                    let receiver = name(&route.receiver);
                    self.metrics.notified(&receiver, event, "dropped");
                    tracing::warn!(receiver, event = event.as_str(), "too many notices wait");
                }
            }
        }
    }

    /// Delivers what waits, within a time: what has failed once is not waited for.
    pub async fn leave(&self, within: Duration) {
        let routes = std::mem::take(&mut *self.routes.lock());
        let carriers: Vec<_> = routes.into_iter().map(|route| route.carrier).collect();
        let _ = tokio::time::timeout(within, futures_util::future::join_all(carriers)).await;
    }
}

/// What a receiver is called: never by its address where that is a secret.
fn name(receiver: &NotifyTarget) -> String {
    match &receiver.url {
        WebhookUrl::Plain(url) => url.host_str().unwrap_or("webhook").to_owned(),
        WebhookUrl::Secret(SecretSource::Env(name)) => name.clone(),
        WebhookUrl::Secret(SecretSource::File(path)) => path.display().to_string(),
        WebhookUrl::Secret(SecretSource::Sandbox(_)) => "sandbox".to_owned(),
    }
}

struct DeliveryWorker {
    receiver: NotifyTarget,
    name: String,
    metrics: Arc<Metrics>,
    waits: &'static [Duration],
    reach: AllowedHosts,
}

/// How an attempt ended that did not deliver.
#[derive(Debug, PartialEq, Eq)]
enum DeliveryError {
    /// It may go better later: no sooner than asked for.
    Retryable(String, Option<Duration>),
    Permanent(String),
}

impl DeliveryWorker {
    async fn carry(self, mut parcels: mpsc::Receiver<Delivery>) {
        while let Some(parcel) = parcels.recv().await {
            let event = parcel.notice.event;
            let outcome = self.deliver(&parcel).await;
            self.metrics.notified(&self.name, event, outcome);
        }
    }

    /// Tries until it is delivered or given up.
    async fn deliver(&self, parcel: &Delivery) -> &'static str {
        let (receiver, event) = (&self.name, parcel.notice.event.as_str());
        let mut waits = self.waits.iter();
        loop {
            let (why, wait) = match self.attempt(parcel).await {
                Ok(()) => {
                    tracing::debug!(receiver, event, "a notice is delivered");
                    return "delivered";
                }
                Err(DeliveryError::Retryable(why, asked)) => {
                    (why, waits.next().map(|it| (*it, asked)))
                }
                Err(DeliveryError::Permanent(why)) => (why, None),
            };
            let Some((wait, asked)) = wait else {
                tracing::warn!(receiver, event, "a notice is not delivered: {why}");
                return "failed";
            };
            tracing::info!(receiver, event, "a notice is not delivered yet: {why}");
            let longest = self.waits.last().copied().unwrap_or(wait);
            tokio::time::sleep(wait.max(asked.unwrap_or_default().min(longest))).await;
        }
    }

    async fn attempt(&self, parcel: &Delivery) -> Result<(), DeliveryError> {
        let url = self.address()?;
        if self.reach == AllowedHosts::Loopback && !is_loopback(&url) {
            return Err(DeliveryError::Permanent("a sandbox tells this machine alone".to_owned()));
        }
        let body = match self.receiver.format {
            Format::Json => json::body(&parcel.notice),
            Format::Slack => slack::body(&parcel.notice),
        };
        let http = http(&url)?;
        let mut request = http.post(url).header(CONTENT_TYPE, "application/json");
        if let Some(secret) = &self.receiver.secret {
            let secret = secret.resolve(&env_var).map_err(|it| later(it.to_string()))?;
            let signed = sign::headers(&secret, &parcel.id, SystemClock.now(), &body);
            let signed = signed.ok_or_else(|| later("the secret is no base64 after whsec_"))?;
            for (name, value) in signed {
                request = request.header(name, value);
            }
        }
        let answer = request.body(body).send().await.map_err(|error| later(without_url(error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let why = format!("the receiver answers {status}");
        let is_for_now = status.is_server_error()
            || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
        if !is_for_now {
            return Err(DeliveryError::Permanent(why));
        }
        let asked = answer.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.parse().ok());
        Err(DeliveryError::Retryable(why, asked.map(Duration::from_secs)))
    }

    fn address(&self) -> Result<Url, DeliveryError> {
        let source = match &self.receiver.url {
            WebhookUrl::Plain(url) => return Ok(url.clone()),
            WebhookUrl::Secret(source) => source,
        };
        let text = source.resolve(&env_var).map_err(|problem| later(problem.to_string()))?;
        let url: Url =
            text.expose_secret().trim().parse().map_err(|_| later("the secret is no address"))?;
        if endpoint_is_safe(&url) { Ok(url) } else { Err(later("the address is not https")) }
    }
}

/// A receiver, its address and its secret can be mended meanwhile.
fn later(why: impl Into<String>) -> DeliveryError {
    DeliveryError::Retryable(why.into(), None)
}

/// With the roots and the caution of the client of the API.
fn http(url: &Url) -> Result<reqwest::Client, DeliveryError> {
    let settings = client::Settings {
        endpoint: url.clone(),
        workspace_uid: None,
        timeout: TIMEOUT,
        rate: None,
        ca_file: None,
    };
    client::connections(&settings).map_err(|error| later(error.message))
}

/// The reasons of a failure; its address may be a secret.
fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        words = inner.to_string();
        source = inner.source();
    }
    crate::escape::escape(&words).into_owned()
}
