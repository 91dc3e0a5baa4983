//! Ingest from parsed results: 8 clients that each store an upload and wait until it is durable.

use crate::fixture::{self, Shape};
use crate::setting::{Failure, Setting};
use casebook_app::uploads;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const CLIENTS: usize = 8;

/// Reports made ahead of time, so that making them is not measured: five for each client. Shards must divide their number.
pub(crate) const PREPARED: usize = 40;

pub(crate) fn from_parsed_results(setting: &Setting, shape: Shape) -> Result<f64, Failure> {
    let count = shape.uploads;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let now = setting.app.now();
    let next = AtomicUsize::new(0);
    let reports: Vec<_> = (0..PREPARED).map(|upload| fixture::report(upload, shape)).collect();
    let mut seconds = 0.0;
    // In slices, so that the clones of the reports are made outside of the measured time.
    let mut done = 0;
    while done < count {
        let slice = PREPARED.min(count - done);
        let prepared: Vec<_> = (0..slice)
            .map(|index| (fixture::context(done + index, shape, now), reports[index].clone()))
            .collect();
        let prepared: Vec<_> = prepared.into_iter().map(|item| std::sync::Mutex::new(Some(item))).collect();
        next.store(0, Ordering::SeqCst);
        let started = Instant::now();
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    scope.spawn(|| -> Result<(), Failure> {
                        while let Some(item) = prepared.get(next.fetch_add(1, Ordering::SeqCst)) {
                            let taken = item.lock().map_err(|_| "a client failed")?.take();
                            let (context, report) = taken.ok_or("taken twice")?;
                            let read = uploads::Read { report, digest: None };
                            let upload = uploads::assemble(&setting.suite, context, read, None, now);
                            runtime.block_on(setting.app.record(upload))?;
                        }
                        Ok(())
                    })
                })
                .collect();
            clients.into_iter().try_for_each(|client| client.join().map_err(|_| "a client panicked")?)
        })?;
        seconds += started.elapsed().as_secs_f64();
        done += slice;
    }
    Ok((count * fixture::TESTS) as f64 / seconds)
}
