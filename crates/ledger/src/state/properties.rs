//! What holds of the state whatever is done: points are kept, invites are used as often as they say, what is void
//! changes nothing, and records bring the state back.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::acts::{Play, epoch};
use super::tests::assert_points_kept;
use super::*;
use crate::dag::fixture::operation;
use crate::epoch::Handout;
use crate::genesis::Rules;
use crate::keys::{InviteSecret, VoteSecret};
use crate::op::Change;
use alloc::boxed::Box;
use proptest::prelude::*;

const MEMBERS: usize = 5;

/// Who does what to whom, and how much later than what was done before.
type Act = (usize, u8, usize, u64, u64);

fn acts(max: usize) -> impl Strategy<Value = Vec<Act>> {
    let wait = prop_oneof![4 => Just(0u64), 2 => 1u64..1_000, 1 => 0u64..6 * WEEK_MS];
    prop::collection::vec((0..MEMBERS, 0u8..14, 0..MEMBERS, 0u64..250, wait), 1..max)
}

fn what(play: &Play, (who, what, to, amount, _): Act, motions: &[EntryId]) -> Operation {
    let state = &play.fold.state;
    let others: Vec<DeviceId> = (0..MEMBERS).filter(|at| *at != to).map(|at| play.device(at)).collect();
    let seed = (amount % 8) as u8;
    match what {
        0..=3 => Operation::Transfer { to: play.member(to), amount, reason: Vec::new() },
        4 => {
            let secret = InviteSecret::from_secret([0xb0 + seed; 32]);
            Operation::Invite(play.fold.world.invite(&secret, &play.people[who].device, 2))
        }
        5 => {
            let key = InviteSecret::from_secret([0xb0 + seed; 32]).key();
            Operation::Revoke { key, issuer: play.device(to) }
        }
        6 => Operation::Ready { vote_key: VoteSecret::from_secret([0x60 + who as u8; 32]).key(), always_on: to == 0 },
        7 => {
            let (promote, demote) = (alloc::vec![play.device(to)], alloc::vec![play.device(amount as usize % MEMBERS)]);
            let demote = if amount % 3 == 0 { demote } else { Vec::new() };
            Operation::Propose(Box::new(Change::Witnesses { promote, demote }))
        }
        8 => Operation::Propose(Box::new(Change::Config(Rules {
            allowance: amount,
            reward: amount,
            ..Rules::default()
        }))),
        9 if amount < 40 => {
            Operation::Propose(Box::new(Change::Remove { member: play.member(to), epoch: epoch(state, &others) }))
        }
        9 => Operation::Epoch(epoch(state, &others)),
        10 => motions.last().map_or(Operation::Resign, |id| Operation::Consent(*id)),
        11 => Operation::Stamp { document: Hash([seed; 32]), note: Vec::new() },
        12 => Operation::Endorse(Hash([seed; 32])),
        _ => {
            let keys =
                Handout { sealer: crate::bytes::BoxKey([9; 32]), to: alloc::vec![(play.device(to), Vec::new())] };
            Operation::Keys { epoch: state.newest_epoch().id, keys }
        }
    }
}

/// Plays acts; `each` sees the state before, the verdict, and the state after.
fn play(acts: &[Act], mut each: impl FnMut(&State, Verdict, &State)) -> Play {
    let mut play = Play::new(MEMBERS as u8, Rules::default());
    let mut motions = Vec::new();
    for act in acts {
        if act.4 > 0 {
            play.later(act.4, act.2);
            assert_points_kept(&play.fold.state);
        }
        let operation_of = what(&play, *act, &motions);
        let device = play.people[act.0].device.clone();
        let written = play.write(&device, operation(operation_of));
        let before = play.fold.state.clone();
        let verdict = play.fold.apply(&written);
        if play.fold.state.motions().any(|(id, _)| *id == written.id()) {
            motions.push(written.id());
        }
        each(&before, verdict, &play.fold.state);
    }
    play
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn points_and_uses_are_kept_and_a_witness_stays(acts in acts(60)) {
        play(&acts, |_, _, state| {
            assert_points_kept(state);
            assert!(!state.witnesses().all().is_empty());
        });
    }

    #[test]
    fn what_is_void_changes_nothing_but_its_chain(acts in acts(60)) {
        play(&acts, |before, verdict, after| {
            if matches!(verdict, Verdict::Void(_)) {
                let mut undone = after.clone();
                undone.counted = before.counted.clone();
                assert_eq!(undone.root(&[7; 32]), before.root(&[7; 32]));
            }
        });
    }

    #[test]
    fn records_bring_the_state_back(acts in acts(40), more in acts(20)) {
        let mut play = play(&acts, |_, _, _| {});
        play.fold.state.finish();
        let state = play.fold.state.clone();
        let mut records: Vec<_> = state.records().collect();
        records.reverse();
        prop_assert!(records.iter().all(|(key, _)| key.encode() == crate::codec::encode(key)));
        let (height, time) = (state.height(), state.time());
        let back = State::from_records(&play.fold.world.genesis, height, time, records.clone()).unwrap();
        prop_assert_eq!(back.root(&[7; 32]), state.root(&[7; 32]));
        // Both go on alike.
        let mut other = Play::new(MEMBERS as u8, Rules::default());
        core::mem::swap(&mut other.fold.state, &mut play.fold.state);
        let mut restored = back;
        for act in more {
            let entry = { let op = what(&other, act, &[]); let device = play.people[act.0].device.clone(); play.write(&device, operation(op)) };
            let body = entry.packed().body.clone().unwrap();
            for state in [&mut other.fold.state, &mut restored] {
                state.begin(height + 1, time + act.4, play.people[act.2].device.id());
            }
            let verdicts = [&mut other.fold.state, &mut restored].map(|state| {
                let verdict = state.apply(entry.id(), entry.entry(), Opened::Plain(&body));
                state.finish();
                verdict
            });
            prop_assert_eq!(verdicts[0], verdicts[1]);
            prop_assert_eq!(other.fold.state.root(&[7; 32]), restored.root(&[7; 32]));
        }
        // One too many or one too few is no state, or another.
        let twice = records.iter().cloned().chain([records[0].clone()]);
        if !matches!(records[0].0, StateKey::Rules | StateKey::Totals | StateKey::Witnesses | StateKey::Pot) {
            prop_assert!(State::from_records(&play.fold.world.genesis, height, time, twice).is_err());
        }
        let fewer = records.iter().skip(1).cloned();
        let fewer = State::from_records(&play.fold.world.genesis, height, time, fewer);
        prop_assert!(fewer.is_err() || fewer.unwrap().root(&[7; 32]) != state.root(&[7; 32]) || records[0].1.is_empty());
    }
}
