//! A real run against a server with a rate limit that the client has to find. Time is virtual.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::RETRY_AFTER;
use futures_util::future::BoxFuture;
use rosterd::client::http::{HttpRequest, HttpResponse, HttpTransport, TransportError};
use rosterd::client::{Client, Credentials, Settings, Transport};
use rosterd::guard::Budget;
use rosterd::report::RunStatus;
use rosterd::role::Role;
use rosterd::sandbox::auth::{ADMIN_KEY, ADMIN_SECRET};
use rosterd::sandbox::world::World as Served;
use rosterd::sandbox::{InProcessSandbox, Options};
use tokio::time::Instant;

use crate::support::directory::FrozenClock;
use crate::support::in_process::ask;
use crate::support::run::Run;
use crate::support::world::{World, now};

const SECOND: Duration = Duration::from_secs(1);
/// On the way there, and as long on the way back.
const LATENCY: Duration = Duration::from_millis(20);

/// The API, and what stands before it: more than `allowed` requests within a second are answered
/// 429 with a `Retry-After`, if it has one.
struct Door {
    api: InProcessSandbox,
    allowed: usize,
    retry_after: Option<u64>,
    knocks: Arc<Mutex<Vec<Knock>>>,
}

/// A request that arrived.
#[derive(Clone, Copy)]
struct Knock {
    sent: Instant,
    at: Instant,
    let_in: bool,
}

impl HttpTransport for Door {
    fn post(&self, mut post: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, TransportError>> {
        Box::pin(async move {
            let sent = Instant::now();
            tokio::time::sleep(LATENCY).await;
            let let_in = self.lets_in(sent);
            let answered = if let_in { ask(&self.api, &mut post).await } else { self.refused() };
            tokio::time::sleep(LATENCY).await;
            Ok(answered)
        })
    }
}

impl Door {
    fn lets_in(&self, sent: Instant) -> bool {
        let mut knocks = self.knocks.lock().unwrap();
        let lately = knocks.iter().rev().take_while(|knock| knock.at.elapsed() < SECOND);
        let let_in = lately.filter(|knock| knock.let_in).count() < self.allowed;
        knocks.push(Knock { sent, at: Instant::now(), let_in });
        let_in
    }

    fn refused(&self) -> HttpResponse {
        let mut headers = HeaderMap::new();
        headers.extend(self.retry_after.map(|wait| (RETRY_AFTER, wait.into())));
        HttpResponse { status: 429, headers, body: b"slow down".to_vec() }
    }
}

/// One run that invites so many people, one in a request, eight at once, at most `rate` requests a
/// second; every one of them is there in the end. The answer is what the server saw.
async fn invite(
    people: usize,
    rate: Option<f64>,
    (allowed, retry_after): (usize, Option<u64>),
) -> Vec<Knock> {
    let served = Served::seeded(&["acme".to_owned()], 0, 1, now());
    let knocks = Arc::new(Mutex::new(Vec::new()));
    let api = InProcessSandbox::new(Options::default(), Arc::new(FrozenClock), served);
    let door = Door { api, allowed, retry_after, knocks: Arc::clone(&knocks) };
    let endpoint = "http://127.0.0.1/graphql".parse().unwrap();
    let settings = Settings { rate, ..Settings::new(endpoint, Duration::from_mins(1)) };
    let transport = Arc::new(Transport::over(Box::new(door), &settings).unwrap());
    let credentials = Credentials::KeyPair { key: ADMIN_KEY.into(), secret: ADMIN_SECRET.into() };
    let client = Client::new(transport, credentials);
    let world = World::default().unmanaged("*@acme.io").limits(|limits| {
        let all = |budget: &mut Budget| (budget.floor, budget.max) = (people, people);
        limits.budgets.values_mut().for_each(all);
    });
    let world = (0..people)
        .fold(world, |world, n| world.member(&format!("user{n}@crowd.acme.io"), Role::Developer));
    let run = Run::of(&world).sending(8, 1);
    let report = run.attempt(&client).await.unwrap().report;
    assert_eq!(report.status(), RunStatus::Converged, "{:?}", report.failure());
    std::mem::take(&mut *knocks.lock().unwrap())
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// Requests a second that were let in once things have settled, and the share of all that was not.
fn pace(knocks: &[Knock]) -> (f64, f64) {
    let begin = knocks[0].at + 10 * SECOND;
    let settled = knocks.iter().filter(|knock| knock.at >= begin);
    let (let_in, refused): (Vec<&Knock>, Vec<&Knock>) = settled.partition(|knock| knock.let_in);
    let seconds = knocks.last().unwrap().at.duration_since(begin).as_secs_f64();
    let (let_in, refused) = (number(let_in.len()), number(refused.len()));
    (let_in / seconds, refused / (let_in + refused))
}

#[tokio::test(start_paused = true)]
async fn throughput_converges_to_the_server_limit_with_few_rejections() {
    for (rate, allowed) in [(Some(80.0), 10), (Some(40.0), 20), (Some(15.0), 10), (None, 10)] {
        let (throughput, refused) = pace(&invite(40 * allowed, rate, (allowed, None)).await);
        let share = throughput / number(allowed);
        assert!((0.65..=1.0).contains(&share), "{rate:?}: {throughput} of {allowed} a second");
        assert!(refused <= 0.05, "{rate:?}: {refused} of all requests were refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sufficient_server_limit_leaves_the_configured_rate() {
    let knocks = invite(300, Some(10.0), (15, None)).await;
    let (throughput, refused) = pace(&knocks);
    assert!((9.5..=10.1).contains(&throughput), "{throughput} a second");
    assert_eq!(refused.to_bits(), 0.0_f64.to_bits());
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_by_every_connection() {
    const WAIT: u64 = 7;
    for rate in [Some(80.0), None] {
        let knocks = invite(200, rate, (10, Some(WAIT))).await;
        let refused = knocks.iter().filter(|knock| !knock.let_in);
        let mut waits = 0;
        for told in refused.map(|knock| knock.at + LATENCY) {
            let within = told..told + Duration::from_secs(WAIT);
            // What left before the answer came knew nothing of it.
            let early = knocks.iter().filter(|knock| within.contains(&knock.sent)).count();
            assert_eq!(early, 0, "{rate:?}");
            waits += 1;
        }
        assert!(waits > 0, "the server never refused");
    }
}
