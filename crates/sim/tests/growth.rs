//! The growth runs at a small size, and the bound for finding what is missing at its real one in the long tests.

#![allow(clippy::expect_used)]

use ledgerno_sim::growth::{find_missing, grow, plot, table};

/// The aim of finding 20 missing entries among 1,000 devices, beyond the entries and headers themselves.
const MOST_TO_FIND: u64 = 8_000;

#[test]
fn ten_nodes_hold_and_settle_all() {
    let run = grow(10, 20, 3).expect("a run");
    let report = &run.report;
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    assert_eq!(report.entries, 200);
    assert_eq!((report.held_by_all, report.settled), (200, 200));
    assert!(table(std::slice::from_ref(&run)).contains("| 10 |"));
    assert!(plot(&[run]).starts_with("<svg"));
}

#[test]
fn what_is_missing_is_found_cheaply() {
    let found = find_missing(150, 20, 4).expect("a run");
    assert_eq!(found.missing, 20);
    assert!(found.beyond() < MOST_TO_FIND, "{found:?}");
}

#[test]
#[ignore = "long"]
fn what_is_missing_among_a_thousand_is_found_cheaply() {
    let found = find_missing(1_000, 20, 4).expect("a run");
    assert_eq!((found.missing, found.devices), (20, 1_000));
    assert!(found.beyond() < MOST_TO_FIND, "{found:?}");
}
