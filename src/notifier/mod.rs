//! Delivers notices to webhooks. A run never waits for a delivery; a failed one is logged and
//! counted. The ledger keeps what a receiver knows, once that was delivered or given up.

mod delivery;
mod sign;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{StatusCode, Url};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::delivery::{DeliveryError, DeliveryWorker};
use crate::blocking::run_blocking;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{NotifyTarget, SecretSource, WebhookUrl};
use crate::daemon::RunCompleted;
use crate::ledger::Ledger;
use crate::memory::scope::Scope;
use crate::metrics::Metrics;
use crate::notice::Notice;
use crate::notice::tracker::{NoticeTracker, Notified, RunView};
use crate::roster::Digest;

/// Maximum number of queued notices for one receiver; further ones are dropped.
const QUEUE_SIZE: usize = 100;
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
    /// The ledger of each workspace, where what was sent is remembered.
    ledgers: Mutex<Ledgers>,
    subscriptions: Mutex<Vec<Subscription>>,
}

/// By the name of the workspace.
pub type Ledgers = BTreeMap<String, (Ledger, Scope)>;

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

/// What a worker does, in this order.
#[derive(Debug)]
enum Delivery {
    Notice(Box<Notice>),
    Remember(Remembered),
}

/// What a receiver knows after a run, and the ledger that keeps it.
#[derive(Debug)]
struct Remembered {
    ledger: Ledger,
    name: String,
    value: String,
}

impl Notifier {
    pub fn new(
        metrics: Arc<Metrics>,
        retry_delays: &'static [Duration],
        allowed_hosts: AllowedHosts,
    ) -> Self {
        let (public_url, ledgers, subscriptions) = Default::default();
        Self { metrics, retry_delays, allowed_hosts, public_url, ledgers, subscriptions }
    }

    /// Replaces the receivers. One that stays keeps its queue and what it was notified of; of
    /// another, and of another workspace, the ledger may know that. Blocks for that.
    pub fn set_receivers(
        &self,
        receivers: &[NotifyTarget],
        public_url: Option<&Url>,
        ledgers: Ledgers,
    ) {
        *self.public_url.lock() = public_url.cloned();
        let mut subscriptions = self.subscriptions.lock();
        let mut known = std::mem::take(&mut *subscriptions);
        for receiver in receivers {
            let position = known.iter().position(|it| it.receiver == *receiver);
            let subscription = position.map(|at| known.swap_remove(at));
            let mut subscription = subscription.unwrap_or_else(|| self.subscribe(receiver));
            for (workspace, (ledger, scope)) in &ledgers {
                subscription.tracker.restore(workspace, || {
                    let kept = ledger.remembered(&remembered_name(scope, receiver));
                    serde_json::from_str(&kept.ok()??).ok()
                });
            }
            subscriptions.push(subscription);
        }
        *self.ledgers.lock() = ledgers;
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
            tracker: NoticeTracker::new(&receiver.events, receiver.within),
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
        let workspace = &run.report.workspace;
        let page = self.public_url.lock().as_ref().and_then(|url| page(url, workspace));
        let ledger = self.ledgers.lock().get(workspace).cloned();
        for subscription in self.subscriptions.lock().iter_mut() {
            let Subscription { receiver, tracker, .. } = subscription;
            let workspaces = receiver.workspaces.as_ref();
            if workspaces.is_some_and(|names| !names.contains(workspace)) {
                continue;
            }
            let (notices, known) = tracker.on_run_completed(&view);
            for notice in notices {
                let notice = Notice { page: page.clone(), ..notice };
                self.queue(subscription, Delivery::Notice(notice.into()));
            }
            if let (Some(known), Some((ledger, scope))) = (known, &ledger) {
                let kept = Remembered::new(ledger, scope, &subscription.receiver, &known);
                self.queue(subscription, Delivery::Remember(kept));
            }
        }
    }

    fn queue(&self, to: &Subscription, delivery: Delivery) {
        let dropped = to.queue.try_send(delivery).map_err(mpsc::error::TrySendError::into_inner);
        if let Err(Delivery::Notice(notice)) = dropped {
            let (receiver, event) = (name(&to.receiver), notice.event);
            self.metrics.count_notice(&receiver, event, "dropped");
            tracing::warn!(receiver, event = event.as_str(), "queue full, notice dropped");
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

/// Sends a test to a receiver, once. The error says what to do.
pub async fn test(
    receiver: &NotifyTarget,
    allowed_hosts: AllowedHosts,
) -> Result<StatusCode, String> {
    let now = SystemClock.now();
    let worker = DeliveryWorker {
        receiver: receiver.clone(),
        name: name(receiver),
        metrics: Arc::new(Metrics::new(now)),
        retry_delays: &[],
        allowed_hosts,
    };
    worker.attempt(&delivery::new_id(), &Notice::test(now)).await.map_err(|error| match error {
        DeliveryError::Retryable(why, _) | DeliveryError::Permanent(why) => why,
    })
}

/// The name of a receiver in logs and metrics. It never contains a secret URL.
pub fn name(receiver: &NotifyTarget) -> String {
    match &receiver.url {
        WebhookUrl::Plain(url) => url.host_str().unwrap_or("webhook").to_owned(),
        WebhookUrl::Secret(SecretSource::Env(name)) => name.clone(),
        WebhookUrl::Secret(SecretSource::File(path)) => path.display().to_string(),
        WebhookUrl::Secret(SecretSource::Sandbox(_)) => "sandbox".to_owned(),
    }
}

impl Remembered {
    fn new(ledger: &Ledger, scope: &Scope, receiver: &NotifyTarget, known: &Notified) -> Self {
        let value = serde_json::to_string(known).unwrap_or_default();
        Self { ledger: ledger.clone(), name: remembered_name(scope, receiver), value }
    }

    async fn keep(self) {
        let Self { ledger, name, value } = self;
        if let Err(error) = run_blocking(move || ledger.remember(&name, &value)).await {
            tracing::warn!("the ledger does not keep what was notified: {error}");
        }
    }
}

/// The name of what a receiver knows of a workspace. Its URL may be secret.
fn remembered_name(scope: &Scope, receiver: &NotifyTarget) -> String {
    let url = match &receiver.url {
        WebhookUrl::Plain(url) => url.to_string(),
        WebhookUrl::Secret(_) => name(receiver),
    };
    format!("notified {} {}", Digest::of([&*url]).short(), scope.key)
}

/// The URL of a workspace's page.
fn page(public_url: &Url, workspace: &str) -> Option<String> {
    let mut url = public_url.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(["workspaces", workspace]);
    Some(url.into())
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
