//! The one shape of a run: what was wanted, what was done, what is left.

use jiff::Timestamp;

use crate::failure::FailureKind;
use crate::guard::Verdict;
use crate::plan::Plan;
use crate::plan::change::Change;

/// What started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// The process started, or a person asked for one run.
    Start,
    Schedule,
    File,
    Signal,
    /// Somebody asked for it over HTTP.
    Http,
    /// A date of the roster fell due.
    Date,
    /// An earlier run failed.
    Retry,
}

/// What became of one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The API refused this change.
    Rejected(String),
    /// Nobody knows; the reading after the run says what it shows.
    Unknown(String),
    /// It was not sent, or certainly did not run; the next run decides anew.
    NotSent(String),
}

/// One pass over one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    pub workspace: String,
    pub trigger: Trigger,
    pub started: Timestamp,
    pub finished: Timestamp,
    /// The roster in force was an earlier one: the files could not be used.
    pub stale: bool,
    /// The hash of the ledger's last row, to be compared with later.
    pub ledger: Option<String>,
    pub end: End,
}

/// How far the run came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// There is no plan: the roster or the directory could not be read.
    Failed(Failure),
    /// A plan was made and what was approved was sent.
    Applied(Box<Applied>),
}

/// What a run that had a plan leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub plan: Plan,
    pub verdict: Verdict,
    /// Every approved change with what became of it, in the order sent.
    pub outcomes: Vec<(Change, Outcome)>,
    /// The reading after the changes; none was needed where nothing was sent.
    pub verification: Verification,
    /// Effects of earlier runs that were answered with `ok`, and that no reading has shown since.
    pub lost: usize,
    /// Why the run stopped early, if it did.
    pub stopped: Option<Failure>,
    /// The first instant at which something that waits, settles or is held may be acted on.
    pub next: Option<Timestamp>,
}

/// What the reading after the changes says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Nothing was sent, so the first reading still stands.
    NotNeeded,
    /// A fresh reading was planned again.
    Read(Box<Residue>),
    /// The fresh reading failed.
    Failed(String),
}

/// What a fresh reading still wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Residue {
    /// What could still be applied and was not answered with `ok`.
    pub applicable: Vec<Change>,
    /// What was done a moment ago and the reading does not show yet.
    pub propagating: usize,
    /// Changes that this run held and that the fresh reading allows: the next run makes them.
    pub released: Vec<Change>,
    /// Members that need nothing.
    pub in_sync: usize,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
}

/// The verdict on a run, and its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Nothing applicable is left.
    Converged,
    /// Only held changes are left.
    Held,
    Failed,
}

impl Outcome {
    /// The name in logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Rejected(_) => "rejected",
            Self::Unknown(_) => "unknown",
            Self::NotSent(_) => "not_sent",
        }
    }

    /// Why it was not done.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Done => None,
            Self::Rejected(error) | Self::Unknown(error) | Self::NotSent(error) => Some(error),
        }
    }
}

impl Trigger {
    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Schedule => "schedule",
            Self::File => "file",
            Self::Signal => "signal",
            Self::Http => "http",
            Self::Date => "boundary",
            Self::Retry => "retry",
        }
    }
}

impl Status {
    /// The word in the log and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }

    /// 0 converged, 1 failed, 3 something held.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Converged => 0,
            Self::Held => 3,
            Self::Failed => 1,
        }
    }
}

impl RunReport {
    pub fn status(&self) -> Status {
        match &self.end {
            End::Failed(_) => Status::Failed,
            End::Applied(applied) => applied.status(),
        }
    }

    /// Why the run ended before its end, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.end {
            End::Failed(failure) => Some(failure),
            End::Applied(applied) => applied.stopped.as_ref(),
        }
    }

    /// Whether it made room for a later run, or for the end of the process.
    pub fn is_early(&self) -> bool {
        self.failure().is_some_and(|failure| failure.kind == FailureKind::Cancelled)
    }

    /// The first instant at which something that this run left may be acted on.
    pub fn next(&self) -> Option<Timestamp> {
        self.applied().and_then(|applied| applied.next)
    }

    pub fn applied(&self) -> Option<&Applied> {
        match &self.end {
            End::Applied(applied) => Some(applied),
            End::Failed(_) => None,
        }
    }
}

impl Applied {
    fn status(&self) -> Status {
        let unfinished = match &self.verification {
            Verification::NotNeeded => false,
            Verification::Read(residue) => !residue.applicable.is_empty(),
            Verification::Failed(_) => true,
        };
        let failed = self.outcomes.iter().any(|(_, outcome)| *outcome != Outcome::Done);
        if unfinished || failed || self.lost > 0 || self.stopped.is_some() {
            Status::Failed
        } else if self.verdict.held.is_empty() {
            Status::Converged
        } else {
            Status::Held
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_exit_codes_are_what_logs_and_scripts_look_for() {
        let all = [Status::Converged, Status::Held, Status::Failed];
        assert_eq!(all.map(Status::as_str), ["converged", "held", "failed"]);
        assert_eq!(all.map(Status::exit_code), [0, 3, 1]);
    }
}
