#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use alloc::collections::BTreeSet;
use alloc::vec;

#[test]
fn the_fixtures_hold() {
    check_or_write(TOPICS, concat!(env!("CARGO_MANIFEST_DIR"), "/conformance")).unwrap();
}

#[test]
fn no_two_formats_of_a_topic_have_one_name_and_each_has_a_fixture() {
    for topic in TOPICS {
        let formats = (topic.formats)();
        let names: BTreeSet<_> = formats.iter().map(|format| format.name).collect();
        assert_eq!(names.len(), formats.len(), "{}", topic.name);
        assert!(formats.iter().all(|format| !format.lines.is_empty()), "{}", topic.name);
    }
}

fn pairs(standing: Standing, number: u8) -> Vec<Format> {
    vec![Format::plain::<(u8, u16)>("pair", standing, 4).accepts("a pair", vec![number, 2])]
}

fn topic(text: &'static str, formats: fn() -> Vec<Format>) -> Topic {
    Topic { name: "pairs", text, about: "Pairs.", formats }
}

const PAIRS: &str = "# Pairs.

format pair: 1
accept 0102 a pair
refuse 01 the same without its last byte
refuse 01 the same, its first half
refuse 010200 the same with a zero behind it
refuse 018200 the same, the number at byte 1 in two bytes
";

#[test]
fn a_file_that_is_right_holds() {
    assert_eq!(topic(PAIRS, || pairs(Frozen(1), 1)).check(), Ok(5));
    assert_eq!(topic("", || pairs(Frozen(1), 1)).rewritten("").unwrap(), PAIRS);
}

#[test]
fn a_changed_byte_is_noticed_whoever_changed_it() {
    assert!(topic(PAIRS, || pairs(Frozen(1), 3)).check().unwrap_err().contains("the code gives"), "the code");
    let file = PAIRS.replace("accept 0102", "accept 0103").leak();
    assert!(topic(file, || pairs(Frozen(1), 1)).check().is_err(), "the file");
    let file = PAIRS.replace("refuse 010200", "refuse 0104").leak();
    assert!(topic(file, || pairs(Frozen(1), 1)).check().unwrap_err().ends_with("is accepted"));
    let file = PAIRS.replace("accept 0102", "accept 01020304").leak();
    assert!(topic(file, || pairs(Frozen(1), 1)).check().unwrap_err().contains("is refused"));
    let file = PAIRS.replace("accept 0102 a pair\n", "").leak();
    assert!(topic(file, || pairs(Frozen(1), 1)).check().is_err(), "a line less");
    assert!(topic(PAIRS, || pairs(Frozen(2), 1)).check().unwrap_err().contains("there is no"), "another version");
}

#[test]
fn a_frozen_format_is_not_written_over_and_a_draft_is() {
    let changed = || pairs(Frozen(1), 3);
    assert!(topic(PAIRS, changed).rewritten(PAIRS).unwrap_err().contains("frozen"));
    assert!(topic(PAIRS, Vec::new).rewritten(PAIRS).unwrap_err().contains("frozen"), "nor dropped");
    let more = || vec![pairs(Frozen(1), 1).remove(0).accepts("another", vec![3, 4])];
    assert!(topic(PAIRS, more).rewritten(PAIRS).unwrap().contains("accept 0304 another"), "but added to");
    let draft = PAIRS.replace("pair: 1", "pair: draft");
    assert!(topic(PAIRS, || pairs(Draft, 3)).rewritten(&draft).unwrap().contains("accept 0302 a pair"));
}
