//! A few connections for many threads.

use crate::error::StorageError;
use std::sync::{Condvar, Mutex, PoisonError};

/// Makes connections when they are needed, and keeps them for the next caller.
pub(crate) struct Pool<T> {
    alive: fn(&mut T) -> bool,
    make: Box<dyn Fn() -> Result<T, StorageError> + Send + Sync>,
    state: Mutex<State<T>>,
    returned: Condvar,
    most: usize,
}

struct State<T> {
    idle: Vec<T>,
    made: usize,
}

impl<T> Pool<T> {
    /// `alive` says whether a connection that was kept can still be used.
    pub(crate) fn new(
        most: usize,
        alive: fn(&mut T) -> bool,
        make: impl Fn() -> Result<T, StorageError> + Send + Sync + 'static,
    ) -> Self {
        let state = Mutex::new(State { idle: Vec::new(), made: 0 });
        Self { alive, make: Box::new(make), state, returned: Condvar::new(), most }
    }

    /// Runs `work` with a connection; one that `work` reports as lost is not kept.
    pub(crate) fn with<R, E: From<StorageError>>(
        &self,
        work: impl FnOnce(&mut T) -> (Result<R, E>, bool),
    ) -> Result<R, E> {
        let mut lent = Lent { pool: self, connection: Some(self.take()?) };
        let Some(connection) = lent.connection.as_mut() else {
            unreachable!("the connection was put there above")
        };
        let (result, lost) = work(connection);
        if lost {
            lent.connection = None;
        }
        result
    }

    /// A connection that nobody has, if there is one: nothing is waited for.
    pub(crate) fn idle(&self) -> Option<Lent<'_, T>> {
        let connection = self.state.lock().unwrap_or_else(PoisonError::into_inner).idle.pop()?;
        Some(Lent { pool: self, connection: Some(connection) })
    }

    /// The connections that nobody has.
    pub(crate) fn drain(&self) -> Vec<T> {
        std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).idle)
    }

    fn take(&self) -> Result<T, StorageError> {
        if let Some(mut connection) = self.take_idle()
            && (self.alive)(&mut connection)
        {
            return Ok(connection);
        }
        // A dead connection's place is taken by the new one.
        (self.make)().inspect_err(|_| self.give_back(None))
    }

    /// Waits for a connection or a place for one: none means that a new one is to be made.
    fn take_idle(&self) -> Option<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(connection) = state.idle.pop() {
                return Some(connection);
            }
            if state.made < self.most {
                state.made += 1;
                return None;
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, connection: Option<T>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match connection {
            Some(connection) => state.idle.push(connection),
            None => state.made -= 1,
        }
        drop(state);
        self.returned.notify_one();
    }
}

/// Gives the connection back; after a panic it may be in the middle of a transaction and is closed instead.
/// A connection that goes back when this is dropped.
pub(crate) struct Lent<'a, T> {
    pool: &'a Pool<T>,
    connection: Option<T>,
}

impl<T> Lent<'_, T> {
    /// The connection; none once it was given up.
    pub(crate) fn get(&mut self) -> Option<&mut T> {
        self.connection.as_mut()
    }
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let connection = self.connection.take().filter(|_| !std::thread::panicking());
        self.pool.give_back(connection);
    }
}
