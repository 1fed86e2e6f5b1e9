#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    task::Poll,
};

use futures::channel::oneshot;
use proptest::prelude::*;

use super::*;

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<&'static str>>>);

impl Log {
    fn note(&self, what: &'static str) {
        self.0.borrow_mut().push(what);
    }

    fn take(&self) -> Vec<&'static str> {
        self.0.take()
    }
}

/// The microtask that was asked for, if one was.
fn microtask() -> bool {
    HERE.with(|here| here.coming.get().then(|| here.came()).is_some())
}

#[test]
fn what_a_task_wakes_runs_in_the_same_go_after_it() {
    let log = Log::default();
    let (first, second) = oneshot::channel::<()>();
    let noted = log.clone();
    spawn(async move {
        noted.note("the one that waits begins");
        second.await.unwrap();
        noted.note("the one that waits goes on");
    });
    let noted = log.clone();
    spawn(async move {
        noted.note("the other wakes it");
        first.send(()).unwrap();
        noted.note("the other ends");
    });
    assert!(log.take().is_empty(), "spawning runs nothing");
    assert!(microtask());
    let all = ["the one that waits begins", "the other wakes it", "the other ends", "the one that waits goes on"];
    assert_eq!(log.take(), all);
    assert!(microtask(), "it was asked for within the go");
    assert!(!microtask(), "nothing is left to do");
}

#[test]
fn a_handler_runs_what_it_woke_at_once() {
    let log = Log::default();
    let (event, heard) = oneshot::channel::<()>();
    let noted = log.clone();
    spawn(async move {
        heard.await.unwrap();
        noted.note("heard");
    });
    now();
    event.send(()).unwrap();
    assert!(log.take().is_empty(), "waking runs nothing");
    now();
    assert_eq!(log.take(), ["heard"]);
}

#[test]
fn no_task_runs_within_another() {
    let log = Log::default();
    let noted = log.clone();
    spawn(async move {
        let inner = noted.clone();
        spawn(async move { inner.note("the one that it spawned") });
        now();
        noted.note("the first");
    });
    now();
    assert_eq!(log.take(), ["the first", "the one that it spawned"]);
}

#[test]
fn a_task_that_wakes_itself_runs_again_after_the_others() {
    let log = Log::default();
    let noted = log.clone();
    let mut polls = 0;
    spawn(poll_fn(move |cx| {
        polls += 1;
        noted.note("it");
        cx.waker().wake_by_ref();
        if polls < 3 { Poll::Pending } else { Poll::Ready(()) }
    }));
    let noted = log.clone();
    spawn(async move { noted.note("another") });
    now();
    assert_eq!(log.take(), ["it", "another", "it", "it"]);
}

#[test]
fn places_are_used_again_and_an_old_waker_harms_nobody() {
    let old: Rc<RefCell<Option<Waker>>> = Rc::default();
    let kept = Rc::clone(&old);
    spawn(poll_fn(move |cx| {
        kept.replace(Some(cx.waker().clone()));
        Poll::Ready(())
    }));
    now();
    let polls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&polls);
    spawn(poll_fn(move |_| {
        counted.set(counted.get() + 1);
        Poll::<()>::Pending
    }));
    now();
    assert_eq!(HERE.with(|here| here.tasks.borrow().len()), 1);
    old.take().unwrap().wake();
    now();
    assert_eq!(polls.get(), 2, "woken in vain");
    for _ in 0..1_000 {
        spawn(async {});
        now();
    }
    assert_eq!(HERE.with(|here| here.tasks.borrow().len()), 2);
}

#[test]
fn a_task_that_is_over_is_dropped_at_once_and_its_drop_may_spawn() {
    struct Spawns(Log);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let log = self.0.clone();
            spawn(async move { log.note("spawned by a drop") });
        }
    }
    let log = Log::default();
    let held = Spawns(log.clone());
    spawn(poll_fn(move |_| {
        let _held = &held;
        Poll::Ready(())
    }));
    now();
    assert_eq!(log.take(), ["spawned by a drop"]);
}

#[test]
fn an_exception_through_a_task_leaves_the_others_running() {
    let log = Log::default();
    for go in [now, || assert!(microtask())] {
        let (event, heard) = oneshot::channel::<()>();
        let noted = log.clone();
        spawn(async move {
            heard.await.unwrap();
            noted.note("one that waits");
        });
        spawn(async { panic!("as an exception that goes through") });
        let noted = log.clone();
        spawn(async move { noted.note("the next") });
        assert!(catch_unwind(AssertUnwindSafe(go)).is_err());
        // As by a timer: no handler runs anything at once.
        event.send(()).unwrap();
        assert!(microtask());
        assert_eq!(log.take(), ["the next", "one that waits"]);
    }
}

proptest! {
    /// Whoever is woken runs afterwards, whatever wakes what; and a task that nobody woke does not run.
    #[test]
    fn each_wake_is_followed_by_a_run(
        wakes in prop::collection::vec(prop::collection::vec(prop::collection::vec(0..6_usize, 0..4), 0..5), 6),
        spread in prop::collection::vec(any::<bool>(), 6),
    ) {
        let wakers: Rc<RefCell<Vec<Option<Waker>>>> = Rc::new(RefCell::new(vec![None; 6]));
        // Wakes that no run has followed yet, and runs without a wake.
        let open = Rc::new(RefCell::new([true; 6]));
        let vain = Rc::new(Cell::new(0));
        for (at, turns) in wakes.into_iter().enumerate() {
            let (wakers, open, vain) = (Rc::clone(&wakers), Rc::clone(&open), Rc::clone(&vain));
            let mut turns = turns.into_iter();
            spawn(poll_fn(move |cx| {
                wakers.borrow_mut()[at].get_or_insert_with(|| cx.waker().clone());
                if !std::mem::replace(&mut open.borrow_mut()[at], false) {
                    vain.set(vain.get() + 1);
                }
                for whom in turns.next().into_iter().flatten() {
                    if let Some(waker) = &wakers.borrow()[whom] {
                        open.borrow_mut()[whom] = true;
                        waker.wake_by_ref();
                    }
                }
                Poll::<()>::Pending
            }));
            if spread[at] {
                now();
            }
        }
        now();
        prop_assert_eq!(*open.borrow(), [false; 6]);
        prop_assert_eq!(vain.get(), 0);
    }
}
