//! A cache of bounded size.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::memory::Sheds;

/// A cache by name, of which the least recently used entries are removed when all take too much.
pub struct Cache<N, T> {
    entries: Mutex<Entries<N, T>>,
    /// Limit in bytes of all entries.
    limit: usize,
}

struct Entries<N, T> {
    entries: HashMap<N, Entry<T>>,
    /// Names by their last use.
    order: BTreeMap<u64, N>,
    size: usize,
    uses: u64,
}

struct Entry<T> {
    value: T,
    size: usize,
    last_use: u64,
}

impl<N, T> fmt::Debug for Cache<N, T> {
    /// Leaves the values out: they are patient data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl<N: Clone + Eq + Hash, T: Clone> Cache<N, T> {
    /// Creates an empty cache of at most so many bytes.
    pub fn new(limit: usize) -> Self {
        let entries = Mutex::new(Entries {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            size: 0,
            uses: 0,
        });
        Self { entries, limit }
    }

    /// Returns the value of this name.
    pub fn get(&self, name: &N) -> Option<T> {
        let mut entries = self.entries();
        let entries = &mut *entries;
        let entry = entries.entries.get_mut(name)?;
        entries.uses += 1;
        entries.order.remove(&entry.last_use);
        entries.order.insert(entries.uses, name.clone());
        entry.last_use = entries.uses;
        Some(entry.value.clone())
    }

    /// Inserts a value that takes so many bytes; one that takes more than the limit is not cached.
    pub fn insert(&self, name: N, value: T, size: usize) {
        if size > self.limit {
            return;
        }
        let mut entries = self.entries();
        entries.remove(&name);
        while entries.size + size > self.limit {
            let Some((_, oldest)) = entries.order.pop_first() else {
                break;
            };
            entries.remove(&oldest);
        }
        entries.uses += 1;
        let last_use = entries.uses;
        entries.size += size;
        entries.order.insert(last_use, name.clone());
        let entry = Entry { value, size, last_use };
        entries.entries.insert(name, entry);
    }

    /// Removes the entries whose names match.
    pub fn remove_if(&self, matches: impl Fn(&N) -> bool) {
        let mut entries = self.entries();
        let names = entries.entries.keys().filter(|name| matches(name));
        for name in names.cloned().collect::<Vec<_>>() {
            entries.remove(&name);
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries<N, T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<N: Eq + Hash + Send, T: Send> Sheds for Cache<N, T> {
    fn shed(&self) -> bool {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = entries.order.pop_first();
        oldest.is_some_and(|(_, name)| entries.take(&name).is_some())
    }
}

impl<N: Eq + Hash, T> Entries<N, T> {
    fn remove(&mut self, name: &N) {
        drop(self.take(name));
    }

    fn take(&mut self, name: &N) -> Option<T> {
        let entry = self.entries.remove(name)?;
        self.order.remove(&entry.last_use);
        self.size -= entry.size;
        Some(entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_the_sum_stays_within_bounds() {
        let cache = Cache::new(100);
        for name in ["a", "b", "c"] {
            cache.insert(name, 1, 30);
        }
        assert_eq!(cache.get(&"a"), Some(1));
        cache.insert("d", 2, 30);
        assert_eq!(cache.get(&"b"), None, "the least recently used");
        assert_eq!((cache.get(&"a"), cache.get(&"d")), (Some(1), Some(2)));
        cache.insert("e", 3, 101);
        assert_eq!(cache.get(&"e"), None, "too large by itself");
        cache.insert("a", 4, 40);
        assert_eq!((cache.get(&"a"), cache.entries().size), (Some(4), 100));
    }

    #[test]
    fn removed_entries_are_gone() {
        let cache = Cache::new(100);
        cache.insert((1, 1), 'a', 10);
        cache.insert((1, 2), 'b', 10);
        cache.insert((2, 1), 'c', 10);
        cache.remove_if(|name| name.0 == 1);
        assert_eq!((cache.get(&(1, 2)), cache.get(&(2, 1))), (None, Some('c')));
        let entries = cache.entries();
        assert_eq!((entries.size, entries.order.len()), (10, 1));
    }
}
