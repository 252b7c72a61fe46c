//! Fault injection: each fault has a probability, and a seed makes the sequence reproducible.

use std::collections::BTreeMap;
use std::str::FromStr;

use strum::{EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

/// A fault of one request.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, EnumString, IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Fault {
    /// 429 with `Retry-After: 1`.
    Throttle,
    /// 503, before execution.
    Unavailable,
    /// No response, not executed.
    TimeoutBefore,
    /// Executed, but no response.
    TimeoutAfter,
    /// The connection is reset before execution.
    ResetBefore,
    /// Executed, then the connection is reset.
    ResetAfter,
    /// Executed, and half of the response arrives.
    Truncate,
    /// Not executed, and the response says `ok: false`.
    NotOk,
    /// An HTML page with status 200, not executed.
    Html,
    /// A listing from before the last change.
    Stale,
}

/// The rates of all faults.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    rates: BTreeMap<Fault, f64>,
    random: fastrand::Rng,
}

/// A fault and its probability, written as `throttle=0.1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultRate {
    pub fault: Fault,
    /// From 0 to 1.
    pub probability: f64,
}

impl Fault {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Faults {
    pub fn new(rates: impl IntoIterator<Item = FaultRate>, seed: u64) -> Self {
        let mut faults = Self { rates: BTreeMap::new(), random: fastrand::Rng::with_seed(seed) };
        faults.set(rates);
        faults
    }

    /// Replaces the rates.
    pub fn set(&mut self, rates: impl IntoIterator<Item = FaultRate>) {
        self.rates = rates.into_iter().map(|rate| (rate.fault, rate.probability)).collect();
    }

    /// Whether the fault can occur.
    pub fn is_enabled(&self, fault: Fault) -> bool {
        self.rates.get(&fault).is_some_and(|probability| *probability > 0.0)
    }

    /// The fault of the next request, if any. A mutation has no stale listing.
    pub fn draw(&mut self, is_mutation: bool) -> Option<Fault> {
        let mut result = None;
        for (&fault, &probability) in &self.rates {
            // Every request draws equally often, so that its kind does not affect later ones.
            let hit = self.random.f64() < probability;
            if hit && result.is_none() && !(is_mutation && fault == Fault::Stale) {
                result = Some(fault);
            }
        }
        result
    }
}

impl FromStr for FaultRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Fault::iter().map(Fault::name).collect::<Vec<_>>().join(", ");
        let (name, probability) = text
            .split_once('=')
            .ok_or_else(|| format!("write FAULT=PROBABILITY; known faults: {known}"))?;
        let fault = name.trim().parse();
        let fault = fault.map_err(|_| format!("unknown fault `{name}`; known faults: {known}"))?;
        match probability.trim().parse() {
            Ok(probability @ 0.0..=1.0) => Ok(Self { fault, probability }),
            _ => Err(format!("`{probability}` is not a probability from 0 to 1")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> FaultRate {
        text.parse().unwrap()
    }

    #[test]
    fn the_same_seed_creates_the_same_faults() {
        let draw = |seed| {
            let mut faults = Faults::new([rate("html=0.3"), rate("throttle=0.3")], seed);
            (0..100).map(|_| faults.draw(false)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(1).contains(&Some(Fault::Html)) && draw(1).contains(&None));
    }

    #[test]
    fn probabilities_of_one_and_zero_are_exact() {
        let mut faults = Faults::new([rate("stale=1"), rate("not-ok=0")], 1);
        assert!((0..50).all(|_| faults.draw(false) == Some(Fault::Stale)));
        assert!((0..50).all(|_| faults.draw(true).is_none()));
        assert!(faults.is_enabled(Fault::Stale) && !faults.is_enabled(Fault::NotOk));
        faults.set([]);
        assert_eq!(faults.draw(false), None);
    }

    #[test]
    fn an_unknown_fault_is_rejected_with_the_known_ones() {
        for fault in Fault::iter() {
            assert_eq!(rate(&format!("{}=0.5", fault.name())).fault, fault);
        }
        for text in ["html", "fire=0.1", "html=2", "html=-0.1", "html=NaN", "html=often"] {
            assert!(text.parse::<FaultRate>().is_err(), "{text}");
        }
        assert!("fire=1".parse::<FaultRate>().unwrap_err().contains("timeout-after"));
    }
}
