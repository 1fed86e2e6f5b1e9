//! The last moment, the first one after it, and what meets: weeks, windows, limits, removals among motions and witnesses.

#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::acts::{Play, epoch};
use super::epochs::MAX_ON_DEMAND;
use super::tests::{assert_points_kept, void};
use super::*;
use crate::bytes::VoteKey;
use crate::dag::fixture::Person;
use crate::genesis::Rules;
use crate::keys::VoteSecret;
use crate::op::Change;
use alloc::boxed::Box;

fn pays(to: MemberId, amount: u64) -> Operation {
    Operation::Transfer { to, amount, reason: Vec::new() }
}

fn propose(change: Change) -> Operation {
    Operation::Propose(Box::new(change))
}

fn remove(play: &Play, who: usize) -> Operation {
    propose(Change::Remove { member: play.member(who), epoch: epoch(&play.fold.state, &[play.device(0)]) })
}

fn promote(play: &Play, who: usize) -> Operation {
    propose(Change::Witnesses { promote: alloc::vec![play.device(who)], demote: Vec::new() })
}

/// Goes on to so long after the circle's beginning.
fn until(play: &mut Play, since: u64) {
    let wait = play.fold.state.created + since - play.fold.state.time();
    play.later(wait, 0);
}

#[test]
fn a_week_begins_with_its_first_millisecond() {
    let mut play = Play::new(2, Rules { allowance: 10, reward: 0, ..Rules::default() });
    let first = play.fold.state.week();
    until(&mut play, (first + 1) * WEEK_MS - 1);
    assert_eq!(play.fold.state.purse(&play.member(0), play.fold.state.time()), 0);
    assert_eq!(play.fold.state.purse(&play.member(0), play.fold.state.time() + 1), 10);
    until(&mut play, (first + 1) * WEEK_MS);
    assert_eq!(play.act(0, pays(play.member(1), 10)), Verdict::Applied);
    assert_eq!(play.fold.state.member(&play.member(0)).unwrap().balance, 100, "all of it from the purse");
    // Nothing more in the same week, and a full purse takes in nothing more.
    assert_eq!(play.fold.state.purse(&play.member(0), play.fold.state.time()), 0);
    until(&mut play, (first + 5) * WEEK_MS);
    assert_eq!(play.fold.state.purse(&play.member(0), play.fold.state.time()), 40);
    assert_eq!(play.act(0, pays(play.member(1), 1)), Verdict::Applied);
    until(&mut play, (first + 6) * WEEK_MS);
    assert_eq!(play.fold.state.purse(&play.member(0), play.fold.state.time()), 40);
    assert_points_kept(&play.fold.state);
}

#[test]
fn no_number_wraps_whatever_the_rules_give() {
    let rules = Rules { grant: 1, allowance: u64::MAX, reward: u64::MAX, ..Rules::default() };
    let mut play = Play::new(3, rules);
    play.later(1, 0);
    assert_eq!(play.act(1, pays(play.member(2), 1)), Verdict::Applied);
    play.later(WEEK_MS, 0);
    let to = play.member(1);
    // The purse holds as much as there can be: a receiver who has something already has no room for it.
    assert_eq!(play.act(0, pays(play.member(2), u64::MAX)), void(VoidReason::OutOfRange));
    assert_eq!(play.act(0, pays(to, u64::MAX)), Verdict::Applied);
    assert_points_kept(&play.fold.state);
    // A second such allowance has no room in the sum.
    assert_eq!(play.act(2, pays(to, 1)), void(VoidReason::OutOfRange));
    play.later(WEEK_MS, 1);
    play.later(WEEK_MS, 1);
    assert_points_kept(&play.fold.state);
}

#[test]
fn who_is_removed_earns_a_proposer_nothing() {
    let mut play = Play::new(3, Rules { reward: 100, ..Rules::default() });
    assert_eq!(play.act(0, remove(&play, 2)), Verdict::Applied);
    play.later(WEEK_MS, 0);
    let before = play.fold.state.totals().rewarded;
    assert_eq!(play.act(2, pays(play.member(0), 1)), void(VoidReason::Removed));
    play.later(WEEK_MS, 0);
    assert_eq!(play.fold.state.totals().rewarded, before);
}

#[test]
fn a_motion_is_open_for_30_days_and_goes_with_its_author() {
    let mut play = Play::new(5, Rules::default());
    let change = || propose(Change::Config(Rules { grant: 7, ..Rules::default() }));
    assert_eq!(play.act(1, change()), Verdict::Applied);
    play.later(MOTION_MS, 0);
    let id = *play.fold.state.motions().next().expect("open to the last").0;
    assert_eq!(play.act(2, Operation::Consent(id)), Verdict::Applied);
    // The consent of who is removed counts no more: two of four are no majority.
    assert_eq!(play.act(0, remove(&play, 2)), Verdict::Applied);
    assert_eq!(play.act(3, Operation::Consent(id)), Verdict::Applied);
    assert_eq!(play.fold.state.rules().grant, 100);
    assert_eq!(play.act(2, Operation::Consent(id)), void(VoidReason::Removed));
    play.later(1, 0);
    assert_eq!(play.act(0, remove(&play, 1)), Verdict::Applied);
    assert_eq!(play.act(4, Operation::Consent(id)), void(VoidReason::Unknown));
    assert_eq!(play.fold.state.motions().count(), 0);
}

#[test]
fn a_removal_that_would_take_the_last_witness_changes_nothing() {
    let mut play = Play::new(4, Rules::default());
    play.ready(1);
    let (up, down) = (alloc::vec![play.device(1)], alloc::vec![play.device(0)]);
    assert_eq!(play.act(0, propose(Change::Witnesses { promote: up, demote: down })), Verdict::Applied);
    assert_eq!(play.act(0, remove(&play, 1)), void(VoidReason::LastWitness));
    assert!(play.fold.state.is_member(&play.member(1)) && play.fold.state.is_active(&play.device(1)));
    assert_eq!(play.fold.state.epochs().len(), 1);
    // Beside another the removed one leaves the witnesses.
    play.ready(2);
    assert_eq!(play.act(0, promote(&play, 2)), Verdict::Applied);
    assert_eq!(play.act(0, remove(&play, 1)), Verdict::Applied);
    assert!(!play.fold.state.witnesses().has_device(&play.device(1)));
    assert_eq!(play.act(0, promote(&play, 1)), void(VoidReason::Unknown));
    let vote_key = VoteSecret::from_secret([0x71; 32]).key();
    assert_eq!(play.act(1, Operation::Ready { vote_key, always_on: true }), void(VoidReason::Removed));
    assert_eq!(play.act(1, Operation::Resign), void(VoidReason::Removed));
}

#[test]
fn a_device_is_ready_up_to_the_last_height_of_the_window() {
    let mut play = Play::new(3, Rules { witness_ready_window: 3, ..Rules::default() });
    play.ready(1);
    play.ready(2);
    (0..3).for_each(|_| play.later(1, 0));
    assert_eq!(play.act(0, promote(&play, 1)), Verdict::Applied);
    play.later(1, 0);
    assert_eq!(play.act(0, promote(&play, 2)), void(VoidReason::NotReady));
}

#[test]
fn one_vote_key_seats_one_device() {
    let mut play = Play::new(3, Rules::default());
    let vote_key = play.ready(1);
    assert_eq!(play.act(2, Operation::Ready { vote_key, always_on: false }), Verdict::Applied);
    let both = alloc::vec![play.device(1), play.device(2)];
    let change = Change::Witnesses { promote: both, demote: Vec::new() };
    assert_eq!(play.act(0, propose(change)), void(VoidReason::NotAllowed));
    let twice = Change::Witnesses { promote: alloc::vec![play.device(1); 2], demote: Vec::new() };
    assert_eq!(play.act(0, propose(twice)), void(VoidReason::NotAllowed));
    let twice = Change::Witnesses { promote: Vec::new(), demote: alloc::vec![play.device(0); 2] };
    assert_eq!(play.act(0, propose(twice)), void(VoidReason::Unknown));
}

#[test]
fn no_witness_votes_with_a_key_of_small_order() {
    let mut play = Play::new(2, Rules::default());
    let mut neutral = [0; 32];
    neutral[0] = 1;
    for vote_key in [VoteKey(neutral), VoteKey([0; 32]), play.fold.world.genesis.vote_key] {
        let ready = Operation::Ready { vote_key, always_on: false };
        assert_eq!(play.act(1, ready), void(VoidReason::NotAllowed), "it votes already, or for anybody");
    }
    assert_eq!(play.act(0, promote(&play, 1)), void(VoidReason::NotReady));
}

#[test]
fn who_gave_up_all_devices_comes_back_by_the_words_with_what_they_had() {
    let mut play = Play::new(3, Rules::default());
    assert_eq!(play.act(1, Operation::Retire(play.device(1))), Verdict::Applied);
    assert_eq!(play.act(1, pays(play.member(0), 1)), void(VoidReason::Removed));
    let further = play.enrol(1, 70, crate::entry::Role::Write);
    assert_eq!(play.act_by(&further, pays(play.member(0), 100)), Verdict::Applied);
    assert_eq!(play.act_by(&further, pays(play.member(0), 1)), void(VoidReason::BalanceTooLow));
    // A device that was given up does not come back.
    let again = play.fold.world.enrols(&play.people[1].identity, &play.people[1].device, crate::entry::Role::Write);
    assert_eq!(play.fold.apply(&again), void(VoidReason::BranchNotCounted));
    assert!(!play.fold.state.is_active(&play.device(1)));
}

#[test]
fn only_so_many_members_vouch_and_nobody_who_left() {
    let mut play = Play::new(4, Rules::default());
    let document = Hash([7; 32]);
    assert_eq!(play.act(1, Operation::Stamp { document, note: Vec::new() }), Verdict::Applied);
    assert_eq!(play.act(0, remove(&play, 2)), Verdict::Applied);
    assert_eq!(play.act(2, Operation::Endorse(document)), void(VoidReason::Removed));
    let stranger = Person::new(99);
    let enrols = play.fold.world.enrols(&stranger.identity, &stranger.device, crate::entry::Role::Write);
    assert_eq!(play.fold.apply(&enrols), void(VoidReason::NotMember));
    let vouches = play.fold.world.follows(
        &stranger.device,
        &enrols,
        crate::dag::fixture::operation(Operation::Endorse(document)),
    );
    assert_eq!(play.fold.apply(&vouches), void(VoidReason::NotMember));
    let stamped = play.fold.state.stamps.get_mut(&document).unwrap();
    let of = |at: usize| {
        let mut member = [0; 32];
        member[..2].copy_from_slice(&(at as u16).to_be_bytes());
        Vouched { member: MemberId(member), device: DeviceId(member), height: 1, time: 1 }
    };
    stamped.vouched = (0..MAX_VOUCHERS - 1).map(of).collect();
    assert_eq!(play.act(0, Operation::Endorse(document)), Verdict::Applied);
    assert_eq!(play.act(3, Operation::Endorse(document)), void(VoidReason::OutOfRange));
    assert_eq!(play.fold.state.stamped(&document).unwrap().vouched.len(), MAX_VOUCHERS);
}

#[test]
fn a_readable_circle_begins_epochs_by_removals_alone() {
    let mut play = Play::new(3, Rules::default());
    play.fold.state.kind = Kind::Readable;
    let new = epoch(&play.fold.state, &[]);
    assert_eq!(play.act(1, Operation::Epoch(new)), void(VoidReason::NotAllowed));
    assert_eq!(play.act(0, remove(&play, 2)), Verdict::Applied);
    assert_eq!(play.fold.state.lacking().count(), 0, "anyone computes its keys");
}

#[test]
fn who_starts_epochs_without_end_leaves_room_for_removals() {
    let mut play = Play::new(3, Rules::default());
    let start = |play: &mut Play| play.act(1, Operation::Epoch(epoch(&play.fold.state, &[])));
    for _ in 1..MAX_ON_DEMAND {
        assert_eq!(start(&mut play), Verdict::Applied);
        // It follows the one before it, and is at once with it all the same.
        assert_eq!(start(&mut play), void(VoidReason::EpochPassed));
        play.later(1, 0);
    }
    assert_eq!(start(&mut play), void(VoidReason::OutOfRange));
    assert_eq!(play.fold.state.epochs().len(), MAX_ON_DEMAND);
    assert_eq!(play.act(0, remove(&play, 1)), Verdict::Applied);
    play.later(1, 0);
    assert_eq!(play.act(0, remove(&play, 2)), Verdict::Applied);
    assert_eq!(play.fold.state.epochs().len(), MAX_ON_DEMAND + 2);
}

#[test]
fn a_removal_carries_what_most_of_those_who_stay_are_for() {
    let mut play = Play::new(6, Rules::default());
    let rules = |grant| Change::Config(Rules { grant, ..Rules::default() });
    play.ready(1);
    assert_eq!(play.act(1, propose(rules(7))), Verdict::Applied);
    assert_eq!(play.act(2, promote(&play, 1)), Verdict::Applied);
    assert_eq!(play.act(4, remove(&play, 3)), Verdict::Applied);
    let motions: Vec<(EntryId, MemberId)> = play.fold.state.motions().map(|(id, motion)| (*id, motion.by)).collect();
    let of = |who: MemberId| motions.iter().find(|(_, by)| *by == who).unwrap().0;
    let (config, witnesses, removal) = (of(play.member(1)), of(play.member(2)), of(play.member(4)));
    for id in [config, witnesses] {
        for who in [1, 2, 3] {
            let said = play.act(who, Operation::Consent(id));
            assert!(said == Verdict::Applied || said == void(VoidReason::Already));
        }
    }
    assert_eq!(play.act(5, Operation::Consent(removal)), Verdict::Applied);
    assert_eq!((play.fold.state.rules().grant, play.seated().len()), (100, 1), "three of six are no majority");
    // Who goes was against both.
    assert_eq!(play.act(0, remove(&play, 5)), Verdict::Applied);
    assert_eq!((play.fold.state.rules().grant, play.seated().len()), (7, 2));
    let open: Vec<EntryId> = play.fold.state.motions().map(|(id, _)| *id).collect();
    assert_eq!(open, [removal], "of which one who is left is for");
    assert_points_kept(&play.fold.state);
}

#[test]
fn a_motion_of_the_largest_change_and_many_consents_is_read_back() {
    use crate::bytes::BoxKey;
    use crate::epoch::{Handout, Marks, NewEpoch};
    let play = Play::new(2, Rules::default());
    let (mut state, marks) = (play.fold.state.clone(), Marks { state: Hash([1; 32]), talk: Hash([2; 32]) });
    let keys = Handout { sealer: BoxKey([9; 32]), to: alloc::vec![(play.device(0), alloc::vec![0; 48_500])] };
    let change = Change::Remove { member: play.member(1), epoch: NewEpoch { after: EntryId([3; 32]), marks, keys } };
    assert!(Operation::decode(&propose(change.clone()).encode()).is_ok(), "as an entry may bring it");
    // So many as are no majority of 5,000.
    let consents = (0..2_500_u16)
        .map(|at| {
            let mut member = [0; 32];
            member[..2].copy_from_slice(&at.to_be_bytes());
            MemberId(member)
        })
        .collect();
    state.motions.insert(EntryId([4; 32]), Motion { by: play.member(0), change, time: 1, consents });
    let back = State::from_records(&play.fold.world.genesis, state.height(), state.time(), state.records()).unwrap();
    assert_eq!(back.root(&[7; 32]), state.root(&[7; 32]));
}
