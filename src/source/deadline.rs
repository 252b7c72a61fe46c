//! A deadline for work on files, which may never end: a network file system that does not answer,
//! a pipe in a repository.

use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::diagnostic::{Diagnostic, InputError, Sources};

/// Maximum time for reading a roster and its commits.
pub const TIME_LIMIT: Duration = Duration::from_mins(1);
/// Maximum number of threads. Those that hang are not started without end.
const MAX_THREADS: usize = 1_024;

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Counts a thread while it runs.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Does the work on a thread of its own. None if it does not end in time: the thread is left alone.
pub fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = sync_channel(1);
    let thread = spawn(move || drop(sender.send(work()))).ok()?;
    match receiver.recv_timeout(limit) {
        Ok(done) => Some(done),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => {
            thread.join().map_or_else(|it| resume_unwind(it), |()| None)
        }
    }
}

/// Starts a thread, unless too many hang.
pub(super) fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let before = THREADS.fetch_add(1, Ordering::Relaxed);
    let running = Running;
    if before >= MAX_THREADS {
        return Err(io::Error::other("too many threads"));
    }
    thread::Builder::new().name("files".into()).spawn(move || {
        let _running = running;
        work();
    })
}

/// The error for a roster that was not read in time.
pub fn timed_out(limit: Duration) -> InputError {
    let message = format!("the files of the roster were not read within {limit:?}");
    let hint = "check that their file system answers, and that nothing in `.git` is a pipe; the \
                next run reads them again";
    let diagnostics = vec![Diagnostic::error("load-timeout", message).hint(hint)];
    InputError { sources: Sources::default(), diagnostics }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_hangs_is_given_up() {
        let hour = Duration::from_hours(1);
        assert_eq!(within(hour, || 1), Some(1));
        assert_eq!(within(Duration::from_millis(20), move || thread::sleep(hour)), None);
        let panics = || within(hour, || assert_eq!(1, 2));
        assert!(std::panic::catch_unwind(panics).is_err(), "a panic is not lost");
    }
}
