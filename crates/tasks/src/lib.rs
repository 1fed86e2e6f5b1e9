//! The tasks of a page's thread.
//!
//! A message passes several tasks, and with wasm-bindgen-futures each that is woken waits for the browser's next microtask: some
//! 20 µs through JavaScript each time, on a processor that had nothing else to do. Here they run in one go.
//!
//! The rules:
//! - What was woken runs in the order of waking, until nothing is ready.
//! - Such a go is a microtask of the browser, or begins at once by [`now`].
//! - No task runs within another, whoever wakes it, and none within who wakes it.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

type Task = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    static HERE: Tasks = Tasks::default();
}

#[derive(Default)]
struct Tasks {
    /// Each at its place. `None`: it runs just now, or is over.
    tasks: RefCell<Vec<Option<Task>>>,
    /// Places of which the tasks are over.
    free: RefCell<Vec<usize>>,
    ready: RefCell<VecDeque<Arc<Place>>>,
    /// A go has begun, and has not ended.
    running: Cell<bool>,
    /// A microtask is on its way.
    coming: Cell<bool>,
}

/// Where a task is. After its end another may have its place, and an old waker wakes that in vain.
struct Place {
    at: usize,
    is_ready: AtomicBool,
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        if !self.is_ready.swap(true, Ordering::Relaxed) {
            HERE.with(|here| here.ready(self));
        }
    }
}

/// Runs a future beside the caller, on the same thread, from the next go on.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    HERE.with(|here| here.add(Box::pin(task)));
}

/// Runs at once what is ready. For handlers of the browser's events, as the last that they do: nothing that a task may want is
/// to be borrowed or locked meanwhile. Within a task it does nothing, for that go comes to all.
pub fn now() {
    HERE.with(|here| {
        if !here.running.get() {
            here.go();
        }
    });
}

#[cfg(target_arch = "wasm32")]
mod browser {
    use wasm_bindgen::prelude::*;

    use super::{HERE, Tasks};

    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_name = queueMicrotask)]
        fn queue_microtask(go: &Closure<dyn FnMut()>);
    }

    thread_local! {
        static GO: Closure<dyn FnMut()> = Closure::new(|| HERE.with(Tasks::came));
    }

    pub(super) fn come() {
        GO.with(queue_microtask);
    }
}

impl Tasks {
    fn add(&self, task: Task) {
        let mut tasks = self.tasks.borrow_mut();
        let at = self.free.borrow_mut().pop().unwrap_or(tasks.len());
        if at == tasks.len() {
            tasks.push(None);
        }
        tasks[at] = Some(task);
        drop(tasks);
        self.ready(Arc::new(Place { at, is_ready: AtomicBool::new(true) }));
    }

    fn ready(&self, place: Arc<Place>) {
        self.ready.borrow_mut().push_back(place);
        // In a go too: should an exception go through a task, that one never ends, and the microtask goes on.
        if !self.coming.replace(true) {
            #[cfg(target_arch = "wasm32")]
            browser::come();
        }
    }

    /// The microtask has come. There is no other go below it, whatever was noted.
    #[cfg(any(target_arch = "wasm32", test))]
    fn came(&self) {
        self.coming.set(false);
        self.go();
    }

    fn go(&self) {
        self.running.set(true);
        loop {
            let next = self.ready.borrow_mut().pop_front();
            let Some(place) = next else { break };
            self.run(place);
        }
        self.running.set(false);
    }

    fn run(&self, place: Arc<Place>) {
        let at = place.at;
        place.is_ready.store(false, Ordering::Relaxed);
        let task = self.tasks.borrow_mut()[at].take();
        let Some(mut task) = task else { return };
        if task.as_mut().poll(&mut Context::from_waker(&Waker::from(place))).is_pending() {
            self.tasks.borrow_mut()[at] = Some(task);
        } else {
            self.free.borrow_mut().push(at);
        }
    }
}

#[cfg(test)]
mod tests;
