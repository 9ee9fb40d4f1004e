//! The memory budget: what gets a lease, what waits, and that no wait is endless.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use healthimaging::{MemoryBudget, MemoryLease, Sheds};

/// What a future gives when it is asked once.
fn now<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn leases_wait_for_room_in_their_order() {
    let budget = MemoryBudget::new(100);
    let first = now(pin!(budget.work(60))).unwrap();
    let mut second = pin!(budget.work(50));
    let mut third = pin!(budget.work(10));
    assert!(now(second.as_mut()).is_none());
    assert!(now(third.as_mut()).is_none(), "it came later, though there is room");
    drop(first);
    let second = now(second).unwrap();
    assert_eq!((second.bytes(), now(third).unwrap().bytes()), (50, 10));
}

#[test]
fn what_is_larger_than_all_runs_alone() {
    let budget = MemoryBudget::new(100);
    let small = now(pin!(budget.work(1))).unwrap();
    let mut large = pin!(budget.work(1000));
    assert!(now(large.as_mut()).is_none());
    drop(small);
    let large = now(large).unwrap();
    let mut next = pin!(budget.work(1));
    assert!(now(next.as_mut()).is_none());
    drop(large);
    assert!(now(next).is_some());
}

#[test]
fn who_waits_no_more_is_passed_over() {
    let budget = MemoryBudget::new(100);
    let first = now(pin!(budget.work(100))).unwrap();
    {
        let mut given_up = pin!(budget.work(100));
        assert!(now(given_up.as_mut()).is_none());
    }
    let mut next = pin!(budget.work(100));
    assert!(now(next.as_mut()).is_none());
    drop(first);
    assert!(now(next).is_some());
}

#[test]
fn work_goes_on_whatever_documents_hold() {
    let budget = MemoryBudget::new(100);
    let mut document = now(pin!(budget.document(40))).unwrap();
    let mut other = pin!(budget.document(20));
    assert!(now(other.as_mut()).is_none(), "documents have a half");
    document.resize(500);
    let work = now(pin!(budget.work(300)));
    assert!(work.is_some(), "one of them always runs");
    assert!(now(pin!(budget.work(1))).is_none());
    document.resize(1);
    assert!(now(other.as_mut()).is_none(), "there is too much work");
    drop(work);
    assert!(now(other).is_some());
}

#[test]
fn a_document_is_not_kept_waiting_by_ever_new_work() {
    let budget = MemoryBudget::new(100);
    let first = now(pin!(budget.work(60))).unwrap();
    let mut document = pin!(budget.document(50));
    assert!(now(document.as_mut()).is_none());
    let mut second = pin!(budget.work(10));
    assert!(now(second.as_mut()).is_none(), "the document comes first");
    drop(first);
    assert!(now(document).is_some());
    assert!(now(second).is_some());
}

/// Keeps leases until they are wanted.
#[derive(Default)]
struct Cache(Mutex<Vec<MemoryLease>>);

impl Sheds for Cache {
    fn shed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().is_some()
    }
}

#[test]
fn caches_shed_what_is_needed_and_no_more() {
    let budget = MemoryBudget::new(100);
    let cache = Arc::new(Cache::default());
    let weak = Arc::downgrade(&cache);
    budget.add_cache(weak);
    for _ in 0..5 {
        cache.0.lock().unwrap().push(budget.spare(10).unwrap());
    }
    assert!(budget.spare(10).is_none(), "caches have a half");
    let work = now(pin!(budget.work(50))).unwrap();
    assert!(now(pin!(budget.work(15))).is_some());
    assert_eq!(cache.0.lock().unwrap().len(), 3);
    drop(work);
    assert!(!budget.is_short());
    assert!(budget.spare(10).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_all_end() {
    let budget = MemoryBudget::new(100);
    let mut tasks = Vec::new();
    for number in 0..400_u64 {
        let budget = budget.clone();
        tasks.push(tokio::spawn(async move {
            let mut document = budget.document(number % 130).await;
            document.resize(number % 70);
            tokio::task::yield_now().await;
            let _work = budget.work(number * 7 % 150).await;
            tokio::task::yield_now().await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(budget.spare(50).is_some(), "all is released");
}

#[test]
fn freed_memory_is_returned_before_the_next_gets_a_lease_and_while_others_work() {
    /// For each return of memory, whether a lease was being waited for.
    static RETURNS: Mutex<Vec<bool>> = Mutex::new(Vec::new());
    static BUDGET: OnceLock<MemoryBudget> = OnceLock::new();
    const MIB: u64 = 1 << 20;
    let budget = BUDGET.get_or_init(|| MemoryBudget::new(256 * MIB));
    budget.on_idle(|| {
        let is_short = BUDGET.get().is_some_and(MemoryBudget::is_short);
        RETURNS.lock().unwrap_or_else(PoisonError::into_inner).push(is_short);
    });
    let returns = || RETURNS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let first = now(pin!(budget.work(200 * MIB))).unwrap();
    let mut second = pin!(budget.work(200 * MIB));
    assert!(now(second.as_mut()).is_none());
    drop(first);
    assert_eq!(returns(), [true]);
    drop(now(second).unwrap());
    assert_eq!(returns(), [true, false]);
    // While a small lease goes on, after 64 MiB of large ones, also by giving up a part.
    let small = now(pin!(budget.work(MIB))).unwrap();
    drop(now(pin!(budget.work(40 * MIB))).unwrap());
    assert_eq!(returns().len(), 2);
    let mut large = now(pin!(budget.work(41 * MIB))).unwrap();
    large.resize(MIB);
    drop(large);
    assert_eq!(returns().len(), 3);
    // Small work alone never has it returned.
    drop(small);
    for _ in 0..100 {
        drop(now(pin!(budget.work(15 * MIB))).unwrap());
    }
    assert_eq!(returns().len(), 3);
}
