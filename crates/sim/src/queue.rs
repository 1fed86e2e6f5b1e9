//! What is to happen, by time; of one time, in the order in which it was said.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

struct Planned<T> {
    time: u64,
    no: u64,
    what: T,
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.time, self.no) == (other.time, other.no)
    }
}

impl<T> Eq for Planned<T> {}

impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Planned<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.no).cmp(&(other.time, other.no))
    }
}

/// The queue.
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Planned<T>>>,
    next: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { heap: BinaryHeap::new(), next: 0 }
    }
}

impl<T> Queue<T> {
    /// Plans something for a time.
    pub fn plan(&mut self, time: u64, what: T) {
        self.heap.push(Reverse(Planned { time, no: self.next, what }));
        self.next += 1;
    }

    /// When the next happening is.
    pub fn due(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(planned)| planned.time)
    }

    /// The next happening.
    pub fn pop(&mut self) -> Option<(u64, T)> {
        self.heap.pop().map(|Reverse(planned)| (planned.time, planned.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_time_and_then_as_it_was_said() {
        let mut queue = Queue::default();
        for (time, what) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b')] {
            queue.plan(time, what);
        }
        let order: String = std::iter::from_fn(|| queue.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, "abcd");
    }
}
