//! The settlement's rules, model-checked: every order of votes among a few witnesses, over a few views.
//!
//! What is stepped is the shipped code: `Voter` decides what may be signed, `Tally` counts, `justified` says what may be
//! proposed. A state holds the honest witnesses' voters and the set of votes they sent, which only grows; whoever
//! looks at it may have got any part of it, for all that a quorum permits is an action that may be taken or not. A liar
//! has said everything, always: both headers notarized and finalized and every view nullified. Any justified header may
//! be proposed to any witness at any time, as by a liar who leads every view. So nothing about leaders, timers or the
//! order of messages is assumed. Honest witnesses are interchangeable, and so are the two headers: states that differ only
//! by who is who, or by which header is which, are one.
//!
//! In the model a crash gives a witness back from its record. That a record is durable before its votes are sent is the
//! engine's part, and tested there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod witness;

use ledgerno_ledger::mutant::{self, Mutant};
use ledgerno_ledger::settle::{Ballot, Tally, Voter, justified};
use stateright::{Checker, Model, Property};
use witness::{Witness, ballots, bit};

/// A circle with so many honest witnesses.
#[derive(Clone, Debug)]
struct Circle<const HONEST: usize> {
    liars: u8,
    /// W and Q follow from these; B is what the rules bear.
    bears: u8,
    views: u64,
    /// Only such runs are explored in which nobody leaves a view before having said what may be said in it: notarized
    /// something, if anything is proposed, and, who goes without finalizing, nullified. What a witness remembers of a view
    /// that it left is its finalize alone, and votes only ever permit more: so whatever follows on leaving in silence
    /// follows on this too, and a fork among all runs is one among these.
    talkative: bool,
    mutant: Option<Mutant>,
}

type State<const HONEST: usize> = [Witness; HONEST];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Notarize(usize, u8),
    Nullify(usize, u64),
    SeeNotarization(usize, u64, u8),
    SeeNullification(usize, u64),
    Restart(usize),
}

/// What a quorum says, a bit for each vote.
#[derive(Clone, Copy)]
struct Quorums(u32);

impl Quorums {
    fn say(self, ballot: Ballot<u8>) -> bool {
        self.0 & bit(ballot) != 0
    }
}

impl<const HONEST: usize> Circle<HONEST> {
    fn new(liars: u8, bears: u8, views: u64) -> Self {
        Circle { liars, bears, views, talkative: false, mutant: None }
    }

    fn quorum(&self) -> usize {
        (HONEST + usize::from(self.liars + self.bears)) / 2 + 1
    }

    fn quorums(&self, state: &State<HONEST>) -> Quorums {
        let mut tally = Tally::new(self.quorum());
        for (bit, ballot) in ballots(self.views) {
            for (place, _) in (0..).zip(state).filter(|(_, witness)| witness.sent() & bit != 0) {
                tally.take(place, ballot, ());
            }
        }
        // Over and over: it counts once.
        for (_, ballot) in ballots(self.views).chain(ballots(self.views)) {
            for liar in 0..self.liars {
                tally.take(HONEST as u8 + liar, ballot, ());
            }
        }
        let said = ballots(self.views).filter(|(_, ballot)| tally.quorum_for(ballot).is_some());
        Quorums(said.map(|(bit, _)| bit).sum())
    }

    fn may_propose(&self, quorums: Quorums, view: u64, header: u8) -> bool {
        let nullified: Vec<u64> = (0..view).filter(|view| quorums.say(Ballot::nullify(*view))).collect();
        let notarized = (0..view).filter(|view| quorums.say(Ballot::notarize(*view, header)));
        justified(view, &header, None, &nullified)
            || notarized.into_iter().any(|at| justified(view, &header, Some((at, header)), &nullified))
    }

    fn certified(&self, quorums: Quorums, header: u8) -> bool {
        (0..self.views).any(|view| quorums.say(Ballot::finalize(view, header)))
    }

    fn forked(&self, state: &State<HONEST>) -> bool {
        let finalized = |header| {
            let sent = |witness: &Witness| {
                (0..self.views).any(|view| witness.sent() & bit(Ballot::finalize(view, header)) != 0)
            };
            state.iter().any(sent)
        };
        let alone = usize::from(self.liars) >= self.quorum() || self.mutant.is_some();
        // To be quick: without an honest witness nothing is certified.
        (alone || finalized(0) && finalized(1)) && {
            let quorums = self.quorums(state);
            self.certified(quorums, 0) && self.certified(quorums, 1)
        }
    }

    /// The one that stands for all that differ only by who is who, or by which header is which.
    fn canonical(&self, mut state: State<HONEST>) -> State<HONEST> {
        state.sort_unstable();
        let mut mirrored = state.map(Witness::mirrored);
        mirrored.sort_unstable();
        state.min(mirrored)
    }

    /// Explores everything; how many states, and a way to two certified headers if there is one.
    fn explore(self) -> (usize, Option<Vec<Action>>) {
        let name = format!("{HONEST} honest, {self:?}");
        let start = std::time::Instant::now();
        let checker = self.checker().threads(2).spawn_bfs().join();
        let fork = checker.discovery(ONE_HEADER).map(|path| path.into_actions());
        let (states, depth) = (checker.unique_state_count(), checker.max_depth());
        println!("{name}: {states} states, depth {depth}, {:?}, fork: {fork:?}", start.elapsed());
        if fork.is_none() {
            checker.assert_properties();
        }
        (states, fork)
    }
}

const ONE_HEADER: &str = "at most one header is certified";

impl<const HONEST: usize> Model for Circle<HONEST> {
    type State = State<HONEST>;
    type Action = Action;

    fn init_states(&self) -> Vec<Self::State> {
        vec![[Witness::default(); HONEST]]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Action>) {
        mutant::with(self.mutant, || {
            let quorums = self.quorums(state);
            let mut last = None;
            for (at, witness) in state.iter().enumerate() {
                // The same as the one before: interchangeable.
                if last.replace(witness) == Some(witness) {
                    continue;
                }
                let (view, voter) = (witness.view(), witness.voter());
                let proposed: Vec<u8> = match view < self.views {
                    true => (0..2).filter(|header| self.may_propose(quorums, view, *header)).collect(),
                    false => Vec::new(),
                };
                let notarized = !self.talkative || proposed.is_empty() || voter.notarized().is_some();
                let nullified = !self.talkative || voter.nullified();
                for seen in (view..self.views).filter(|_| notarized) {
                    actions.extend(
                        (0..2)
                            .filter(|header| {
                                quorums.say(Ballot::notarize(seen, *header)) && (seen == view || nullified)
                            })
                            .map(|header| Action::SeeNotarization(at, seen, header)),
                    );
                    let nullification = nullified && quorums.say(Ballot::nullify(seen));
                    actions.extend(nullification.then_some(Action::SeeNullification(at, seen)));
                }
                actions.extend(proposed.into_iter().map(|header| Action::Notarize(at, header)));
                let from = if self.mutant == Some(Mutant::NullifyAfterFinalize) { 0 } else { view };
                actions.extend((from..=view.min(self.views - 1)).map(|view| Action::Nullify(at, view)));
                actions.push(Action::Restart(at));
            }
        });
    }

    fn next_state(&self, last: &Self::State, action: Action) -> Option<Self::State> {
        let mut state = *last;
        let (Action::Notarize(at, _)
        | Action::Nullify(at, _)
        | Action::SeeNotarization(at, ..)
        | Action::SeeNullification(at, _)
        | Action::Restart(at)) = action;
        let step = |voter: &mut Voter<u8>| match action {
            Action::Notarize(_, header) => voter.notarize(voter.view(), header),
            Action::Nullify(_, view) => voter.nullify(view),
            Action::SeeNotarization(_, view, header) => voter.see_notarization(view, header),
            Action::SeeNullification(_, view) => {
                voter.see_nullification(view);
                None
            }
            Action::Restart(_) => {
                *voter = Voter::from_record(voter.view(), voter.ballots().collect::<Vec<_>>());
                None
            }
        };
        state[at] = state[at].after(|voter| mutant::with(self.mutant, || step(voter)));
        let state = self.canonical(state);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_HEADER, |model: &Self, state: &Self::State| {
                mutant::with(model.mutant, || !model.forked(state))
            }),
            Property::sometimes("a header is certified", |model: &Self, state: &Self::State| {
                let quorums = model.quorums(state);
                model.certified(quorums, 0) || model.certified(quorums, 1)
            }),
            Property::sometimes("a header is certified in the last view", |model: &Self, state: &Self::State| {
                let quorums = model.quorums(state);
                (0..2).any(|header| quorums.say(Ballot::finalize(model.views - 1, header)))
            }),
        ]
    }
}

#[test]
fn four_witnesses_and_one_liar_over_two_views() {
    let (states, fork) = Circle::<3>::new(1, 1, 2).explore();
    assert!(fork.is_none() && states > 1_000, "{states} {fork:?}");
}

#[test]
fn three_witnesses_without_a_liar_over_two_views() {
    let (states, fork) = Circle::<3>::new(0, 0, 2).explore();
    assert!(fork.is_none() && states > 1_000, "{states} {fork:?}");
}

#[test]
fn four_witnesses_and_one_liar_over_three_views() {
    let (states, fork) = Circle { talkative: true, ..Circle::<3>::new(1, 1, 3) }.explore();
    assert!(fork.is_none() && states > 100_000, "{states} {fork:?}");
}

#[test]
fn three_witnesses_without_a_liar_over_three_views() {
    let (states, fork) = Circle { talkative: true, ..Circle::<3>::new(0, 0, 3) }.explore();
    assert!(fork.is_none() && states > 100_000, "{states} {fork:?}");
}

#[test]
#[ignore = "minutes: every run of three views, silent ones too"]
fn every_run_of_four_witnesses_and_one_liar_over_three_views() {
    let (states, fork) = Circle::<3>::new(1, 1, 3).explore();
    assert!(fork.is_none() && states > 1_000_000, "{states} {fork:?}");
}

#[test]
#[ignore = "minutes: every run of three views, silent ones too"]
fn every_run_of_three_witnesses_without_a_liar_over_three_views() {
    let (states, fork) = Circle::<3>::new(0, 0, 3).explore();
    assert!(fork.is_none() && states > 1_000_000, "{states} {fork:?}");
}

/// One liar more than the rules bear forks the circle: the harness sees.
#[test]
fn one_liar_more_forks() {
    assert!(Circle::<2>::new(2, 1, 1).explore().1.is_some());
    assert!(Circle::<2>::new(1, 0, 1).explore().1.is_some());
}

fn broken(mutant: Mutant, views: u64) -> Option<Vec<Action>> {
    Circle { mutant: Some(mutant), talkative: views > 2, ..Circle::<3>::new(1, 1, views) }.explore().1
}

#[test]
fn a_smaller_quorum_is_caught() {
    assert!(broken(Mutant::SmallQuorum, 2).is_some() && broken(Mutant::SmallQuorum, 3).is_some());
}

#[test]
fn votes_counted_instead_of_witnesses_are_caught() {
    assert!(broken(Mutant::VotesCounted, 2).is_some() && broken(Mutant::VotesCounted, 3).is_some());
}

#[test]
fn finalizing_after_nullifying_is_caught() {
    assert!(broken(Mutant::FinalizeAfterNullify, 2).is_some() && broken(Mutant::FinalizeAfterNullify, 3).is_some());
}

#[test]
fn nullifying_after_finalizing_is_caught() {
    assert!(broken(Mutant::NullifyAfterFinalize, 2).is_some() && broken(Mutant::NullifyAfterFinalize, 3).is_some());
}

#[test]
fn notarizing_twice_is_caught() {
    assert!(broken(Mutant::NotarizeTwice, 2).is_some() && broken(Mutant::NotarizeTwice, 3).is_some());
}

#[test]
fn a_proposal_without_the_nullifications_between_is_caught() {
    assert!(broken(Mutant::NoNullifications, 2).is_some() && broken(Mutant::NoNullifications, 3).is_some());
}

/// With a liar present, what a witness forgot in a crash suffices.
#[test]
fn a_vote_forgotten_in_a_crash_is_caught() {
    assert!(broken(Mutant::VoteForgotten, 2).is_some() && broken(Mutant::VoteForgotten, 3).is_some());
}

/// Header 0 is finalized by one witness in view 0 and by another in view 1, header 1 by two in view 2.
#[test]
fn adding_finalizes_across_views_is_caught() {
    assert!(broken(Mutant::FinalizesAcrossViews, 2).is_none());
    assert!(broken(Mutant::FinalizesAcrossViews, 3).is_some());
}
