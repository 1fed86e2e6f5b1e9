//! Bytes that are nearly right.

use proptest::prelude::*;

/// One change to bytes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Flip(usize, u8),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Double(usize, usize),
    /// A number that is far too large, where a varint may be.
    Huge(usize),
    CutOff(usize),
}

pub(super) fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = || any::<usize>();
    let change = prop_oneof![
        (place(), 1u8..).prop_map(|(at, with)| Change::Flip(at, with)),
        (place(), 1usize..40).prop_map(|(at, len)| Change::Remove(at, len)),
        (place(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (place(), 1usize..400).prop_map(|(at, len)| Change::Double(at, len)),
        place().prop_map(Change::Huge),
        place().prop_map(Change::CutOff),
    ];
    prop::collection::vec(change, 0..5)
}

pub(super) fn mutate(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let at = |place: usize| place % (bytes.len() + 1);
        match change {
            Change::Flip(place, with) => {
                let place = at(*place);
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= with;
                }
            }
            Change::Remove(place, len) => {
                let from = at(*place);
                let to = (from + len).min(bytes.len());
                bytes.drain(from..to);
            }
            Change::Insert(place, more) => {
                let place = at(*place);
                bytes.splice(place..place, more.iter().copied());
            }
            Change::Double(place, len) => {
                let from = at(*place);
                let to = (from + len).min(bytes.len());
                let again = bytes[from..to].to_vec();
                bytes.splice(to..to, again);
            }
            Change::Huge(place) => {
                let place = at(*place);
                bytes.splice(place..place, [0xff, 0xff, 0xff, 0xff, 0x7f]);
            }
            Change::CutOff(place) => bytes.truncate(at(*place)),
        }
    }
    bytes
}

/// The same bytes in parts of the given lengths, over and over.
pub(super) fn cut<'a>(bytes: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    lengths.iter().cycle().map_while(move |len| {
        let (part, left) = rest.split_at_checked(*len.max(&1)).unwrap_or((rest, &[]));
        rest = left;
        (!part.is_empty()).then_some(part)
    })
}

proptest! {
    #[test]
    fn no_bytes_open_the_doors_for_fuzzing(bytes in prop::collection::vec(any::<u8>(), 0..3_000), small in any::<bool>()) {
        let bytes: Vec<u8> = bytes.into_iter().map(|byte| if small { byte % 24 } else { byte }).collect();
        crate::hostile::stream(&bytes);
        crate::hostile::signalling(&bytes);
    }
}
