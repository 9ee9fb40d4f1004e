//! Memory of large work: one budget for the whole process, counted in bytes.
//!
//! Work that takes much memory asks for a lease before it begins, and waits until there is room; it
//! never fails for lack of it. Work that needs more than the whole budget runs alone. Two
//! kinds of leases in a fixed order rule out deadlocks: a document's lease is held while work is done
//! with it, and work ends without waiting for memory. The owner of a lease does not wait for another
//! one of the same kind.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::sync::oneshot;

/// The limit unless another is set: 256 MiB.
const DEFAULT_LIMIT: u64 = 256 << 20;
/// After a lease of so many bytes, once nothing is leased any more, freed memory is returned to the system. What less work frees
/// stays in the process for the next, which would get it again page by page.
const WORTH_RETURNING: u64 = 16 << 20;
/// Freed memory is returned while other work goes on once leases that large have given up so many bytes.
const TOO_MUCH_TO_KEEP: u64 = 64 << 20;

/// A budget of memory in bytes; clones share it.
#[derive(Clone)]
pub struct MemoryBudget(Arc<Shared>);

/// A right to a number of bytes. It ends when it is dropped, which must be after its data: declare it before
/// that, or as the last field of a struct.
#[derive(Debug)]
pub struct MemoryLease {
    budget: MemoryBudget,
    kind: Kind,
    bytes: u64,
}

/// A cache that can drop entries.
pub trait Sheds: Send + Sync {
    /// Drops an entry, if there is one.
    fn shed(&self) -> bool;
}

struct Shared {
    limit: AtomicU64,
    state: Mutex<State>,
    caches: Mutex<Vec<Weak<dyn Sheds>>>,
    /// Returns freed memory to the system.
    returns: OnceLock<fn()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Document,
    Work,
    Spare,
}

#[derive(Debug, Default)]
struct State {
    documents: Share,
    work: Share,
    spare: u64,
    /// Bytes of the largest lease since freed memory was returned.
    largest: u64,
    /// Bytes that large leases have given up since then.
    freed: u64,
}

#[derive(Debug, Default)]
struct Share {
    bytes: u64,
    leases: usize,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    bytes: u64,
    granted: oneshot::Sender<MemoryLease>,
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBudget").field("limit", &self.limit()).finish_non_exhaustive()
    }
}

impl MemoryBudget {
    /// Makes a budget of a number of bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Shared {
            limit: AtomicU64::new(limit),
            state: Mutex::default(),
            caches: Mutex::default(),
            returns: OnceLock::new(),
        }))
    }

    /// Returns the budget of this process: 256 MiB unless [`Self::set_limit`] changes it.
    pub fn process() -> &'static Self {
        static PROCESS: OnceLock<MemoryBudget> = OnceLock::new();
        PROCESS.get_or_init(|| Self::new(DEFAULT_LIMIT))
    }

    /// Returns the limit in bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Sets the limit in bytes, for leases that are requested from now on.
    pub fn set_limit(&self, bytes: u64) {
        self.0.limit.store(bytes, Ordering::Relaxed);
    }

    /// Sets how freed memory is returned to the system: when a large lease has ended and nothing is leased any more, or
    /// when several have ended; in both cases before anything waiting gets a lease. Only the first function that is set
    /// counts.
    pub fn on_idle(&self, returns: fn()) {
        let _ = self.0.returns.set(returns);
    }

    /// Leases memory for a document, or other data that is held while work is done with it. All of them together
    /// get half of the limit, unless a single one needs more.
    pub async fn document(&self, bytes: u64) -> MemoryLease {
        self.lease(Kind::Document, bytes).await
    }

    /// As [`Self::document`], in a thread that may block.
    pub fn document_blocking(&self, bytes: u64) -> MemoryLease {
        self.lease_blocking(Kind::Document, bytes)
    }

    /// As [`Self::document`] without waiting, for callers that must not: later leases wait instead.
    pub fn document_at_once(&self, bytes: u64) -> MemoryLease {
        self.state().grant(self, Kind::Document, bytes)
    }

    /// Leases memory for work that ends without waiting for memory.
    pub async fn work(&self, bytes: u64) -> MemoryLease {
        self.lease(Kind::Work, bytes).await
    }

    /// As [`Self::work`], in a thread that may block.
    pub fn work_blocking(&self, bytes: u64) -> MemoryLease {
        self.lease_blocking(Kind::Work, bytes)
    }

    /// Leases memory for a cache; `None` if there is none to spare.
    ///
    /// Register the cache with [`Self::add_cache`]; it sheds when
    /// [`Self::is_short`] after the entry was added.
    pub fn spare(&self, bytes: u64) -> Option<MemoryLease> {
        let mut state = self.state();
        let is_room = state.used().saturating_add(bytes) <= self.limit() / 2;
        (is_room && !state.is_short()).then(|| state.grant(self, Kind::Spare, bytes))
    }

    /// Whether work waits for memory.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.state().is_short()
    }

    /// Registers a cache, which sheds when memory is short.
    pub fn add_cache(&self, cache: Weak<dyn Sheds>) {
        let mut caches = self.caches();
        caches.retain(|cache| cache.strong_count() > 0);
        caches.push(cache);
    }

    /// Lets caches shed while work waits for memory.
    pub fn shed(&self) {
        let caches: Vec<_> = self.caches().iter().filter_map(Weak::upgrade).collect();
        for cache in caches {
            while self.is_short() && cache.shed() {}
        }
    }

    /// Empties the caches.
    pub fn empty_caches(&self) {
        let caches: Vec<_> = self.caches().iter().filter_map(Weak::upgrade).collect();
        for cache in caches {
            while cache.shed() {}
        }
    }

    async fn lease(&self, kind: Kind, bytes: u64) -> MemoryLease {
        match self.ask(kind, bytes) {
            Ok(lease) => lease,
            // The sender is not dropped while the budget lives.
            Err(waiting) => waiting.await.unwrap_or_else(|_| self.state().grant(self, kind, bytes)),
        }
    }

    fn lease_blocking(&self, kind: Kind, bytes: u64) -> MemoryLease {
        match self.ask(kind, bytes) {
            Ok(lease) => lease,
            Err(waiting) => {
                let granted = waiting.blocking_recv();
                granted.unwrap_or_else(|_| self.state().grant(self, kind, bytes))
            }
        }
    }

    /// Grants a lease, or returns what to wait for.
    fn ask(&self, kind: Kind, bytes: u64) -> Result<MemoryLease, oneshot::Receiver<MemoryLease>> {
        let waiting = {
            let mut state = self.state();
            if state.share(kind).waiting.is_empty() && state.has_room(kind, bytes, self.limit()) {
                return Ok(state.grant(self, kind, bytes));
            }
            let (granted, waiting) = oneshot::channel();
            state.share(kind).waiting.push_back(Waiter { bytes, granted });
            waiting
        };
        self.shed();
        Err(waiting)
    }

    /// Grants the leases that have become possible.
    fn serve(&self) {
        loop {
            let (waiter, lease) = {
                let mut state = self.state();
                let Some((kind, waiter)) = state.next(self.limit()) else {
                    return;
                };
                let lease = state.grant(self, kind, waiter.bytes);
                (waiter, lease)
            };
            if let Err(unwanted) = waiter.granted.send(lease) {
                unwanted.forget();
            }
        }
    }

    fn release(&self, kind: Kind, bytes: u64) -> bool {
        let mut state = self.state();
        match kind {
            Kind::Spare => state.spare = state.spare.saturating_sub(bytes),
            kind => {
                let share = state.share(kind);
                share.bytes = share.bytes.saturating_sub(bytes);
                share.leases = share.leases.saturating_sub(1);
            }
        }
        state.count_freed(bytes);
        let is_idle = state.work.leases == 0 && state.documents.leases == 0;
        let is_worth =
            state.freed >= TOO_MUCH_TO_KEEP || (is_idle && state.largest >= WORTH_RETURNING);
        if is_worth {
            (state.largest, state.freed) = (0, 0);
        }
        is_worth
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn caches(&self) -> MutexGuard<'_, Vec<Weak<dyn Sheds>>> {
        self.0.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn share(&mut self, kind: Kind) -> &mut Share {
        if kind == Kind::Document { &mut self.documents } else { &mut self.work }
    }

    fn used(&self) -> u64 {
        self.documents.bytes.saturating_add(self.work.bytes).saturating_add(self.spare)
    }

    fn is_short(&self) -> bool {
        !(self.documents.waiting.is_empty() && self.work.waiting.is_empty())
    }

    /// Whether documents have room for another one.
    fn has_share(&self, bytes: u64, limit: u64) -> bool {
        let documents = &self.documents;
        documents.leases == 0 || documents.bytes.saturating_add(bytes) <= limit / 2
    }

    fn has_room(&self, kind: Kind, bytes: u64, limit: u64) -> bool {
        let is_alone = self.work.leases == 0;
        let fits = self.used().saturating_add(bytes) <= limit;
        if kind == Kind::Document {
            return self.has_share(bytes, limit) && (is_alone || fits);
        }
        // A document that waits for work to end comes first.
        let first = self.documents.waiting.front();
        let gives_way = first.is_some_and(|first| self.has_share(first.bytes, limit));
        is_alone || (fits && !gives_way)
    }

    /// The next waiter whose lease fits.
    fn next(&mut self, limit: u64) -> Option<(Kind, Waiter)> {
        for kind in [Kind::Document, Kind::Work] {
            while let Some(first) = self.share(kind).waiting.front() {
                let (bytes, is_gone) = (first.bytes, first.granted.is_closed());
                if !is_gone && !self.has_room(kind, bytes, limit) {
                    break;
                }
                let waiter = self.share(kind).waiting.pop_front()?;
                if !is_gone {
                    return Some((kind, waiter));
                }
            }
        }
        None
    }

    fn count_freed(&mut self, bytes: u64) {
        if bytes >= WORTH_RETURNING {
            self.freed = self.freed.saturating_add(bytes);
        }
    }

    fn grant(&mut self, budget: &MemoryBudget, kind: Kind, bytes: u64) -> MemoryLease {
        self.largest = self.largest.max(bytes);
        if kind == Kind::Spare {
            self.spare = self.spare.saturating_add(bytes);
        } else {
            let share = self.share(kind);
            share.bytes = share.bytes.saturating_add(bytes);
            share.leases += 1;
        }
        MemoryLease { budget: budget.clone(), kind, bytes }
    }
}

impl MemoryLease {
    /// Returns its number of bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Changes its number of bytes, without waiting: later leases wait longer or less long.
    pub fn resize(&mut self, bytes: u64) {
        {
            let mut state = self.budget.state();
            let held = match self.kind {
                Kind::Spare => &mut state.spare,
                kind => &mut state.share(kind).bytes,
            };
            *held = held.saturating_sub(self.bytes).saturating_add(bytes);
            state.largest = state.largest.max(bytes);
            state.count_freed(self.bytes.saturating_sub(bytes));
        }
        self.bytes = bytes;
        self.budget.serve();
    }

    /// Adds another lease of the same kind.
    pub fn merge(&mut self, other: Self) {
        let bytes = self.bytes.saturating_add(other.bytes);
        drop(other);
        self.resize(bytes);
    }

    /// Ends it while waiters are being served.
    fn forget(mut self) {
        self.budget.release(self.kind, self.bytes);
        // Nothing is left for the drop to release but an empty lease to spare.
        (self.kind, self.bytes) = (Kind::Spare, 0);
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        if self.kind == Kind::Spare && self.bytes == 0 {
            return;
        }
        let is_worth_returning = self.budget.release(self.kind, self.bytes);
        // Before the next owner takes as much again, in another thread and so from another arena of the allocator.
        if is_worth_returning && let Some(returns) = self.budget.0.returns.get() {
            returns();
        }
        self.budget.serve();
    }
}
