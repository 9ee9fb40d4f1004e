//! What was used lately, within bounds.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use healthimaging::Sheds;

/// Things by name, of which the longest unused go when they take too much.
pub(crate) struct Lately<N, T> {
    held: Mutex<Held<N, T>>,
    /// Bytes that all of them may take.
    most: usize,
}

struct Held<N, T> {
    entries: HashMap<N, Entry<T>>,
    /// Names by their last use.
    order: BTreeMap<u64, N>,
    size: usize,
    uses: u64,
}

struct Entry<T> {
    thing: T,
    size: usize,
    last_use: u64,
}

impl<N, T> fmt::Debug for Lately<N, T> {
    /// Leaves the things out: they are patient data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lately").finish_non_exhaustive()
    }
}

impl<N: Clone + Eq + Hash, T: Clone> Lately<N, T> {
    /// Nothing yet; later at most so many bytes.
    pub(crate) fn new(most: usize) -> Self {
        let held =
            Mutex::new(Held { entries: HashMap::new(), order: BTreeMap::new(), size: 0, uses: 0 });
        Self { held, most }
    }

    /// The thing of this name.
    pub(crate) fn get(&self, name: &N) -> Option<T> {
        let mut held = self.held();
        let held = &mut *held;
        let entry = held.entries.get_mut(name)?;
        held.uses += 1;
        held.order.remove(&entry.last_use);
        held.order.insert(held.uses, name.clone());
        entry.last_use = held.uses;
        Some(entry.thing.clone())
    }

    /// Keeps a thing that takes so many bytes; one that takes more than all may is not kept.
    pub(crate) fn keep(&self, name: N, thing: T, size: usize) {
        if size > self.most {
            return;
        }
        let mut held = self.held();
        held.remove(&name);
        while held.size + size > self.most {
            let Some((_, longest_unused)) = held.order.pop_first() else {
                break;
            };
            held.remove(&longest_unused);
        }
        held.uses += 1;
        let last_use = held.uses;
        held.size += size;
        held.order.insert(last_use, name.clone());
        let entry = Entry { thing, size, last_use };
        held.entries.insert(name, entry);
    }

    /// Forgets the things whose names are such.
    pub(crate) fn forget(&self, is_such: impl Fn(&N) -> bool) {
        let mut held = self.held();
        let names = held.entries.keys().filter(|name| is_such(name));
        for name in names.cloned().collect::<Vec<_>>() {
            held.remove(&name);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held<N, T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<N: Eq + Hash + Send, T: Send> Sheds for Lately<N, T> {
    fn shed(&self) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let longest_unused = held.order.pop_first();
        longest_unused.is_some_and(|(_, name)| held.take(&name).is_some())
    }
}

impl<N: Eq + Hash, T> Held<N, T> {
    fn remove(&mut self, name: &N) {
        drop(self.take(name));
    }

    fn take(&mut self, name: &N) -> Option<T> {
        let entry = self.entries.remove(name)?;
        self.order.remove(&entry.last_use);
        self.size -= entry.size;
        Some(entry.thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_go_and_the_sum_stays_within_bounds() {
        let lately = Lately::new(100);
        for name in ["a", "b", "c"] {
            lately.keep(name, 1, 30);
        }
        assert_eq!(lately.get(&"a"), Some(1));
        lately.keep("d", 2, 30);
        assert_eq!(lately.get(&"b"), None, "the longest unused");
        assert_eq!((lately.get(&"a"), lately.get(&"d")), (Some(1), Some(2)));
        lately.keep("e", 3, 101);
        assert_eq!(lately.get(&"e"), None, "too large by itself");
        lately.keep("a", 4, 40);
        assert_eq!((lately.get(&"a"), lately.held().size), (Some(4), 100));
    }

    #[test]
    fn what_is_forgotten_is_gone() {
        let lately = Lately::new(100);
        lately.keep((1, 1), 'a', 10);
        lately.keep((1, 2), 'b', 10);
        lately.keep((2, 1), 'c', 10);
        lately.forget(|name| name.0 == 1);
        assert_eq!((lately.get(&(1, 2)), lately.get(&(2, 1))), (None, Some('c')));
        let held = lately.held();
        assert_eq!((held.size, held.order.len()), (10, 1));
    }
}
