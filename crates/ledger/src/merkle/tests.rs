#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use proptest::prelude::*;

fn leaves(count: usize) -> Vec<[u8; 32]> {
    (0..count).map(|at| blake3::derive_key("test leaf", &at.to_le_bytes())).collect()
}

fn joined(context: &Context, parts: &[[u8; 32]]) -> [u8; 32] {
    blake3::derive_key(context.text, &parts.concat())
}

/// Written out by hand, apart from the code under test.
fn by_hand(count: u64, top: [u8; 32]) -> Hash {
    let mut bytes = count.to_le_bytes().to_vec();
    bytes.extend(top);
    Hash(blake3::derive_key(context::MMR_ROOT.text, &bytes))
}

#[test]
fn small_trees_are_as_by_hand() {
    let leaf: Vec<[u8; 32]> = leaves(5).iter().map(|leaf| blake3::derive_key(context::MMR_LEAF.text, leaf)).collect();
    let node = |left, right| joined(context::MMR_NODE, &[left, right]);
    let first_two = node(leaf[0], leaf[1]);
    let first_four = node(first_two, node(leaf[2], leaf[3]));
    assert_eq!(HISTORY.root(&leaves(0)), by_hand(0, [0; 32]));
    assert_eq!(HISTORY.root(&leaves(1)), by_hand(1, leaf[0]));
    assert_eq!(HISTORY.root(&leaves(2)), by_hand(2, first_two));
    assert_eq!(HISTORY.root(&leaves(3)), by_hand(3, node(first_two, leaf[2])));
    assert_eq!(HISTORY.root(&leaves(4)), by_hand(4, first_four));
    assert_eq!(HISTORY.root(&leaves(5)), by_hand(5, node(first_four, leaf[4])));
}

#[test]
fn seven_leaves_are_bagged_from_the_right() {
    let mut mountains = Mountains::new(HISTORY);
    leaves(7).iter().for_each(|leaf| mountains.push(leaf));
    let [four, two, one] = mountains.peaks() else { panic!("7 = 4 + 2 + 1") };
    let bagged = joined(context::MMR_NODE, &[four.0, joined(context::MMR_NODE, &[two.0, one.0])]);
    assert_eq!(mountains.root(), by_hand(7, bagged));
}

#[test]
fn kinds_of_trees_differ() {
    let roots = [STATE, ENTRIES, HISTORY].map(|tree| tree.root(&leaves(3)));
    assert!(roots[0] != roots[1] && roots[1] != roots[2] && roots[0] != roots[2]);
}

#[test]
fn the_last_leaf_of_an_odd_tree_is_not_its_double() {
    let mut doubled = leaves(3);
    doubled.push(doubled[2]);
    assert_ne!(ENTRIES.root(&leaves(3)), ENTRIES.root(&doubled));
}

#[test]
fn an_empty_tree_is_proven_by_nothing() {
    let path = STATE.prove(&[], 0..0).unwrap();
    let root = STATE.root(&[]);
    assert!(path.holds(&STATE, &[], &root));
    assert!(!Path { index: 1, ..path.clone() }.holds(&STATE, &[], &root));
    assert!(!Path { siblings: Vec::from([NOTHING]), ..path }.holds(&STATE, &[], &root));
}

#[test]
fn the_longest_path_fits() {
    let path = Path { index: u64::MAX, count: u64::MAX, siblings: alloc::vec![NOTHING; 2 * 64] };
    assert_eq!(crate::codec::encode(&path).len(), MAX_PATH);
}

#[test]
fn resumed_mountains_go_on_alike() {
    let mut whole = Mountains::new(HISTORY);
    leaves(11).iter().for_each(|leaf| whole.push(leaf));
    let mut resumed = Mountains::resume(HISTORY, whole.count(), whole.peaks().to_vec()).unwrap();
    whole.push(&[1; 32]);
    resumed.push(&[1; 32]);
    assert_eq!(whole.root(), resumed.root());
    assert!(Mountains::resume(HISTORY, 4, whole.peaks().to_vec()).is_none());
}

proptest! {
    #[test]
    fn every_leaf_is_proven_and_no_other(count in 1usize..70, index in any::<prop::sample::Index>(), bit in 0usize..256) {
        let all = leaves(count);
        let at = index.index(count);
        let root = ENTRIES.root(&all);
        let path = ENTRIES.prove(&all, at..at + 1).unwrap();
        let holds = |path: &Path, leaf: [u8; 32]| path.holds(&ENTRIES, &[leaf], &root);
        prop_assert!(holds(&path, all[at]));
        let mut other = all[at];
        other[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!holds(&path, other));
        prop_assert!(!path.holds(&STATE, &[all[at]], &root));
        prop_assert!(!path.holds(&ENTRIES, &[], &root));
        prop_assert!(!path.holds(&ENTRIES, &[all[at], all[at]], &root));
        let mut longer = path.clone();
        longer.siblings.push(Hash(all[at]));
        for wrong in [
            longer,
            Path { index: path.index ^ 1, ..path.clone() },
            Path { index: u64::MAX, ..path.clone() },
            Path { count: path.count + 1, ..path.clone() },
            Path { count: path.index, ..path.clone() },
            Path { count: u64::MAX, ..path.clone() },
            Path { siblings: path.siblings.iter().skip(1).copied().collect(), count: path.count + path.siblings.is_empty() as u64, ..path.clone() },
        ] {
            prop_assert!(!holds(&wrong, all[at]), "{wrong:?}");
        }
        prop_assert!(ENTRIES.prove(&all, count..count + 1).is_none());
        prop_assert!(ENTRIES.prove(&all, at..at).is_none());
    }

    /// Any run of neighbours, with as few hashes as can be.
    #[test]
    fn neighbours_are_proven_together(count in 1usize..40, from in any::<prop::sample::Index>(), len in 1usize..5) {
        let all = leaves(count);
        let from = from.index(count);
        let to = (from + len).min(count);
        let root = STATE.root(&all);
        let path = STATE.prove(&all, from..to).unwrap();
        prop_assert!(path.holds(&STATE, &all[from..to], &root));
        prop_assert!(path.siblings.len() <= 2 * 6);
        for wrong in [from + 1..to, from..to - 1, from.saturating_sub(1)..to, from..(to + 1).min(count)] {
            prop_assert_eq!(path.holds(&STATE, &all[wrong.clone()], &root), wrong == (from..to));
        }
        let mut turned = all[from..to].to_vec();
        turned.reverse();
        prop_assert_eq!(path.holds(&STATE, &turned, &root), to - from == 1);
    }

    #[test]
    fn the_order_of_state_leaves_does_not_matter(count in 0usize..20, turn in 0usize..20) {
        let mut all: Vec<StateLeaf> = (0..count).map(|at| StateLeaf::new(&[3; 32], &[at as u8], b"value")).collect();
        let root = state_root(all.clone());
        all.rotate_left(turn % count.max(1));
        prop_assert_eq!(state_root(all), root);
    }

    #[test]
    fn key_value_and_salt_are_bound(key in 0u8..4, value in 0u8..4, salt in 0u8..4) {
        let one = |key: u8, value: u8, salt: u8| state_root(Vec::from([StateLeaf::new(&[salt; 32], &[key], &[value])]));
        prop_assert_eq!(one(key, value, salt) == one(0, 0, 0), (key, value, salt) == (0, 0, 0));
    }
}
