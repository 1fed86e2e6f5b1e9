#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::check::{Checked, Refused, Signer, check};
use crate::dag::fixture::*;
use crate::entry::{Invite, Packed};
use crate::genesis::Inviters;
use crate::keys::{DeviceKey, Identity, InviteSecret};
use alloc::string::ToString;
use proptest::prelude::*;

/// A state and a clock to play with, at height 1.
pub(super) struct Fold {
    pub(super) world: World,
    pub(super) state: State,
}

impl Fold {
    fn new(rules: Rules) -> Self {
        let world = World::with(rules);
        let mut state = State::new(&world.genesis);
        state.begin(1, NOW, world.genesis.device);
        Fold { world, state }
    }

    /// With the founder joined.
    pub(super) fn founded(rules: Rules) -> (Self, Checked) {
        let mut fold = Fold::new(rules);
        let founds = fold.world.founds();
        assert_eq!(fold.apply(&founds), Verdict::Applied);
        (fold, founds)
    }

    pub(super) fn apply(&mut self, checked: &Checked) -> Verdict {
        let body = checked.packed().body.clone().unwrap();
        let verdict = self.state.apply(checked.id(), checked.entry(), Opened::Plain(&body));
        assert_points_kept(&self.state);
        verdict
    }

    pub(super) fn root(&self) -> Hash {
        self.state.root(&[7; 32])
    }
}

pub(super) fn assert_points_kept(state: &State) {
    let sum: u128 = state.members().map(|(_, member)| u128::from(member.balance) + u128::from(member.purse)).sum();
    let Totals { granted, allowed, rewarded } = state.totals();
    assert_eq!(sum, u128::from(granted) + u128::from(allowed) + u128::from(rewarded));
    for registered in state.invites() {
        assert!(registered.used <= registered.invite.uses);
    }
}

pub(super) fn void(reason: VoidReason) -> Verdict {
    Verdict::Void(reason)
}

fn founder_and_friend() -> (Fold, Checked, Person, Checked) {
    let (mut fold, founds) = Fold::founded(Rules::default());
    let (friend, secret) = (Person::new(2), InviteSecret::from_secret([2; 32]));
    let invite = fold.world.invite(&secret, &fold.world.founder.device, 1);
    let joins = fold.world.joins(&friend, &secret, invite, Vec::new());
    assert_eq!(fold.apply(&joins), Verdict::Applied);
    (fold, founds, friend, joins)
}

#[test]
fn the_founder_joins_without_invite_and_once() {
    let (mut fold, founds) = Fold::founded(Rules::default());
    let member = fold.state.member(&fold.world.founder.member()).unwrap();
    assert_eq!((member.balance, member.joined_height, member.name.as_str()), (100, 1, "founder"));
    assert_eq!(fold.state.device(&fold.world.founder.device.id()).unwrap().role, Role::Write);
    assert_eq!(fold.apply(&founds), void(VoidReason::BranchNotCounted));
    let again = operation(Operation::Join { name: "again".to_string() });
    let again = fold.world.follows(&fold.world.founder.device, &founds, again);
    assert_eq!(fold.apply(&again), void(VoidReason::NotAllowed));
    let second = DeviceKey::from_secret([5; 32]);
    let admission = Some(fold.world.founder.identity.admit(fold.world.circle, &second, Role::Write, None));
    let join = Operation::Join { name: "second".to_string() };
    let joins_twice = fold.world.write(&second, Draft { admission, operation: Some(join), ..Draft::default() });
    assert_eq!(fold.apply(&joins_twice), void(VoidReason::AlreadyMember));
    assert!(fold.state.device(&second.id()).is_none());
}

#[test]
fn a_join_uses_its_invite_even_if_ordered_before_it() {
    let (mut fold, founds) = Fold::founded(Rules::default());
    let secret = InviteSecret::from_secret([2; 32]);
    let invite = fold.world.invite(&secret, &fold.world.founder.device, 2);
    let joins: Vec<_> = (2..5).map(|seed| fold.world.joins(&Person::new(seed), &secret, invite, Vec::new())).collect();
    assert_eq!(fold.apply(&joins[0]), Verdict::Applied);
    let gives = fold.world.follows(&fold.world.founder.device, &founds, operation(Operation::Invite(invite)));
    assert_eq!(fold.apply(&gives), Verdict::Applied);
    assert_eq!(fold.apply(&joins[1]), Verdict::Applied);
    let root = fold.root();
    assert_eq!(fold.apply(&joins[2]), void(VoidReason::InviteUsedUp));
    assert_ne!(fold.root(), root, "the void entry counts in its chain");
    assert_eq!(fold.state.registered(&invite.key, &invite.issuer).unwrap().used, 2);
    assert_eq!(fold.state.members().count(), 3);
}

#[test]
fn an_invite_expires_by_the_joins_time_and_30_days_of_the_headers() {
    for (written, settled, verdict) in [
        (EXPIRY, EXPIRY + JOIN_GRACE_MS, Verdict::Applied),
        (EXPIRY + 1, EXPIRY + 1, void(VoidReason::InviteExpired)),
        (EXPIRY, EXPIRY + JOIN_GRACE_MS + 1, void(VoidReason::InviteExpired)),
    ] {
        let (mut fold, _) = Fold::founded(Rules::default());
        fold.state.begin(2, settled, fold.world.genesis.device);
        let (friend, secret) = (Person::new(2), InviteSecret::from_secret([2; 32]));
        let invite = fold.world.invite(&secret, &fold.world.founder.device, 1);
        let joins = fold.world.joins(&friend, &secret, invite, Vec::new());
        let Packed { signed, body, .. } = joins.into_packed();
        let entry = Entry { time: written, ..signed.entry };
        assert_eq!(fold.state.apply(EntryId([1; 32]), &entry, Opened::Plain(&body.unwrap())), verdict);
    }
}

#[test]
fn invites_are_given_by_those_who_may() {
    let (mut fold, founds, friend, joins) = founder_and_friend();
    let secret = InviteSecret::from_secret([3; 32]);
    let own = fold.world.invite(&secret, &friend.device, 3);
    let gives = fold.world.follows(&friend.device, &joins, operation(Operation::Invite(own)));
    assert_eq!(fold.apply(&gives), Verdict::Applied);
    // Another member registers the same key: both stand.
    let same_key = fold.world.invite(&secret, &fold.world.founder.device, 1);
    let gives_too = fold.world.follows(&fold.world.founder.device, &founds, operation(Operation::Invite(same_key)));
    assert_eq!(fold.apply(&gives_too), Verdict::Applied);
    // The same issuer again, with more uses; somebody else's; one for nobody.
    let more = fold.world.invite(&secret, &friend.device, 4);
    let gives_more = fold.world.follows(&friend.device, &gives, operation(Operation::Invite(more)));
    assert_eq!(fold.apply(&gives_more), void(VoidReason::InviteKnown));
    let gives_others = fold.world.follows(&friend.device, &gives_more, operation(Operation::Invite(same_key)));
    assert_eq!(fold.apply(&gives_others), void(VoidReason::NotAllowed));
    let for_nobody = Invite { uses: 0, ..own };
    let gives_none = fold.world.follows(&friend.device, &gives_others, operation(Operation::Invite(for_nobody)));
    assert_eq!(fold.apply(&gives_none), void(VoidReason::NotAllowed));
    // One whose signature does not hold is the issuer's own loss: the join that bears it is refused by itself.
    let unsigned_key = InviteSecret::from_secret([4; 32]);
    let unsigned = Invite { key: unsigned_key.key(), ..own };
    let gives_unsigned = fold.world.follows(&friend.device, &gives_none, operation(Operation::Invite(unsigned)));
    assert_eq!(fold.apply(&gives_unsigned), Verdict::Applied);
    let comes = fold.world.joins(&Person::new(7), &unsigned_key, unsigned, Vec::new()).into_packed();
    assert_eq!(check(fold.world.circle, comes), Err(Refused::Signature(Signer::Issuer)));
    // A join by other words than registered.
    let other = fold.world.joins(&Person::new(6), &secret, more, Vec::new());
    assert_eq!(fold.apply(&other), void(VoidReason::UnknownInvite));
}

#[test]
fn strangers_and_vote_only_devices_do_nothing() {
    let (mut fold, _, friend, _) = founder_and_friend();
    let secret = InviteSecret::from_secret([3; 32]);
    let stranger = Person::new(8);
    let invite = fold.world.invite(&secret, &stranger.device, 3);
    let joins = fold.world.joins(&Person::new(9), &secret, invite, Vec::new());
    assert_eq!(fold.apply(&joins), void(VoidReason::UnknownInvite));
    let enrols = fold.world.enrols(&stranger.identity, &stranger.device, Role::Write);
    assert_eq!(fold.apply(&enrols), void(VoidReason::NotMember));
    let gives = fold.world.follows(&stranger.device, &enrols, operation(Operation::Invite(invite)));
    assert_eq!(fold.apply(&gives), void(VoidReason::NotMember));
    let pays = |amount| operation(Operation::Transfer { to: friend.member(), amount, reason: Vec::new() });
    let paid = fold.world.follows(&stranger.device, &gives, pays(1));
    assert_eq!(fold.apply(&paid), void(VoidReason::NotMember));

    let voter = DeviceKey::from_secret([60; 32]);
    let enrols = fold.world.enrols(&fold.world.founder.identity, &voter, Role::Vote);
    assert_eq!(fold.apply(&enrols), Verdict::Applied);
    assert_eq!(fold.state.device(&voter.id()).unwrap().role, Role::Vote);
    let paid = fold.world.follows(&voter, &enrols, pays(1));
    assert_eq!(fold.apply(&paid), void(VoidReason::NotAllowed));
}

#[test]
fn where_only_the_founder_invites_others_do_not() {
    let (mut fold, _) = Fold::founded(Rules { inviters: Inviters::Founder, ..Rules::default() });
    let (friend, secret) = (Person::new(2), InviteSecret::from_secret([2; 32]));
    let joins =
        fold.world.joins(&friend, &secret, fold.world.invite(&secret, &fold.world.founder.device, 1), Vec::new());
    assert_eq!(fold.apply(&joins), Verdict::Applied);
    let own = fold.world.invite(&secret, &friend.device, 1);
    let gives = fold.world.follows(&friend.device, &joins, operation(Operation::Invite(own)));
    assert_eq!(fold.apply(&gives), void(VoidReason::NotAllowed));
    let next = fold.world.joins(&Person::new(3), &secret, own, Vec::new());
    assert_eq!(fold.apply(&next), void(VoidReason::UnknownInvite));
}

#[test]
fn thanks_move_points_or_are_void() {
    let (mut fold, founds, friend, _) = founder_and_friend();
    let device = fold.world.founder.device.clone();
    let mut last = founds;
    let (own, nobody) = (fold.world.founder.member(), Identity::from_secret([99; 32]).member());
    for (to, amount, verdict) in [
        (friend.member(), 0, void(VoidReason::AmountZero)),
        (nobody, 1, void(VoidReason::UnknownReceiver)),
        (own, 1, void(VoidReason::NotAllowed)),
        (friend.member(), 101, void(VoidReason::BalanceTooLow)),
        (friend.member(), u64::MAX, void(VoidReason::OutOfRange)),
        (friend.member(), 60, Verdict::Applied),
        (friend.member(), 41, void(VoidReason::BalanceTooLow)),
        (friend.member(), 40, Verdict::Applied),
    ] {
        let pays = operation(Operation::Transfer { to, amount, reason: Vec::new() });
        last = fold.world.follows(&device, &last, pays);
        assert_eq!(fold.apply(&last), verdict, "{amount}");
    }
    assert_eq!(fold.state.member(&own).unwrap().balance, 0);
    assert_eq!(fold.state.member(&friend.member()).unwrap().balance, 200);
}

/// Whether, of a fork, what follows on the branch that does not count does not count either.
fn a_void_tail_is_void() -> bool {
    let (mut fold, founds, friend, _) = founder_and_friend();
    let device = fold.world.founder.device.clone();
    let pays = || operation(Operation::Transfer { to: friend.member(), amount: 70, reason: Vec::new() });
    let one = fold.world.follows(&device, &founds, talk("one"));
    let other = fold.world.follows(&device, &founds, pays());
    let after_one = fold.world.follows(&device, &one, pays());
    let after_other = fold.world.follows(&device, &other, pays());
    assert_eq!(fold.apply(&one), Verdict::Noop);
    assert_eq!(fold.apply(&other), void(VoidReason::BranchNotCounted));
    let tail = fold.apply(&after_other);
    let goes_on = fold.apply(&after_one) == Verdict::Applied;
    let counts = fold.state.counted(&device.id()) == Some((2, after_one.id()));
    tail == void(VoidReason::BranchNotCounted) && goes_on && counts
}

#[test]
fn of_a_fork_one_branch_counts_across_lanes() {
    assert!(a_void_tail_is_void());
}

#[cfg(feature = "mutants")]
#[test]
fn a_void_tail_that_counts_is_noticed() {
    use crate::mutant::{Mutant, with};
    assert!(!with(Some(Mutant::VoidTailCounts), a_void_tail_is_void));
}

#[test]
fn what_does_not_open_is_void_and_counts() {
    let (mut fold, founds) = Fold::founded(Rules::default());
    let device = fold.world.founder.device.clone();
    let pays = operation(Operation::Enrol);
    let closed = fold.world.follows(&device, &founds, pays);
    assert_eq!(fold.state.apply(closed.id(), closed.entry(), Opened::NotOpened), void(VoidReason::Unreadable));
    assert_eq!(fold.state.counted(&device.id()), Some((1, closed.id())));
    let garbled = fold.world.follows(&device, &closed, operation(Operation::Enrol));
    assert_eq!(fold.state.apply(garbled.id(), garbled.entry(), Opened::Plain(&[200, 1])), void(VoidReason::Unreadable));
    let merges = Operation::Merge.encode();
    let mut entry = fold.world.follows(&device, &garbled, operation(Operation::Merge)).entry().clone();
    entry.epoch = EntryId([4; 32]);
    assert_eq!(
        fold.state.apply(EntryId([5; 32]), &entry, Opened::Plain(&merges)),
        void(VoidReason::Unreadable),
        "of no epoch that began"
    );
    (entry.seq, entry.prev, entry.epoch) = (entry.seq + 2, EntryId([5; 32]), fold.world.circle.into());
    assert_eq!(
        fold.state.apply(EntryId([6; 32]), &entry, Opened::Plain(&merges)),
        void(VoidReason::BranchNotCounted),
        "not the next place"
    );
    entry.seq -= 1;
    assert_eq!(fold.state.apply(EntryId([6; 32]), &entry, Opened::Plain(&merges)), Verdict::Applied);
}

#[test]
fn grants_that_pass_the_bound_are_refused() {
    let (mut fold, _) = Fold::founded(Rules { grant: u64::MAX, ..Rules::default() });
    let (friend, secret) = (Person::new(2), InviteSecret::from_secret([2; 32]));
    let joins =
        fold.world.joins(&friend, &secret, fold.world.invite(&secret, &fold.world.founder.device, 1), Vec::new());
    assert_eq!(fold.apply(&joins), void(VoidReason::OutOfRange));
    assert!(fold.state.registered(&secret.key(), &fold.world.founder.device.id()).is_none());
}

#[test]
fn the_root_binds_every_part() {
    let (fold, founds, friend, _) = founder_and_friend();
    let root = fold.root();
    assert_ne!(fold.state.root(&[8; 32]), root);
    let device = fold.world.founder.device.id();
    let changes: [fn(&mut State, &DeviceId, &MemberId); 6] = [
        |state, _, member| state.members.get_mut(member).unwrap().balance += 1,
        |state, _, member| state.members.get_mut(member).unwrap().name.push('x'),
        |state, device, _| state.devices.get_mut(device).unwrap().role = Role::Vote,
        |state, device, _| state.counted.get_mut(device).unwrap().seq += 1,
        |state, _, _| state.totals.allowed += 1,
        |state, _, _| state.invites.values_mut().for_each(|registered| registered.used += 1),
    ];
    for change in changes {
        let mut other = fold.state.clone();
        change(&mut other, &device, &friend.member());
        assert_ne!(other.root(&[7; 32]), root);
    }
    // When the state was folded is no part of it.
    let mut later = fold.state.clone();
    later.begin(9, NOW + 9, fold.world.genesis.device);
    assert_eq!(later.root(&[7; 32]), root);
    assert_eq!(founds.entry().seq, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any entries in any order, each any number of times: nothing panics, points and uses are kept.
    #[test]
    fn the_fold_is_total(steps in steps(40, true), order in prop::collection::vec(any::<prop::sample::Index>(), 0..120)) {
        let history = History::play(&steps);
        let mut state = State::new(&history.world.genesis);
        for (height, index) in order.iter().enumerate() {
            let checked = index.get(&history.entries);
            state.begin(height as u64, NOW + height as u64, history.world.genesis.device);
            let body = checked.packed().body.clone().unwrap();
            state.apply(checked.id(), checked.entry(), Opened::Plain(&body));
            assert_points_kept(&state);
        }
    }

    #[test]
    fn any_bytes_as_a_body_are_folded(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20)) {
        let (mut fold, mut last) = Fold::founded(Rules::default());
        let device = fold.world.founder.device.clone();
        for body in bodies {
            last = fold.world.follows(&device, &last, operation(Operation::Enrol));
            fold.state.apply(last.id(), last.entry(), Opened::Plain(&body));
            assert_points_kept(&fold.state);
        }
    }
}
