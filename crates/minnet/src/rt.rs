//! Tasks and deadlines, natively and in a browser.

use std::{
    future::Future,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures::{
    Stream, StreamExt,
    future::{Either, select},
    task::AtomicWaker,
};
use futures_timer::Delay;

/// Runs a future by itself.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

/// Runs a future by itself.
#[cfg(target_arch = "wasm32")]
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    ledgerno_tasks::spawn(task);
}

/// What the future gives, if it does in time.
pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T> + Unpin) -> Option<T> {
    match select(future, Delay::new(limit)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

/// A stream that is polled only after it was woken, or had in hand. Who waits for several would else poll all of them for
/// whatever comes.
pub(crate) struct OnWake<S> {
    stream: S,
    due: Arc<Due>,
    waker: Waker,
}

struct Due {
    due: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Due {
    fn wake(self: Arc<Self>) {
        self.due.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<S> OnWake<S> {
    pub(crate) fn new(stream: S) -> Self {
        let due = Arc::new(Due { due: AtomicBool::new(true), task: AtomicWaker::new() });
        OnWake { stream, waker: Arc::clone(&due).into(), due }
    }
}

impl<S: Stream + Unpin> OnWake<S> {
    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<S::Item>> {
        self.due.task.register(cx.waker());
        if !self.due.due.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let polled = self.stream.poll_next_unpin(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            self.due.due.store(true, Ordering::Release);
        }
        polled
    }
}

impl<S> Deref for OnWake<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.stream
    }
}

/// Whoever has it in hand polls it afterwards.
impl<S> DerefMut for OnWake<S> {
    fn deref_mut(&mut self) -> &mut S {
        self.due.due.store(true, Ordering::Release);
        &mut self.stream
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::{collections::VecDeque, pin::Pin};

    use futures::task::noop_waker;

    use super::*;

    /// Counts how often it is polled.
    #[derive(Default)]
    struct Counted {
        items: VecDeque<u8>,
        polls: usize,
        waker: Option<Waker>,
    }

    impl Stream for Counted {
        type Item = u8;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u8>> {
            self.polls += 1;
            self.waker = Some(cx.waker().clone());
            self.items.pop_front().map_or(Poll::Pending, |item| Poll::Ready(Some(item)))
        }
    }

    #[test]
    fn it_is_polled_until_it_waits_and_then_only_when_woken_or_had_in_hand() {
        let waker = noop_waker();
        let cx = Context::from_waker(&waker);
        let mut stream = OnWake::new(Counted { items: VecDeque::from([1, 2]), ..Counted::default() });
        assert_eq!([1, 2].map(|_| stream.poll_next(&cx)), [1, 2].map(|item| Poll::Ready(Some(item))));
        assert_eq!(stream.poll_next(&cx), Poll::Pending);
        assert_eq!(stream.poll_next(&cx), Poll::Pending);
        assert_eq!(stream.polls, 3);
        stream.items.push_back(3);
        assert_eq!(stream.poll_next(&cx), Poll::Ready(Some(3)));
        assert_eq!(stream.poll_next(&cx), Poll::Pending);
        assert_eq!(stream.polls, 5);
        stream.stream.waker.as_ref().unwrap().wake_by_ref();
        assert_eq!(stream.poll_next(&cx), Poll::Pending);
        assert_eq!(stream.polls, 6);
    }
}
