//! What can happen to the daemon. The list is closed: sources of events only send one of these.

use tokio::sync::oneshot;

use crate::config::Config;
use crate::reconcile::InputError;
use crate::report::Trigger;

/// How many events wait at most; a source that is ahead waits.
pub const QUEUE: usize = 16;

#[derive(Debug)]
pub enum Event {
    /// Something moved in a watched folder. Contents decide whether it means anything.
    FilesChanged,
    /// SIGHUP: read the configuration again and reconcile.
    Reload,
    /// SIGTERM or SIGINT: leave at the next batch boundary; a second one leaves at once.
    Stop,
    /// Somebody asks whether the loop goes round.
    Ping(oneshot::Sender<()>),
    /// Somebody asks for a run of a workspace. The answer says whether there is such a workspace.
    RunRequested { workspace: String, answer: oneshot::Sender<bool> },
    /// The configuration has been read again, because of `trigger`.
    Reloaded { trigger: Trigger, result: Result<Box<Config>, InputError> },
}

/// Of two triggers that one run answers, the one that tells a reader more.
pub(super) fn merge(waiting: Option<Trigger>, trigger: Trigger) -> Trigger {
    match waiting {
        Some(waiting) if weight(waiting) >= weight(trigger) => waiting,
        _ => trigger,
    }
}

fn weight(trigger: Trigger) -> u8 {
    match trigger {
        Trigger::Retry => 0,
        Trigger::Schedule => 1,
        Trigger::Start => 2,
        Trigger::Date => 3,
        Trigger::Http => 4,
        Trigger::Signal => 5,
        Trigger::File => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_triggers_the_telling_one_stays() {
        assert_eq!(merge(None, Trigger::Retry), Trigger::Retry);
        assert_eq!(merge(Some(Trigger::File), Trigger::Schedule), Trigger::File);
        assert_eq!(merge(Some(Trigger::Schedule), Trigger::File), Trigger::File);
        assert_eq!(merge(Some(Trigger::Retry), Trigger::Date), Trigger::Date);
    }
}
