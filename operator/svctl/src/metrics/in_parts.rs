//! Work that several threads share.

use std::thread;

/// The most threads that read files of services and of processes.
const MOST_THREADS: usize = 4;

/// So many services or processes are worth a thread of their own.
const ITEMS_PER_THREAD: usize = 100;

/// Reads all items, in several threads if there are many. The results have the order of the items.
pub(super) fn in_parts<T: Sync, R: Send>(
    items: &[T],
    read: impl Fn(&T) -> Option<R> + Sync,
) -> Vec<R> {
    let most = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let count = items.len().div_ceil(ITEMS_PER_THREAD).clamp(1, most);
    let mut parts = items.chunks(items.len().div_ceil(count).max(1));
    let read_all = |part: &[T]| part.iter().filter_map(&read).collect::<Vec<_>>();
    thread::scope(|threads| {
        let own = parts.next().unwrap_or_default();
        let others: Vec<_> = parts.map(|part| threads.spawn(|| read_all(part))).collect();
        let mut all = read_all(own);
        for other in others {
            all.extend(other.join().unwrap_or_default());
        }
        all
    })
}
