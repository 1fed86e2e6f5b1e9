//! What each operation does, and when it is void.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::tests::{Fold, void};
use super::*;
use crate::bytes::{BoxKey, VoteKey};
use crate::check::Checked;
use crate::dag::fixture::*;
use crate::epoch::{Handout, Marks, NewEpoch};
use crate::genesis::Rules;
use crate::keys::{DeviceKey, Identity, InviteSecret, VoteSecret};
use crate::op::Change;
use crate::settle::{Evidence, Vote, VoteKind};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;

/// A circle of a founder and friends, each with a chain that goes on.
pub(super) struct Play {
    pub(super) fold: Fold,
    pub(super) people: Vec<Person>,
    last: BTreeMap<DeviceId, Checked>,
}

impl Play {
    /// With so many members, at height 1.
    pub(super) fn new(members: u8, rules: Rules) -> Self {
        let (fold, founds) = Fold::founded(rules);
        let mut play = Play { fold, people: alloc::vec![Person::new(1)], last: BTreeMap::new() };
        play.last.insert(founds.entry().device, founds);
        let secret = InviteSecret::from_secret([0xd0; 32]);
        let invite = play.fold.world.invite(&secret, &play.fold.world.founder.device, 250);
        for seed in 2..=members {
            let friend = Person::new(seed);
            let joins = play.fold.world.joins(&friend, &secret, invite, Vec::new());
            assert_eq!(play.fold.apply(&joins), Verdict::Applied);
            play.last.insert(friend.device.id(), joins);
            play.people.push(friend);
        }
        play
    }

    pub(super) fn member(&self, who: usize) -> MemberId {
        self.people[who].member()
    }

    pub(super) fn device(&self, who: usize) -> DeviceId {
        self.people[who].device.id()
    }

    /// The next entry of a device.
    pub(super) fn write(&mut self, device: &DeviceKey, draft: Draft) -> Checked {
        let written = self.fold.world.follows(device, &self.last[&device.id()], draft);
        self.last.insert(device.id(), written.clone());
        written
    }

    /// A member does something with their first device.
    pub(super) fn act(&mut self, who: usize, what: Operation) -> Verdict {
        let device = self.people[who].device.clone();
        let written = self.write(&device, operation(what));
        self.fold.apply(&written)
    }

    /// A member's further device.
    pub(super) fn enrol(&mut self, who: usize, seed: u8, role: Role) -> DeviceKey {
        let device = DeviceKey::from_secret([seed; 32]);
        let enrols = self.fold.world.enrols(&self.people[who].identity, &device, role);
        assert_eq!(self.fold.apply(&enrols), Verdict::Applied);
        self.last.insert(device.id(), enrols);
        device
    }

    pub(super) fn act_by(&mut self, device: &DeviceKey, what: Operation) -> Verdict {
        let written = self.write(device, operation(what));
        self.fold.apply(&written)
    }

    /// The next height, so much later.
    pub(super) fn later(&mut self, ms: u64, proposer: usize) {
        self.fold.state.finish();
        let (height, time) = (self.fold.state.height() + 1, self.fold.state.time() + ms);
        self.fold.state.begin(height, time, self.people[proposer].device.id());
    }

    pub(super) fn ready(&mut self, who: usize) -> VoteKey {
        let vote_key = VoteSecret::from_secret([0x40 + who as u8; 32]).key();
        assert_eq!(self.act(who, Operation::Ready { vote_key, always_on: false }), Verdict::Applied);
        vote_key
    }

    pub(super) fn seated(&self) -> Vec<DeviceId> {
        let mut seated: Vec<_> = self.fold.state.witnesses().all().iter().map(|witness| witness.device).collect();
        seated.sort_unstable();
        seated
    }

    fn sorted(&self, who: &[usize]) -> Vec<DeviceId> {
        let mut devices: Vec<_> = who.iter().map(|who| self.device(*who)).collect();
        devices.sort_unstable();
        devices
    }
}

pub(super) fn epoch(state: &State, to: &[DeviceId]) -> NewEpoch {
    let keys = Handout { sealer: BoxKey([9; 32]), to: to.iter().map(|device| (*device, Vec::new())).collect() };
    NewEpoch { after: state.newest_epoch().id, marks: Marks { state: Hash([1; 32]), talk: Hash([2; 32]) }, keys }
}

fn propose(change: Change) -> Operation {
    Operation::Propose(Box::new(change))
}

fn witnesses(promote: Vec<DeviceId>, demote: Vec<DeviceId>) -> Operation {
    propose(Change::Witnesses { promote, demote })
}

const DAY: u64 = 24 * 3_600_000;

#[test]
fn an_invite_taken_back_lets_nobody_in() {
    let mut play = Play::new(3, Rules::default());
    let secret = InviteSecret::from_secret([5; 32]);
    let issuer = play.people[1].device.clone();
    let invite = play.fold.world.invite(&secret, &issuer, 2);
    let revoke = Operation::Revoke { key: invite.key, issuer: invite.issuer };
    assert_eq!(play.act(1, revoke.clone()), void(VoidReason::UnknownInvite));
    assert_eq!(play.act(1, Operation::Invite(invite)), Verdict::Applied);
    assert_eq!(play.act(2, revoke.clone()), void(VoidReason::NotAllowed));
    assert_eq!(play.act(1, revoke.clone()), Verdict::Applied);
    assert_eq!(play.act(0, revoke), void(VoidReason::Already));
    let joins = play.fold.world.joins(&Person::new(9), &secret, invite, Vec::new());
    assert_eq!(play.fold.apply(&joins), void(VoidReason::InviteRevoked));
    // The founder may take back anybody's.
    let other = play.fold.world.invite(&InviteSecret::from_secret([6; 32]), &issuer, 2);
    assert_eq!(play.act(1, Operation::Invite(other)), Verdict::Applied);
    assert_eq!(play.act(0, Operation::Revoke { key: other.key, issuer: other.issuer }), Verdict::Applied);
}

#[test]
fn a_retired_device_does_nothing_more() {
    let mut play = Play::new(3, Rules::default());
    let second = play.enrol(1, 70, Role::Write);
    let invite = play.fold.world.invite(&InviteSecret::from_secret([5; 32]), &second, 2);
    assert_eq!(play.act_by(&second, Operation::Invite(invite)), Verdict::Applied);
    assert_eq!(play.act(2, Operation::Retire(second.id())), void(VoidReason::NotAllowed));
    assert_eq!(play.act(1, Operation::Retire(DeviceId([9; 32]))), void(VoidReason::Unknown));
    assert_eq!(play.act(1, Operation::Retire(second.id())), Verdict::Applied);
    assert_eq!(play.act(1, Operation::Retire(second.id())), void(VoidReason::Already));
    let to = play.member(0);
    let pays = Operation::Transfer { to, amount: 1, reason: Vec::new() };
    assert_eq!(play.act_by(&second, pays), void(VoidReason::Removed));
    let joins = play.fold.world.joins(&Person::new(9), &InviteSecret::from_secret([5; 32]), invite, Vec::new());
    assert_eq!(play.fold.apply(&joins), void(VoidReason::InviteRevoked));
    // The founder's device is the only witness.
    assert_eq!(play.act(0, Operation::Retire(play.device(0))), void(VoidReason::LastWitness));
}

#[test]
fn a_removed_member_keeps_points_and_does_nothing_more() {
    let mut play = Play::new(3, Rules::default());
    let to = [play.device(0), play.device(1)];
    let new = epoch(&play.fold.state, &to);
    let remove = |member| propose(Change::Remove { member, epoch: new.clone() });
    assert_eq!(play.act(0, remove(Identity::from_secret([99; 32]).member())), void(VoidReason::Unknown));
    assert_eq!(play.act(0, remove(play.member(0))), void(VoidReason::NotAllowed));
    assert_eq!(play.act(0, remove(play.member(2))), Verdict::Applied);
    assert_eq!(play.fold.state.epochs().len(), 2);
    assert_eq!(play.fold.state.member(&play.member(2)).unwrap().removed, Some(1));
    let pays = |to| Operation::Transfer { to, amount: 1, reason: Vec::new() };
    assert_eq!(play.act(2, pays(play.member(0))), void(VoidReason::Removed));
    assert_eq!(play.act(0, pays(play.member(2))), void(VoidReason::UnknownReceiver));
    let again = DeviceKey::from_secret([71; 32]);
    let enrols = play.fold.world.enrols(&play.people[2].identity, &again, Role::Write);
    assert_eq!(play.fold.apply(&enrols), void(VoidReason::Removed));
    // Of two removals at once the later is void, for its epoch follows another.
    assert_eq!(play.act(0, remove(play.member(1))), void(VoidReason::EpochPassed));
    assert!(play.fold.state.is_member(&play.member(1)));
}

#[test]
fn an_epoch_begins_above_and_lists_who_lacks_its_keys() {
    let mut play = Play::new(3, Rules::default());
    let voter = play.enrol(0, 70, Role::Vote);
    let to = [play.device(0), play.device(1)];
    let new = epoch(&play.fold.state, &to);
    let device = play.people[1].device.clone();
    let starts = play.write(&device, operation(Operation::Epoch(new.clone())));
    assert_eq!(play.fold.apply(&starts), Verdict::Applied);
    assert_eq!(play.act(0, Operation::Epoch(new)), void(VoidReason::EpochPassed));
    let mut lacking: Vec<_> = play.fold.state.lacking().collect();
    lacking.sort_unstable();
    let mut expected = alloc::vec![play.device(2), voter.id()];
    expected.sort_unstable();
    assert_eq!(lacking, expected);
    // In the header that starts it, nothing is sealed with its keys yet.
    let mut entry = starts.entry().clone();
    entry.epoch = starts.id();
    assert!(!play.fold.state.is_of_known_epoch(&entry));
    play.later(1, 0);
    assert!(play.fold.state.is_of_known_epoch(&entry));
    let hand = |to: &[DeviceId]| {
        let keys = Handout { sealer: BoxKey([9; 32]), to: to.iter().map(|device| (*device, Vec::new())).collect() };
        Operation::Keys { epoch: starts.id(), keys }
    };
    assert_eq!(play.act(1, hand(&to)), void(VoidReason::Already));
    let Operation::Keys { keys, .. } = hand(&expected) else { unreachable!() };
    let old = Operation::Keys { epoch: play.fold.world.circle.into(), keys };
    assert_eq!(play.act(1, old), void(VoidReason::EpochPassed));
    assert_eq!(play.act(1, hand(&expected)), Verdict::Applied);
    assert_eq!(play.fold.state.lacking().count(), 0);
    assert_eq!(play.act(2, Operation::Lacking), Verdict::Applied);
    assert_eq!(play.fold.state.lacking().collect::<Vec<_>>(), [play.device(2)]);
    assert_eq!(play.act(2, Operation::Lacking), void(VoidReason::Already));
    // Nobody seals keys to who is gone.
    let mut gone = play.fold.state.clone();
    gone.devices.get_mut(&play.device(2)).unwrap().retired = true;
    assert_eq!(gone.lacking().count(), 0);
    // Whoever comes now lacks them too.
    let further = play.enrol(1, 72, Role::Write);
    assert!(play.fold.state.lacking().any(|device| device == further.id()));
}

#[test]
fn what_needs_authority_is_the_founders_or_a_majoritys() {
    let mut play = Play::new(5, Rules::default());
    let rules = Rules { grant: 7, ..Rules::default() };
    let device = play.people[1].device.clone();
    let proposes = play.write(&device, operation(propose(Change::Config(rules.clone()))));
    assert_eq!(play.fold.apply(&proposes), Verdict::Applied);
    assert_eq!(play.fold.state.rules().grant, 100);
    let consent = || Operation::Consent(proposes.id());
    assert_eq!(play.act(1, consent()), void(VoidReason::Already));
    assert_eq!(play.act(2, consent()), Verdict::Applied);
    assert_eq!(play.fold.state.rules().grant, 100, "two of five are no majority");
    assert_eq!(play.act(3, consent()), Verdict::Applied);
    assert_eq!(play.fold.state.rules(), &rules);
    assert_eq!(play.act(4, consent()), void(VoidReason::Unknown));
    // The founder alone does it at once, also by consenting.
    assert_eq!(
        play.act(0, propose(Change::Config(Rules { body_limit: 0, ..rules.clone() }))),
        void(VoidReason::OutOfRange)
    );
    assert_eq!(play.act(0, propose(Change::Config(Rules::default()))), Verdict::Applied);
    assert_eq!(play.fold.state.rules().grant, 100);
    // A further proposal takes the place of the open one, which lapses by itself after 30 days.
    assert_eq!(play.act(1, propose(Change::Config(rules.clone()))), Verdict::Applied);
    assert_eq!(play.act(1, propose(Change::Config(rules))), Verdict::Applied);
    assert_eq!(play.fold.state.motions().count(), 1);
    play.later(MOTION_MS + 1, 0);
    assert_eq!(play.fold.state.motions().count(), 0);
}

#[test]
fn witnesses_change_in_one_step_and_only_when_ready() {
    let mut play = Play::new(5, Rules { witness_ready_window: 3, ..Rules::default() });
    assert_eq!(play.seated(), play.sorted(&[0]));
    assert_eq!(play.act(0, witnesses(alloc::vec![play.device(1)], Vec::new())), void(VoidReason::NotReady));
    for who in 1..4 {
        play.ready(who);
    }
    let promote = alloc::vec![play.device(1), play.device(2), play.device(3)];
    assert_eq!(play.act(0, witnesses(promote, Vec::new())), Verdict::Applied);
    assert_eq!(play.seated(), play.sorted(&[0, 1, 2, 3]));
    assert_eq!(play.fold.state.witnesses().liars(), 1);
    assert_eq!(play.act(0, witnesses(Vec::new(), alloc::vec![play.device(4)])), void(VoidReason::Unknown));
    play.ready(4);
    assert_eq!(play.act(0, witnesses(alloc::vec![play.device(4)], alloc::vec![play.device(1)])), Verdict::Applied);
    assert_eq!(play.seated(), play.sorted(&[0, 2, 3, 4]));
    // Readiness is used up by the promotion, and old by and by.
    assert_eq!(play.act(0, witnesses(alloc::vec![play.device(4)], Vec::new())), void(VoidReason::NotReady));
    play.ready(1);
    (0..4).for_each(|_| play.later(1, 0));
    assert_eq!(play.act(0, witnesses(alloc::vec![play.device(1)], Vec::new())), void(VoidReason::NotReady));
    let all: Vec<_> = play.seated();
    assert_eq!(play.act(0, witnesses(Vec::new(), all)), void(VoidReason::LastWitness));
    assert_eq!(play.act(2, Operation::Resign), Verdict::Applied);
    assert_eq!(play.act(2, Operation::Resign), void(VoidReason::Unknown));
    assert_eq!(play.seated(), play.sorted(&[0, 3, 4]));
    // Nobody votes with a key that votes already.
    let taken = play.fold.state.witnesses().all()[0].vote_key;
    assert_eq!(play.act(1, Operation::Ready { vote_key: taken, always_on: true }), void(VoidReason::NotAllowed));
}

#[test]
fn evidence_takes_its_author_out_but_not_the_last() {
    let mut play = Play::new(2, Rules::default());
    let circle = play.fold.world.circle;
    let evidence = |secret: &VoteSecret| {
        let vote = |seed| {
            let header = Some(crate::bytes::HeaderHash([seed; 32]));
            Vote { kind: VoteKind::Notarize, circle, height: 3, view: 0, header }.cast(secret)
        };
        Operation::Evidence(Box::new(Evidence::of(3, vote(1), vote(2)).unwrap()))
    };
    let (founders, friends) = (VoteSecret::from_secret([0xee; 32]), VoteSecret::from_secret([0x41; 32]));
    assert_eq!(play.act(1, evidence(&founders)), void(VoidReason::LastWitness));
    assert_eq!(play.act(1, evidence(&friends)), void(VoidReason::NoEvidence));
    play.ready(1);
    assert_eq!(play.act(0, witnesses(alloc::vec![play.device(1)], Vec::new())), Verdict::Applied);
    assert_eq!(play.act(1, evidence(&friends)), Verdict::Applied);
    assert_eq!(play.seated(), play.sorted(&[0]));
}

#[test]
fn a_vote_only_device_does_a_witness_part_alone() {
    let mut play = Play::new(2, Rules::default());
    let voter = play.enrol(0, 70, Role::Vote);
    let vote_key = VoteSecret::from_secret([0x77; 32]).key();
    assert_eq!(play.act_by(&voter, Operation::Ready { vote_key, always_on: true }), Verdict::Applied);
    assert_eq!(play.act(0, witnesses(alloc::vec![voter.id()], alloc::vec![play.device(0)])), Verdict::Applied);
    assert!(play.fold.state.witnesses().all()[0].always_on);
    assert_eq!(play.act_by(&voter, Operation::Endorse(Hash([1; 32]))), void(VoidReason::NotAllowed));
    assert_eq!(play.act_by(&voter, Operation::Resign), void(VoidReason::LastWitness));
}

#[test]
fn a_document_is_stamped_once_and_vouched_for_by_others() {
    let mut play = Play::new(3, Rules::default());
    let document = Hash([7; 32]);
    assert_eq!(play.act(1, Operation::Endorse(document)), void(VoidReason::Unknown));
    assert_eq!(play.act(1, Operation::Stamp { document, note: Vec::new() }), Verdict::Applied);
    assert_eq!(play.act(2, Operation::Stamp { document, note: Vec::new() }), void(VoidReason::Already));
    assert_eq!(play.act(1, Operation::Endorse(document)), void(VoidReason::Already));
    play.later(DAY, 0);
    assert_eq!(play.act(2, Operation::Endorse(document)), Verdict::Applied);
    assert_eq!(play.act(2, Operation::Endorse(document)), void(VoidReason::Already));
    let stamped = play.fold.state.stamped(&document).unwrap();
    assert_eq!((stamped.by, stamped.time, stamped.height), (play.member(1), NOW, 1));
    let vouched = stamped.vouched[0];
    assert_eq!((vouched.member, vouched.time, vouched.height), (play.member(2), NOW + DAY, 2));
}

#[test]
fn the_allowance_accrues_four_weeks_and_is_given_first() {
    let mut play = Play::new(2, Rules { allowance: 10, reward: 0, ..Rules::default() });
    let (to, state) = (play.member(1), |play: &Play| play.fold.state.member(&play.member(0)).unwrap().clone());
    let pays = |amount| Operation::Transfer { to, amount, reason: Vec::new() };
    assert_eq!(play.act(0, pays(5)), Verdict::Applied);
    assert_eq!((state(&play).balance, state(&play).purse), (95, 0));
    play.later(2 * WEEK_MS, 0);
    assert_eq!(play.fold.state.purse(&play.member(0), play.fold.state.time()), 20);
    assert_eq!(play.act(0, pays(15)), Verdict::Applied);
    assert_eq!((state(&play).balance, state(&play).purse), (95, 5));
    assert_eq!(play.fold.state.totals().allowed, 20);
    play.later(52 * WEEK_MS, 0);
    assert_eq!(play.act(0, pays(136)), void(VoidReason::BalanceTooLow));
    assert_eq!(play.fold.state.totals().allowed, 20, "what is void counts nothing");
    assert_eq!(play.act(0, pays(135)), Verdict::Applied);
    assert_eq!((state(&play).balance, state(&play).purse), (0, 0));
    assert_eq!(play.fold.state.totals().allowed, 55);
}

#[test]
fn thanks_are_ranked_in_all_and_over_30_days() {
    let mut play = Play::new(2, Rules::default());
    let to = play.member(1);
    let pays = |amount| Operation::Transfer { to, amount, reason: Vec::new() };
    for (after, amount) in [(0, 1), (DAY, 2), (0, 4), (29 * DAY, 8)] {
        play.later(after, 0);
        assert_eq!(play.act(0, pays(amount)), Verdict::Applied);
    }
    let (state, now) = (&play.fold.state, play.fold.state.time());
    assert_eq!(state.member(&to).unwrap().thanked, 15);
    assert_eq!(state.thanked_lately(&to, now), 14);
    assert_eq!(state.thanked_lately(&to, now + DAY), 8);
    assert_eq!(state.thanked_lately(&to, now + 30 * DAY), 0);
    assert_eq!(state.thanked_lately(&play.member(0), now), 0);
}

#[test]
fn the_pot_is_shared_by_who_settles_for_others() {
    let mut play = Play::new(3, Rules { reward: 100, ..Rules::default() });
    // The founder makes a header with nothing but their own entry, then two with others'; a friend makes one.
    play.later(1, 0);
    play.act(0, Operation::Stamp { document: Hash([1; 32]), note: Vec::new() });
    play.later(1, 0);
    play.act(1, Operation::Stamp { document: Hash([2; 32]), note: Vec::new() });
    play.later(1, 0);
    play.act(1, Operation::Stamp { document: Hash([3; 32]), note: Vec::new() });
    play.later(1, 2);
    play.act(1, Operation::Stamp { document: Hash([4; 32]), note: Vec::new() });
    let height_one = 1;
    play.later(WEEK_MS, 0);
    let balance = |who: usize| play.fold.state.member(&play.member(who)).unwrap().balance;
    // A twentieth each; the joins at height 1 were others' entries too.
    assert_eq!((balance(0), balance(1), balance(2)), (100 + (2 + height_one) * 5, 100, 105));
    assert_eq!(play.fold.state.totals().rewarded, 20);
    for document in 10..50 {
        play.later(1, 0);
        play.act(1, Operation::Stamp { document: Hash([document; 32]), note: Vec::new() });
    }
    play.later(WEEK_MS, 0);
    assert_eq!(play.fold.state.totals().rewarded, 120, "never more than the pot in a week");
}
