//! Bad days on request: each fault with a probability, all of them from one seed.

use std::collections::BTreeMap;
use std::str::FromStr;

/// What can go wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// 429 with `Retry-After: 1`.
    Throttle,
    /// 503, before anything runs.
    Unavailable,
    /// No answer, and nothing runs.
    TimeoutBefore,
    /// It runs, and there is no answer.
    TimeoutAfter,
    /// The connection is reset before anything runs.
    ResetBefore,
    /// It runs, and the connection is reset.
    ResetAfter,
    /// It runs, and half of the answer arrives.
    Truncate,
    /// Nothing runs, and the answer says `ok: false`.
    NotOk,
    /// A page of HTML with status 200, and nothing runs.
    Html,
    /// The listing as it was before the last change.
    Stale,
}

/// How often each fault happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    odds: BTreeMap<Fault, f64>,
    random: fastrand::Rng,
}

/// A fault and its probability, as they are written: `throttle=0.1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultRate {
    pub fault: Fault,
    /// From 0 to 1.
    pub probability: f64,
}

impl Fault {
    pub const ALL: [Self; 10] = [
        Self::Throttle,
        Self::Unavailable,
        Self::TimeoutBefore,
        Self::TimeoutAfter,
        Self::ResetBefore,
        Self::ResetAfter,
        Self::Truncate,
        Self::NotOk,
        Self::Html,
        Self::Stale,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::Unavailable => "unavailable",
            Self::TimeoutBefore => "timeout-before",
            Self::TimeoutAfter => "timeout-after",
            Self::ResetBefore => "reset-before",
            Self::ResetAfter => "reset-after",
            Self::Truncate => "truncate",
            Self::NotOk => "not-ok",
            Self::Html => "html",
            Self::Stale => "stale",
        }
    }
}

impl Faults {
    pub fn new(odds: impl IntoIterator<Item = FaultRate>, seed: u64) -> Self {
        let odds = odds.into_iter().map(|odds| (odds.fault, odds.probability)).collect();
        Self { odds, random: fastrand::Rng::with_seed(seed) }
    }

    /// Other odds from now on.
    pub fn set(&mut self, odds: impl IntoIterator<Item = FaultRate>) {
        self.odds = odds.into_iter().map(|odds| (odds.fault, odds.probability)).collect();
    }

    /// Whether this fault can happen at all.
    pub fn expects(&self, fault: Fault) -> bool {
        self.odds.get(&fault).is_some_and(|probability| *probability > 0.0)
    }

    /// What goes wrong with the next request, if anything does. A stale listing is no fault of a
    /// mutation.
    pub fn draw(&mut self, is_mutation: bool) -> Option<Fault> {
        let mut drawn = None;
        for (&fault, &probability) in &self.odds {
            // Every request draws as often as every other, so that one of them changes no other.
            let hit = self.random.f64() < probability;
            if hit && drawn.is_none() && !(is_mutation && fault == Fault::Stale) {
                drawn = Some(fault);
            }
        }
        drawn
    }
}

impl FromStr for FaultRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Fault::ALL.map(Fault::name).join(", ");
        let (name, probability) = text
            .split_once('=')
            .ok_or_else(|| format!("write FAULT=PROBABILITY; faults: {known}"))?;
        let fault = Fault::ALL
            .into_iter()
            .find(|fault| fault.name() == name.trim())
            .ok_or_else(|| format!("`{name}` is not a fault; known are {known}"))?;
        let probability: f64 = probability
            .trim()
            .parse()
            .ok()
            .filter(|probability| (0.0..=1.0).contains(probability))
            .ok_or_else(|| format!("`{probability}` is not a probability from 0 to 1"))?;
        Ok(Self { fault, probability })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odds(text: &str) -> FaultRate {
        text.parse().unwrap()
    }

    #[test]
    fn one_seed_makes_the_same_days() {
        let days = |seed| {
            let mut faults = Faults::new([odds("html=0.3"), odds("throttle=0.3")], seed);
            (0..100).map(|_| faults.draw(false)).collect::<Vec<_>>()
        };
        assert_eq!(days(1), days(1));
        assert_ne!(days(1), days(2));
        assert!(days(1).contains(&Some(Fault::Html)) && days(1).contains(&None));
    }

    #[test]
    fn certain_and_impossible_faults_are_just_that() {
        let mut faults = Faults::new([odds("stale=1"), odds("not-ok=0")], 1);
        assert!((0..50).all(|_| faults.draw(false) == Some(Fault::Stale)));
        assert!((0..50).all(|_| faults.draw(true).is_none()));
        assert!(faults.expects(Fault::Stale) && !faults.expects(Fault::NotOk));
        faults.set([]);
        assert_eq!(faults.draw(false), None);
    }

    #[test]
    fn what_is_no_fault_is_told_with_what_there_is() {
        for fault in Fault::ALL {
            assert_eq!(odds(&format!("{}=0.5", fault.name())).fault, fault);
        }
        for text in ["html", "fire=0.1", "html=2", "html=-0.1", "html=NaN", "html=often"] {
            assert!(text.parse::<FaultRate>().is_err(), "{text}");
        }
        assert!("fire=1".parse::<FaultRate>().unwrap_err().contains("timeout-after"));
    }
}
