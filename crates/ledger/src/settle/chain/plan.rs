//! Witness sets by height, in place of what the state says: for the tests of this module, where nobody offers a vote key.

use super::Witnesses;
use alloc::vec::Vec;
use core::cell::RefCell;

extern crate std;

std::thread_local! {
    static PLAN: RefCell<Vec<(u64, Witnesses)>> = const { RefCell::new(Vec::new()) };
}

/// From the height on, in this thread, these vote.
pub(in super::super) fn from(height: u64, witnesses: Witnesses) {
    PLAN.with(|plan| plan.borrow_mut().push((height, witnesses)));
}

pub(in super::super) fn witnesses(height: u64) -> Option<Witnesses> {
    PLAN.with(|plan| plan.borrow().iter().rev().find(|(from, _)| *from <= height).map(|(_, set)| set.clone()))
}
