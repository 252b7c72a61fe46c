//! The rate limit of one endpoint, shared by all runs: a token bucket whose rate is halved when the
//! server is overloaded and grows back slowly, and a pause while `Retry-After` runs. If no rate is
//! configured, one is learned when the server is overloaded, and dropped once it has recovered.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Minimum rate in requests per second, unless a lower one is configured.
pub const MIN_RATE: f64 = 0.5;
/// Failed requests that began less than this after a halving cause no further one: requests in
/// flight together fail of one cause, and a server needs a moment to recover.
const COOLDOWN: Duration = Duration::from_millis(250);
/// Growth of a halved rate per second, as a fraction of the configured rate.
const GROWTH: f64 = 0.02;
/// Growth of a learned rate per second, as a fraction of itself.
const LEARNED_GROWTH: f64 = 0.1;
/// Minimum of a rate when it is learned: one error among few requests says little.
const MIN_LEARNED: f64 = 5.0;
/// A learned rate is dropped after this time without an overload error.
const FORGET_AFTER: Duration = Duration::from_mins(1);
/// Maximum burst, in seconds of the rate.
const BURST: f64 = 0.25;

/// Whether a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Send it now; it has been counted.
    Now,
    /// Ask again after this time.
    Wait(Duration),
    /// `Retry-After` runs for this much longer.
    Paused(Duration),
}

/// The limiter without I/O. `now` is the time since a fixed instant, and never goes back.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimiter {
    bucket: Option<Bucket>,
    recent: RecentRate,
    paused_until: Duration,
}

/// Number of requests in the current second and in the one before.
#[derive(Clone, Debug, Default, PartialEq)]
struct RecentRate {
    began: Duration,
    current: u32,
    previous: u32,
}

#[derive(Clone, Debug, PartialEq)]
struct Bucket {
    /// None if the rate is learned.
    configured: Option<f64>,
    rate: f64,
    tokens: f64,
    at: Duration,
    halved_at: Option<Duration>,
}

impl RateLimiter {
    /// `rate` is in requests per second; None, or anything but a positive number, is unlimited.
    pub fn new(rate: Option<f64>) -> Self {
        let rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0);
        let bucket = rate.map(|rate| Bucket {
            configured: Some(rate),
            rate,
            tokens: 1.0,
            at: Duration::ZERO,
            halved_at: None,
        });
        Self { bucket, recent: RecentRate::default(), paused_until: Duration::ZERO }
    }

    /// Takes a permit, or says how long to wait for one.
    pub fn take(&mut self, now: Duration) -> Permit {
        let pause = self.paused_until.saturating_sub(now);
        if !pause.is_zero() {
            return Permit::Paused(pause);
        }
        // The pause does not count: no request shows during it whether the server has recovered.
        let unpaused = now.saturating_sub(self.paused_until);
        if unpaused >= FORGET_AFTER
            && self.bucket.as_ref().is_some_and(|bucket| bucket.is_expired(now))
        {
            self.bucket = None;
        }
        let permit = self.bucket.as_mut().map_or(Permit::Now, |bucket| bucket.take(now));
        if permit == Permit::Now {
            self.recent.advance(now);
            self.recent.current = self.recent.current.saturating_add(1);
        }
        permit
    }

    /// A request that began at `began` failed with 429 or 5xx, or timed out.
    pub fn on_throttle(&mut self, began: Duration, now: Duration, retry_after: Option<Duration>) {
        let recent = self.recent.rate(now);
        let bucket = self.bucket.get_or_insert_with(|| {
            let rate = recent.max(2.0 * MIN_LEARNED);
            Bucket { configured: None, rate, tokens: 0.0, at: now, halved_at: None }
        });
        bucket.halve(began, now);
        if let Some(wait) = retry_after {
            self.paused_until = self.paused_until.max(now.saturating_add(wait));
            // The rate does not grow during the pause; after it, one request may be sent at once.
            bucket.at = bucket.at.max(self.paused_until);
            bucket.tokens = 1.0;
        }
    }
}

impl RecentRate {
    fn advance(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.began).as_secs();
        if passed > 0 {
            self.previous = if passed == 1 { self.current } else { 0 };
            self.current = 0;
            self.began += Duration::from_secs(passed);
        }
    }

    /// Requests per second.
    fn rate(&mut self, now: Duration) -> f64 {
        self.advance(now);
        f64::from(self.current.max(self.previous))
    }
}

impl Bucket {
    /// Whether the rate is learned, and the server has recovered.
    fn is_expired(&self, now: Duration) -> bool {
        self.configured.is_none()
            && self.halved_at.is_none_or(|at| now.saturating_sub(at) >= FORGET_AFTER)
    }

    fn take(&mut self, now: Duration) -> Permit {
        self.advance(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Permit::Now;
        }
        // Rounded up, so that a waiter does not come back too early.
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
            None => self.rate * (1.0 + LEARNED_GROWTH).powf(passed),
        };
    }

    fn halve(&mut self, began: Duration, now: Duration) {
        self.advance(now);
        if self.halved_at.is_some_and(|at| began.saturating_sub(at) < COOLDOWN) {
            return;
        }
        self.halved_at = Some(now);
        self.rate = (self.rate / 2.0).max(MIN_RATE.min(self.configured.unwrap_or(MIN_RATE)));
        self.tokens = self.tokens.min(0.0);
    }
}

/// The rate limiter that all requests to one endpoint share.
#[derive(Debug)]
pub struct Throttle {
    began: Instant,
    limiter: Mutex<RateLimiter>,
}

impl Throttle {
    pub fn new(rate: Option<f64>) -> Self {
        Self { began: Instant::now(), limiter: Mutex::new(RateLimiter::new(rate)) }
    }

    /// Waits for a permit. If `Retry-After` runs for longer than `max_wait`, returns at once with
    /// the time that is left.
    pub async fn acquire(&self, max_wait: Duration) -> Result<(), Duration> {
        let started = Instant::now();
        loop {
            let wait = match self.with(RateLimiter::take) {
                Permit::Now => return Ok(()),
                Permit::Wait(wait) => wait,
                Permit::Paused(left) if left > max_wait.saturating_sub(started.elapsed()) => {
                    return Err(left);
                }
                Permit::Paused(left) => left,
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Lowers the rate for all requests, after an overload error of one that began at `began`.
    pub fn on_throttle(&self, began: Instant, retry_after: Option<Duration>) {
        let began = began.saturating_duration_since(self.began);
        self.with(|limiter, now| limiter.on_throttle(began, now, retry_after));
    }

    fn with<T>(&self, act: impl FnOnce(&mut RateLimiter, Duration) -> T) -> T {
        act(&mut self.limiter.lock(), self.began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Takes as many permits as possible within `span`, and counts them.
    fn permits(limiter: &mut RateLimiter, from: Duration, span: Duration) -> u32 {
        let (mut now, mut taken) = (from, 0);
        while now < from + span {
            match limiter.take(now) {
                Permit::Now => taken += 1,
                Permit::Wait(wait) | Permit::Paused(wait) => now += wait,
            }
        }
        taken
    }

    #[test]
    fn a_rate_is_kept_and_idle_time_allows_only_a_small_burst() {
        let mut limiter = RateLimiter::new(Some(10.0));
        assert!((10..=11).contains(&permits(&mut limiter, Duration::ZERO, SECOND)));
        let later = Duration::from_hours(1);
        assert!(
            (10..=13).contains(&permits(&mut limiter, later, SECOND)),
            "a burst of 2.5 at most"
        );
    }

    #[test]
    fn without_a_rate_only_retry_after_limits_requests() {
        for rate in [None, Some(f64::NAN), Some(0.0), Some(-1.0), Some(f64::INFINITY)] {
            let mut limiter = RateLimiter::new(rate);
            assert!((0..1000).all(|_| limiter.take(Duration::ZERO) == Permit::Now));
            limiter.on_throttle(SECOND, SECOND, Some(5 * SECOND));
            limiter.on_throttle(SECOND, SECOND, Some(SECOND));
            assert_eq!(
                limiter.take(2 * SECOND),
                Permit::Paused(4 * SECOND),
                "the longer one applies"
            );
            assert_eq!(limiter.take(6 * SECOND), Permit::Now);
        }
    }

    #[test]
    fn a_rate_is_learned_under_overload_and_dropped_after_recovery() {
        let mut limiter = RateLimiter::new(None);
        assert!((0..80).all(|_| limiter.take(SECOND / 2) == Permit::Now));
        limiter.on_throttle(SECOND / 2, SECOND, None);
        limiter.on_throttle(SECOND / 2, SECOND, None);
        let rate = permits(&mut limiter, SECOND, SECOND);
        assert!((38..=44).contains(&rate), "half of 80, growing: {rate}");
        let later = permits(&mut limiter, 8 * SECOND, SECOND);
        assert!((76..=100).contains(&later), "as before after some seven seconds: {later}");
        assert!((0..1000).all(|_| limiter.take(61 * SECOND) == Permit::Now), "dropped");
    }

    #[test]
    fn a_long_retry_after_does_not_count_as_recovery() {
        let mut limiter = RateLimiter::new(None);
        assert!((0..80).all(|_| limiter.take(SECOND / 2) == Permit::Now));
        limiter.on_throttle(SECOND / 2, SECOND, Some(2 * FORGET_AFTER));
        let after = SECOND + 2 * FORGET_AFTER;
        let rate = permits(&mut limiter, after, SECOND);
        assert!((38..=46).contains(&rate), "still half of 80: {rate}");
        assert!((0..1000).all(|_| limiter.take(after + FORGET_AFTER) == Permit::Now), "dropped");
    }

    #[test]
    fn one_error_among_few_requests_lowers_the_rate_little() {
        let mut limiter = RateLimiter::new(None);
        assert_eq!(limiter.take(SECOND), Permit::Now);
        limiter.on_throttle(SECOND, SECOND, None);
        assert!((4..=7).contains(&permits(&mut limiter, SECOND, SECOND)));
    }

    #[test]
    fn one_overload_halves_once_and_never_below_the_minimum() {
        let mut limiter = RateLimiter::new(Some(16.0));
        (0..8).for_each(|n| limiter.on_throttle(n * SECOND / 8, SECOND, None));
        assert!((8..=9).contains(&permits(&mut limiter, SECOND, SECOND)));
        (2..60).for_each(|at| limiter.on_throttle(at * SECOND, at * SECOND, None));
        let slow = permits(&mut limiter, 60 * SECOND, 2 * SECOND);
        assert!((1..=3).contains(&slow), "{slow}");
        let mut slower = RateLimiter::new(Some(0.1));
        slower.on_throttle(SECOND, SECOND, None);
        assert_eq!(slower.bucket.unwrap().rate.to_string(), "0.1", "configured below the minimum");
    }

    #[test]
    fn a_halved_rate_grows_back_to_the_configured_one_and_no_further() {
        let mut limiter = RateLimiter::new(Some(10.0));
        limiter.on_throttle(SECOND, SECOND, None);
        let rate = |limiter: &mut RateLimiter, at: u32| {
            limiter.take(at * SECOND);
            limiter.bucket.as_ref().unwrap().rate
        };
        assert!((rate(&mut limiter, 1) - 5.0).abs() < 0.01);
        assert!((rate(&mut limiter, 11) - 7.0).abs() < 0.01);
        assert!((rate(&mut limiter, 100) - 10.0).abs() < 0.01);
    }

    #[tokio::test(start_paused = true)]
    async fn throughput_converges_to_the_limit_of_the_server() {
        const ALLOWED: usize = 10;
        let throttle = Throttle::new(Some(80.0));
        let (mut recent, mut served, mut rejected) = (Vec::<Instant>::new(), 0, 0);
        while throttle.began.elapsed() < Duration::from_mins(1) {
            throttle.acquire(Duration::ZERO).await.unwrap();
            recent.retain(|at| at.elapsed() < SECOND);
            if recent.len() < ALLOWED {
                recent.push(Instant::now());
                served += 1;
            } else {
                rejected += 1;
                throttle.on_throttle(Instant::now(), None);
            }
        }
        assert!((390..=610).contains(&served), "{served} served of 600 possible");
        assert!(rejected * 10 < served, "{rejected} rejected");
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_delays_all_requests_and_fails_at_once_beyond_the_maximum_wait() {
        let throttle = Throttle::new(None);
        throttle.on_throttle(Instant::now(), Some(20 * SECOND));
        let before = Instant::now();
        assert_eq!(throttle.acquire(SECOND).await, Err(20 * SECOND));
        assert_eq!(before.elapsed(), Duration::ZERO);
        let waited = || async {
            throttle.acquire(60 * SECOND).await.unwrap();
            before.elapsed()
        };
        let (one, two) = tokio::join!(waited(), waited());
        assert!(one >= 20 * SECOND && two >= 20 * SECOND && one < 21 * SECOND);
    }
}
