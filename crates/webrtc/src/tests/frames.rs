//! Frames: what they are on the wire, and that neither cuts nor faults in it matter.

use proptest::prelude::*;

use super::mutator::{changes, cut, mutate};
use crate::frame::{Flag, Frame, MAX_DATA, MAX_FRAME};
use crate::wire::{MAX, Malformed, Splitter, prefixed};

type Owned = (Option<Flag>, Option<u64>, Vec<u8>);

fn frame() -> impl Strategy<Value = Owned> {
    let flag = prop_oneof![
        4 => Just(None),
        1 => prop::sample::select(vec![Flag::Fin, Flag::StopSending, Flag::Reset, Flag::FinAck]).prop_map(Some),
    ];
    let data = prop_oneof![prop::collection::vec(any::<u8>(), 0..40), Just(vec![7; 300]), Just(vec![9; MAX_DATA])];
    (flag, prop::option::of(any::<u64>()), data)
}

fn read(wire: &[u8], lengths: &[usize]) -> Result<Vec<Owned>, Malformed> {
    let (mut splitter, mut frames) = (Splitter::default(), Vec::new());
    for part in cut(wire, lengths) {
        splitter.push(part);
        while let Some(body) = splitter.next()? {
            let frame = Frame::decode(body)?;
            frames.push((frame.flag, frame.window, frame.data.to_vec()));
        }
    }
    Ok(frames)
}

#[test]
fn frames_are_as_the_specification_has_them() {
    let bytes = |flag, window, data| Frame { flag, window, data }.encode();
    assert_eq!(bytes(Some(Flag::Fin), None, b""), [2, 0x08, 0]);
    assert_eq!(bytes(Some(Flag::StopSending), None, b""), [2, 0x08, 1]);
    assert_eq!(bytes(Some(Flag::Reset), None, b""), [2, 0x08, 2]);
    assert_eq!(bytes(Some(Flag::FinAck), None, b""), [2, 0x08, 3]);
    assert_eq!(bytes(None, None, b"hello"), [7, 0x12, 5, b'h', b'e', b'l', b'l', b'o']);
    assert_eq!(bytes(None, Some(300), b"a"), [6, 0x78, 0xac, 0x02, 0x12, 1, b'a']);
    assert_eq!(bytes(Some(Flag::FinAck), Some(u64::MAX), &vec![0; MAX_DATA]).len(), MAX_FRAME);
}

#[test]
fn what_nobody_knows_is_skipped() {
    // An unknown flag; fields 3 to 6 of every type; then data.
    let body = [8, 9, 24, 1, 33, 1, 2, 3, 4, 5, 6, 7, 8, 42, 2, 1, 2, 53, 1, 2, 3, 4, 18, 1, 5];
    assert_eq!(Frame::decode(&body), Ok(Frame { data: &[5], ..Frame::default() }));
    for body in [
        &[11][..],
        &[8],
        &[18, 5, 1],
        &[16, 1],
        &[10, 0],
        &[0x7a, 0],
        &[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
    ] {
        assert_eq!(Frame::decode(body), Err(Malformed), "{body:?}");
    }
}

#[test]
fn a_long_message_is_refused_by_its_prefix() {
    let mut splitter = Splitter::default();
    splitter.push(&[0x81, 0x80, 0x01]);
    assert_eq!(splitter.next(), Err(Malformed));
    let mut splitter = Splitter::default();
    splitter.push(&prefixed(&vec![1; MAX]));
    assert_eq!(splitter.next().unwrap().map(<[u8]>::len), Some(MAX));
}

proptest! {
    #[test]
    fn frames_come_through_any_cutting(frames in prop::collection::vec(frame(), 1..8), lengths in prop::collection::vec(1usize..5_000, 1..6)) {
        let mut wire = Vec::new();
        for (flag, window, data) in &frames {
            let bytes = Frame { flag: *flag, window: *window, data }.encode();
            prop_assert!(bytes.len() <= MAX_FRAME);
            wire.extend(bytes);
        }
        prop_assert_eq!(read(&wire, &lengths), Ok(frames));
    }

    #[test]
    fn any_bytes_are_frames_or_not(frames in prop::collection::vec(frame(), 0..4), changes in changes(), lengths in prop::collection::vec(1usize..900, 1..4)) {
        let wire = frames.iter().flat_map(|(flag, window, data)| Frame { flag: *flag, window: *window, data }.encode()).collect();
        let wire = mutate(wire, &changes);
        // Whether they are does not depend on the cutting.
        prop_assert_eq!(read(&wire, &lengths), read(&wire, &[usize::MAX / 2]));
    }
}
