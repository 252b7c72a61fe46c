//! Why a run started, how it ended, and what a series of runs says about a workspace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// Why a run started. Serde has the names of the ledger.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Trigger {
    /// The process started, or a command asked for one run.
    Start,
    Schedule,
    /// The files changed.
    File,
    Signal,
    /// A request over HTTP.
    Http,
    /// A date of the roster is due.
    #[serde(rename = "boundary")]
    Date,
    /// An earlier run failed.
    Retry,
}

/// How a run ended. Serde has the names of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RunStatus {
    /// Nothing is left to apply.
    Converged,
    /// Only held changes are left.
    Held,
    Failed,
    /// It ended early for a later run, or for the end of the process.
    #[serde(rename = "early")]
    Interrupted,
}

/// A run in numbers: its changes by outcome, what is held, and the members in sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunCounts {
    pub done: usize,
    pub rejected: usize,
    pub unknown: usize,
    pub not_sent: usize,
    pub held: usize,
    pub in_sync: usize,
}

/// What the last runs say about a workspace. Serde has the names of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    #[serde(rename = "converged")]
    InSync,
    #[serde(rename = "held")]
    Held,
    /// An earlier roster is in force, because the files cannot be used.
    #[serde(rename = "stale")]
    Stale,
    #[serde(rename = "failed")]
    Failing,
}

impl Trigger {
    /// The name in logs, metrics and JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl RunStatus {
    /// The name in logs, metrics and JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// 0 converged, 1 failed or interrupted, 3 held.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Converged => 0,
            Self::Held => 3,
            Self::Failed | Self::Interrupted => 1,
        }
    }
}

impl Health {
    /// What one run says. An interrupted run says nothing.
    pub fn of(status: RunStatus, stale: bool) -> Option<Self> {
        match status {
            RunStatus::Interrupted => None,
            RunStatus::Failed => Some(Self::Failing),
            RunStatus::Held | RunStatus::Converged if stale => Some(Self::Stale),
            RunStatus::Held => Some(Self::Held),
            RunStatus::Converged => Some(Self::InSync),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_exit_codes_are_those_of_the_documents() {
        use RunStatus::{Converged, Failed, Held, Interrupted};
        let all = [Converged, Held, Failed, Interrupted];
        assert_eq!(all.map(RunStatus::as_str), ["converged", "held", "failed", "interrupted"]);
        assert_eq!(all.map(RunStatus::exit_code), [0, 3, 1, 1]);
        let triggers: Vec<&str> = Trigger::VARIANTS.iter().map(|it| it.as_str()).collect();
        assert_eq!(triggers, ["start", "schedule", "file", "signal", "http", "date", "retry"]);
    }
}
