//! Threads for work that takes a processor for a while: reading reports and writing them to the database.
//!
//! Where the system can, such threads give way to those that answer requests: an answer of a millisecond does not wait for a
//! report that takes twenty, and the report loses next to nothing.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// How far such a thread gives way (`nice`): it keeps a share where other programs are busy too.
const GIVES_WAY: i32 = 10;

/// Starts a thread that gives way to those that answer requests.
///
/// # Panics
/// The system lends no thread: without it the server cannot do anything.
pub(crate) fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let spawned = std::thread::Builder::new().name(name).spawn(move || {
        give_way();
        work();
    });
    #[expect(clippy::expect_used, reason = "without its threads the server cannot do anything")]
    spawned.expect("the system lends a thread")
}

/// Elsewhere than on Linux a priority is that of the whole process.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(GIVES_WAY) {
        tracing::debug!(error = &error as &dyn std::error::Error, "a thread keeps its priority");
    }
}

type Work = Box<dyn FnOnce() + Send>;

/// As many threads as there are processors, for work in the order in which it came.
pub(crate) struct Workers(Sender<Work>);

impl Workers {
    pub(crate) fn start() -> Self {
        let (sender, receiver) = channel::<Work>();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            let receiver = Arc::clone(&receiver);
            spawn(format!("casebook-worker-{number}"), move || {
                while let Some(work) = next(&receiver) {
                    work();
                }
            });
        }
        Self(sender)
    }

    /// Runs `work` when its turn comes. A panic in it goes on here, where the request ends with it.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, answer) = oneshot::channel();
        let work = move || {
            // Whoever asked may have gone away while this waited.
            if !done.is_closed() {
                drop(done.send(catch_unwind(AssertUnwindSafe(work))));
            }
        };
        #[expect(
            clippy::expect_used,
            reason = "the threads live as long as the sender, and panics do not end them"
        )]
        {
            self.0.send(Box::new(work)).expect("there are threads");
            answer.await.expect("the work is done").unwrap_or_else(|panic| resume_unwind(panic))
        }
    }
}

/// The next work; none once nobody can send any.
fn next(receiver: &Mutex<Receiver<Work>>) -> Option<Work> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
