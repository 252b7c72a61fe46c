//! Runs blocking work, such as file access and the ledger, off the async runtime.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

/// A unit of blocking work.
pub type Task = Box<dyn FnOnce() + Send>;

/// Replaces the thread pool for blocking work. A simulation uses this to run work on its own
/// thread, with simulated delays.
pub trait BlockingExecutor: Send + Sync {
    /// Runs the task before the future resolves; a future that never resolves has lost it.
    fn execute(&self, task: Task) -> BoxFuture<'static, ()>;
}

thread_local! {
    static EXECUTOR: RefCell<Option<Arc<dyn BlockingExecutor>>> = const { RefCell::new(None) };
}

/// Sets the executor of blocking work that this thread starts; None is the thread pool of tokio.
pub fn set(executor: Option<Arc<dyn BlockingExecutor>>) {
    EXECUTOR.with(|current| *current.borrow_mut() = executor);
}

/// Runs work that may block.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = match EXECUTOR.with(|current| current.borrow().clone()) {
        Some(executor) => {
            let (sender, receiver) = oneshot::channel();
            let task = move || {
                let _ = sender.send(work());
            };
            executor.execute(Box::new(task)).await;
            receiver.await.ok()
        }
        None => match tokio::task::spawn_blocking(work).await {
            Ok(done) => Some(done),
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => None,
        },
    };
    match done {
        Some(done) => done,
        // The runtime is shutting down, or a simulated power failure lost the task.
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct SameThread;

    impl BlockingExecutor for SameThread {
        fn execute(&self, task: Task) -> BoxFuture<'static, ()> {
            Box::pin(async move { task() })
        }
    }

    #[tokio::test]
    async fn work_runs_on_another_thread_unless_an_executor_is_set() {
        let thread = || std::thread::current().id();
        assert_ne!(run_blocking(thread).await, thread());
        set(Some(Arc::new(SameThread)));
        assert_eq!(run_blocking(thread).await, thread());
        set(None);
        assert_ne!(run_blocking(thread).await, thread());
    }
}
