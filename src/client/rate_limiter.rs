//! The pace at which one endpoint is asked, by every run together: a token bucket whose rate is
//! halved when the server is in trouble and grows back slowly, and a stop while the server wants
//! to be left alone. Where no rate is configured, trouble teaches one, for as long as it lasts.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A rate is not lowered below this many requests a second, unless it is configured lower.
pub const SLOWEST: f64 = 0.5;
/// A request that began sooner than this after a halving causes no other one: requests that were
/// in flight together tell of one trouble, and a server needs a moment to recover.
const COOLING: Duration = Duration::from_millis(250);
/// A rate grows back by this share of the configured one each second.
const GROWTH: f64 = 0.02;
/// A rate that trouble taught grows by this share of itself each second.
const RECOVERY: f64 = 0.1;
/// The least that trouble teaches at once: one refusal among few requests says little.
const LEAST_TAUGHT: f64 = 5.0;
/// What trouble taught is forgotten once there has been none for so long.
const CALM: Duration = Duration::from_mins(1);
/// Unused time is saved up for a burst of so many seconds' worth.
const BURST: f64 = 0.25;

/// What the pace allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// A request may go now; it has been counted.
    Now,
    /// Ask again after this.
    Wait(Duration),
    /// The server asked to be left alone for this much longer.
    Stopped(Duration),
}

/// The pure part. `now` is the time since some fixed beginning and never goes back.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimiter {
    bucket: Option<Bucket>,
    lately: RecentRate,
    stopped_until: Duration,
}

/// How many turns were taken in the second that runs, and in the one before it.
#[derive(Clone, Debug, Default, PartialEq)]
struct RecentRate {
    began: Duration,
    taken: u32,
    before: u32,
}

#[derive(Clone, Debug, PartialEq)]
struct Bucket {
    /// None where trouble taught the rate.
    configured: Option<f64>,
    rate: f64,
    tokens: f64,
    at: Duration,
    halved_at: Option<Duration>,
}

impl RateLimiter {
    /// `rate` is in requests a second; None, or what is not a positive number, is no limit.
    pub fn new(rate: Option<f64>) -> Self {
        let rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0);
        let bucket = rate.map(|rate| Bucket {
            configured: Some(rate),
            rate,
            tokens: 1.0,
            at: Duration::ZERO,
            halved_at: None,
        });
        Self { bucket, lately: RecentRate::default(), stopped_until: Duration::ZERO }
    }

    /// Takes a turn, or says how long to wait for one.
    pub fn take(&mut self, now: Duration) -> Permit {
        let stop = self.stopped_until.saturating_sub(now);
        if !stop.is_zero() {
            return Permit::Stopped(stop);
        }
        // A stop is no calm: only what comes after it shows whether the trouble is over.
        let calm = now.saturating_sub(self.stopped_until);
        if calm >= CALM && self.bucket.as_ref().is_some_and(|bucket| bucket.is_over(now)) {
            self.bucket = None;
        }
        let turn = self.bucket.as_mut().map_or(Permit::Now, |bucket| bucket.take(now));
        if turn == Permit::Now {
            self.lately.count(now);
        }
        turn
    }

    /// The server answered a request of `began` with 429 or 5xx, or not in time; `asked` is its
    /// `Retry-After`.
    pub fn trouble(&mut self, began: Duration, now: Duration, asked: Option<Duration>) {
        let lately = self.lately.rate(now);
        let bucket = self.bucket.get_or_insert_with(|| Bucket::learned(lately, now));
        bucket.halve(began, now);
        if let Some(asked) = asked {
            self.stopped_until = self.stopped_until.max(now.saturating_add(asked));
            // Nothing grows while nobody asks; then one request may go at once.
            bucket.at = bucket.at.max(self.stopped_until);
            bucket.tokens = 1.0;
        }
    }
}

impl RecentRate {
    fn advance(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.began).as_secs();
        if passed > 0 {
            self.before = if passed == 1 { self.taken } else { 0 };
            self.taken = 0;
            self.began += Duration::from_secs(passed);
        }
    }

    fn count(&mut self, now: Duration) {
        self.advance(now);
        self.taken = self.taken.saturating_add(1);
    }

    /// Turns a second.
    fn rate(&mut self, now: Duration) -> f64 {
        self.advance(now);
        f64::from(self.taken.max(self.before))
    }
}

impl Bucket {
    /// For a server that was asked so often a second when it got into trouble.
    fn learned(rate: f64, now: Duration) -> Self {
        let rate = rate.max(2.0 * LEAST_TAUGHT);
        Self { configured: None, rate, tokens: 0.0, at: now, halved_at: None }
    }

    /// Whether trouble made it, and there is none any more.
    fn is_over(&self, now: Duration) -> bool {
        self.configured.is_none() && self.halved_at.is_none_or(|at| now.saturating_sub(at) >= CALM)
    }

    fn take(&mut self, now: Duration) -> Permit {
        self.advance(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Permit::Now;
        }
        // Rounded up, so that a waiter does not come back just too early.
        let wait = Duration::from_secs_f64((1.0 - self.tokens) / self.rate);
        Permit::Wait(wait + Duration::from_micros(1))
    }

    fn advance(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        let room = (self.rate * BURST).max(1.0);
        self.tokens = (self.tokens + passed * self.rate).min(room);
        self.rate = match self.configured {
            Some(configured) => (self.rate + passed * configured * GROWTH).min(configured),
            None => self.rate * (1.0 + RECOVERY).powf(passed),
        };
    }

    fn halve(&mut self, began: Duration, now: Duration) {
        self.advance(now);
        if self.halved_at.is_some_and(|at| began.saturating_sub(at) < COOLING) {
            return;
        }
        self.halved_at = Some(now);
        self.rate = (self.rate / 2.0).max(SLOWEST.min(self.configured.unwrap_or(SLOWEST)));
        self.tokens = self.tokens.min(0.0);
    }
}

/// The pace, shared by everybody who asks one endpoint.
#[derive(Debug)]
pub struct Throttle {
    began: Instant,
    pace: Mutex<RateLimiter>,
}

impl Throttle {
    pub fn new(rate: Option<f64>) -> Self {
        Self { began: Instant::now(), pace: Mutex::new(RateLimiter::new(rate)) }
    }

    /// Waits for a turn. Where the server asked to be left alone for longer than `patience`, the
    /// answer comes at once and says for how long.
    pub async fn turn(&self, patience: Duration) -> Result<(), Duration> {
        let asked_at = Instant::now();
        loop {
            let wait = match self.with(RateLimiter::take) {
                Permit::Now => return Ok(()),
                Permit::Wait(wait) => wait,
                Permit::Stopped(left) if left > patience.saturating_sub(asked_at.elapsed()) => {
                    return Err(left);
                }
                Permit::Stopped(left) => left,
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Slows everybody down, for a request that began then; `asked` is the server's `Retry-After`.
    pub fn trouble(&self, began: Instant, asked: Option<Duration>) {
        let began = began.saturating_duration_since(self.began);
        self.with(|pace, now| pace.trouble(began, now, asked));
    }

    fn with<T>(&self, act: impl FnOnce(&mut RateLimiter, Duration) -> T) -> T {
        let mut pace = self.pace.lock();
        act(&mut pace, self.began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Takes as many turns as there are in `span`; the answer is how many.
    fn turns(pace: &mut RateLimiter, from: Duration, span: Duration) -> u32 {
        let (mut now, mut taken) = (from, 0);
        while now < from + span {
            match pace.take(now) {
                Permit::Now => taken += 1,
                Permit::Wait(wait) | Permit::Stopped(wait) => now += wait,
            }
        }
        taken
    }

    #[test]
    fn a_rate_is_kept_and_a_rest_saves_up_only_a_small_burst() {
        let mut pace = RateLimiter::new(Some(10.0));
        assert!((10..=11).contains(&turns(&mut pace, Duration::ZERO, SECOND)));
        let later = Duration::from_hours(1);
        assert!((10..=13).contains(&turns(&mut pace, later, SECOND)), "a burst of 2.5 at most");
    }

    #[test]
    fn off_is_no_limit_but_a_stop_is_obeyed() {
        for rate in [None, Some(f64::NAN), Some(0.0), Some(-1.0), Some(f64::INFINITY)] {
            let mut pace = RateLimiter::new(rate);
            assert!((0..1000).all(|_| pace.take(Duration::ZERO) == Permit::Now));
            pace.trouble(SECOND, SECOND, Some(5 * SECOND));
            pace.trouble(SECOND, SECOND, Some(SECOND));
            assert_eq!(pace.take(2 * SECOND), Permit::Stopped(4 * SECOND), "the longer one holds");
            assert_eq!(pace.take(6 * SECOND), Permit::Now);
        }
    }

    #[test]
    fn trouble_teaches_a_rate_where_none_is_configured_until_there_is_none_any_more() {
        let mut pace = RateLimiter::new(None);
        assert!((0..80).all(|_| pace.take(SECOND / 2) == Permit::Now));
        pace.trouble(SECOND / 2, SECOND, None);
        pace.trouble(SECOND / 2, SECOND, None);
        let rate = turns(&mut pace, SECOND, SECOND);
        assert!((38..=44).contains(&rate), "half of 80, growing: {rate}");
        let later = turns(&mut pace, 8 * SECOND, SECOND);
        assert!((76..=100).contains(&later), "as before after some seven seconds: {later}");
        assert!((0..1000).all(|_| pace.take(61 * SECOND) == Permit::Now), "forgotten");
    }

    #[test]
    fn a_long_stop_is_no_calm() {
        let mut pace = RateLimiter::new(None);
        assert!((0..80).all(|_| pace.take(SECOND / 2) == Permit::Now));
        pace.trouble(SECOND / 2, SECOND, Some(2 * CALM));
        let after = SECOND + 2 * CALM;
        let rate = turns(&mut pace, after, SECOND);
        assert!((38..=46).contains(&rate), "still half of 80: {rate}");
        assert!((0..1000).all(|_| pace.take(after + CALM) == Permit::Now), "forgotten");
    }

    #[test]
    fn one_refusal_among_few_requests_teaches_little() {
        let mut pace = RateLimiter::new(None);
        assert_eq!(pace.take(SECOND), Permit::Now);
        pace.trouble(SECOND, SECOND, None);
        assert!((4..=7).contains(&turns(&mut pace, SECOND, SECOND)));
    }

    #[test]
    fn one_trouble_halves_once_and_never_below_the_slowest() {
        let mut pace = RateLimiter::new(Some(16.0));
        (0..8).for_each(|n| pace.trouble(n * SECOND / 8, SECOND, None));
        assert!((8..=9).contains(&turns(&mut pace, SECOND, SECOND)));
        (2..60).for_each(|at| pace.trouble(at * SECOND, at * SECOND, None));
        let slow = turns(&mut pace, 60 * SECOND, 2 * SECOND);
        assert!((1..=3).contains(&slow), "{slow}");
        let mut slower = RateLimiter::new(Some(0.1));
        slower.trouble(SECOND, SECOND, None);
        assert_eq!(slower.bucket.unwrap().rate.to_string(), "0.1", "configured below the slowest");
    }

    #[test]
    fn a_halved_rate_grows_back_to_the_configured_one_and_no_further() {
        let mut pace = RateLimiter::new(Some(10.0));
        pace.trouble(SECOND, SECOND, None);
        let rate = |pace: &mut RateLimiter, at: u32| {
            pace.take(at * SECOND);
            pace.bucket.as_ref().unwrap().rate
        };
        assert!((rate(&mut pace, 1) - 5.0).abs() < 0.01);
        assert!((rate(&mut pace, 11) - 7.0).abs() < 0.01);
        assert!((rate(&mut pace, 100) - 10.0).abs() < 0.01);
    }

    #[tokio::test(start_paused = true)]
    async fn under_a_server_that_allows_less_the_throughput_settles_near_its_limit() {
        const ALLOWED: usize = 10;
        let throttle = Throttle::new(Some(80.0));
        let (mut lately, mut served, mut refused) = (Vec::<Instant>::new(), 0, 0);
        while throttle.began.elapsed() < Duration::from_mins(1) {
            throttle.turn(Duration::ZERO).await.unwrap();
            lately.retain(|at| at.elapsed() < SECOND);
            if lately.len() < ALLOWED {
                lately.push(Instant::now());
                served += 1;
            } else {
                refused += 1;
                throttle.trouble(Instant::now(), None);
            }
        }
        assert!((390..=610).contains(&served), "{served} served of 600 possible");
        assert!(refused * 10 < served, "{refused} refused");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_holds_everybody_and_the_impatient_hear_of_it_at_once() {
        let throttle = Throttle::new(None);
        throttle.trouble(Instant::now(), Some(20 * SECOND));
        let before = Instant::now();
        assert_eq!(throttle.turn(SECOND).await, Err(20 * SECOND));
        assert_eq!(before.elapsed(), Duration::ZERO);
        let waited = || async {
            throttle.turn(60 * SECOND).await.unwrap();
            before.elapsed()
        };
        let (one, two) = tokio::join!(waited(), waited());
        assert!(one >= 20 * SECOND && two >= 20 * SECOND && one < 21 * SECOND);
    }
}
