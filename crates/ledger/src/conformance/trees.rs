//! Roots, mountains and paths.

use super::state::leaves;
use super::{Format, Frozen};
use crate::codec::encode;
use crate::merkle::{ENTRIES, HISTORY, MAX_PATH, Mountains, Path, STATE, Tree};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

pub fn trees() -> Vec<Format> {
    let bytes = |count| leaves(count).iter().map(|leaf| leaf.0).collect::<Vec<_>>();
    let path = |count, places| ENTRIES.prove(&bytes(count), places).map(|path| encode(&path)).unwrap_or_default();
    let too_long = Path { index: 0, count: u64::MAX, siblings: leaves(129) };
    let peaks = [0, 1, 2, 3, 7, 8, 11].into_iter().fold(Format::values("mountains", Frozen(1)), |format, count| {
        let mut mountains = Mountains::new(HISTORY);
        leaves(count).iter().for_each(|leaf| mountains.push(&leaf.0));
        let peaks = mountains.peaks().iter().flat_map(|peak| peak.0).collect::<Vec<u8>>();
        format.value(&format!("the peaks over {count} headers, the greatest first"), peaks)
    });
    vec![
        roots("state root", STATE),
        roots("entries root", ENTRIES),
        roots("history root", HISTORY),
        peaks,
        Format::plain::<Path>("path", Frozen(1), MAX_PATH)
            .accepts("of leaf 4 in 7", path(7, 4..5))
            .accepts("of the only leaf", path(1, 0..1))
            .accepts("of leaves 3 and 4 side by side in 9", path(9, 3..5))
            .accepts("of no leaf in the empty tree", path(0, 0..0))
            .refuses("longer than any", encode(&too_long)),
    ]
}

fn roots(name: &'static str, tree: Tree) -> Format {
    (0..=17).fold(Format::values(name, Frozen(1)), |format, count| {
        let leaves = leaves(count);
        format.value(
            &format!("over the {count} leaves 01, 02 … of 32 bytes each"),
            tree.root(leaves.iter().map(|leaf| &leaf.0)).0,
        )
    })
}
