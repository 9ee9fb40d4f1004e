//! Values that are made once for all concurrent readers.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::error::Result;
use crate::sync::locked;

/// A value that is being read; the lock is held while it is made.
pub(crate) type Flight<T> = Arc<Mutex<Weak<T>>>;

/// The values that are read now, by name.
#[derive(Debug)]
pub(crate) struct SingleFlight<N, T>(Mutex<HashMap<N, Flight<T>>>);

impl<N, T> Default for SingleFlight<N, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<N: Clone + Eq + Hash, T> SingleFlight<N, T> {
    /// Makes a value, unless another reader has it or is making it. Blocks.
    pub(crate) fn open(&self, name: &N, make: impl FnOnce() -> Result<Arc<T>>) -> Result<Arc<T>> {
        open(locked(&self.flight(name)), make)
    }

    /// As [`Self::open`], without waiting for another reader that is making it.
    pub(crate) fn open_at_once(
        &self,
        name: &N,
        make: impl FnOnce() -> Result<Arc<T>>,
    ) -> Result<Arc<T>> {
        match self.flight(name).try_lock() {
            Ok(flight) => open(flight, make),
            Err(_) => make(),
        }
    }

    pub(crate) fn flight(&self, name: &N) -> Flight<T> {
        let mut flights = locked(&self.0);
        flights.retain(|_, flight| {
            // Another reader may be making it.
            Arc::strong_count(flight) > 1 || locked(flight).strong_count() > 0
        });
        Arc::clone(flights.entry(name.clone()).or_default())
    }
}

fn open<T>(
    mut flight: MutexGuard<'_, Weak<T>>,
    make: impl FnOnce() -> Result<Arc<T>>,
) -> Result<Arc<T>> {
    if let Some(value) = flight.upgrade() {
        return Ok(value);
    }
    let value = make()?;
    *flight = Arc::downgrade(&value);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_value_is_made_once_for_all_who_read_it() {
        let (flights, made) = (SingleFlight::default(), AtomicUsize::new(0));
        let (begin, all_have_it) = (Barrier::new(8), Barrier::new(8));
        let read = || {
            begin.wait();
            let made = || Ok(Arc::new(made.fetch_add(1, Ordering::SeqCst)));
            let value = flights.open(&"name", made).unwrap();
            // It lives as long as one of them has it.
            all_have_it.wait();
            assert_eq!(*value, 0);
        };
        thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(read))));
        assert_eq!(made.load(Ordering::SeqCst), 1);
        let again = flights.open(&"name", || Ok(Arc::new(7))).unwrap();
        assert_eq!(*again, 7, "no caller held the value any longer");
    }
}
