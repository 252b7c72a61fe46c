//! Work that may block: files, the ledger. It is done aside, on threads for that, so that nobody
//! who waits for something else waits for it.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

/// Something to do once.
pub type Task = Box<dyn FnOnce() + Send>;

/// Another place for such work. A simulation has one: in it, work is done on the thread that
/// asks for it, and takes as long as the simulation says.
pub trait BlockingExecutor: Send + Sync {
    /// Does the work, before the future resolves; one that never resolves has lost it.
    fn take(&self, work: Task) -> BoxFuture<'static, ()>;
}

thread_local! {
    static EXECUTOR: RefCell<Option<Arc<dyn BlockingExecutor>>> = const { RefCell::new(None) };
}

/// From now on, what this thread asks for is done there; without a place, on threads for it.
pub fn set(elsewhere: Option<Arc<dyn BlockingExecutor>>) {
    EXECUTOR.with(|here| *here.borrow_mut() = elsewhere);
}

/// Does something that may block.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = match EXECUTOR.with(|here| here.borrow().clone()) {
        Some(elsewhere) => {
            let (tell, told) = oneshot::channel();
            let work = move || {
                let _ = tell.send(work());
            };
            elsewhere.take(Box::new(work)).await;
            told.await.ok()
        }
        None => match tokio::task::spawn_blocking(work).await {
            Ok(done) => Some(done),
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => None,
        },
    };
    match done {
        Some(done) => done,
        // The runtime is being shut down, or the power is gone, and this task with it.
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Here;

    impl BlockingExecutor for Here {
        fn take(&self, work: Task) -> BoxFuture<'static, ()> {
            Box::pin(async move { work() })
        }
    }

    #[tokio::test]
    async fn work_is_done_on_another_thread_unless_there_is_a_place_for_it() {
        let thread = || std::thread::current().id();
        assert_ne!(run_blocking(thread).await, thread());
        set(Some(Arc::new(Here)));
        assert_eq!(run_blocking(thread).await, thread());
        set(None);
        assert_ne!(run_blocking(thread).await, thread());
    }
}
