//! An allocator that counts, to see that a decoder takes no more memory than its input is long (times a little).

#![allow(unsafe_code)]

extern crate std;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;
use std::thread_local;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counting for each thread. A test crate installs it as its `#[global_allocator]`.
pub struct Meter;

impl Meter {
    /// The most bytes that were allocated at once while `act` ran, beyond those before; and what it gave. 0 bytes if the
    /// meter is not installed.
    pub fn peak<T>(act: impl FnOnce() -> T) -> (usize, T) {
        let before = LIVE.get();
        PEAK.set(before);
        let given = act();
        (usize::try_from(PEAK.get() - before).unwrap_or(0), given)
    }

    fn count(bytes: isize) {
        let live = LIVE.get() + bytes;
        LIVE.set(live);
        PEAK.set(PEAK.get().max(live));
    }
}

// SAFETY: everything is done by the system's allocator; the counters are plain cells that allocate nothing and have no
// destructor, so they can be used at any time in a thread's life.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Meter::count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        Meter::count(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}
