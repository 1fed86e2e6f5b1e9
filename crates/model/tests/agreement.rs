//! The settlement's rules, model-checked: every order of votes among a few witnesses, over a few views.
//!
//! What is stepped is the shipped code: `Voter` decides what may be signed, `Tally` counts, `justified` says what may be
//! proposed. A state holds the honest witnesses' voters and the set of votes they sent, which only grows; whoever
//! looks at it may have got any part of it, for all that a quorum permits is an action that may be taken or not. A liar
//! has said everything, always: both headers notarized and finalized and every view nullified. Any justified header may
//! be proposed to any witness at any time, as by a liar who leads every view. So nothing about leaders, timers or the
//! order of messages is assumed. Honest witnesses are interchangeable, and states that differ only by their order are one.
//!
//! In the model a crash gives a witness back from its record. That a record is durable before its votes are sent is the
//! engine's part, and tested there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ledgerno_ledger::mutant::{self, Mutant};
use ledgerno_ledger::settle::{Ballot, Tally, VoteKind, Voter, justified};
use stateright::{Checker, Model, Property};

/// Kinds of votes in a view: two headers notarized or finalized, or a nullify.
const KINDS: usize = 5;

#[derive(Clone, Debug)]
struct Circle {
    honest: u8,
    liars: u8,
    /// W and Q follow from these; B is what the rules bear.
    bears: u8,
    views: u64,
    /// Only a part is explored, in which a fork may still be found: in a view only the header of its parity is proposed,
    /// and nobody notarizes or nullifies what a quorum says without it.
    sparse: bool,
    mutant: Option<Mutant>,
}

/// An honest witness, and what it sent.
type Witness = (Voter<u8>, u32);
type State = Vec<Witness>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Notarize(usize, u8),
    Nullify(usize, u64),
    SeeNotarization(usize, u64, u8),
    SeeNullification(usize, u64),
    Restart(usize),
}

fn ballot(at: usize) -> Ballot<u8> {
    let view = (at / KINDS) as u64;
    match at % KINDS {
        kind @ 0..=1 => Ballot::notarize(view, kind as u8),
        kind @ 2..=3 => Ballot::finalize(view, kind as u8 - 2),
        _ => Ballot::nullify(view),
    }
}

fn bit(ballot: Ballot<u8>) -> u32 {
    let kind = match (ballot.kind, ballot.header) {
        (VoteKind::Notarize, Some(header)) => usize::from(header),
        (VoteKind::Finalize, Some(header)) => 2 + usize::from(header),
        _ => 4,
    };
    1 << (ballot.view as usize * KINDS + kind)
}

impl Circle {
    fn new(honest: u8, liars: u8, bears: u8, views: u64) -> Self {
        Circle { honest, liars, bears, views, sparse: false, mutant: None }
    }

    fn quorum(&self) -> usize {
        usize::from(self.honest + self.liars + self.bears) / 2 + 1
    }

    fn tally(&self, state: &State) -> Tally<u8, ()> {
        let mut tally = Tally::new(self.quorum());
        let all = self.views as usize * KINDS;
        for at in 0..all {
            for (voter, (_, sent)) in (0..).zip(state) {
                if sent & (1 << at) != 0 {
                    tally.take(voter, ballot(at), ());
                }
            }
            for liar in 0..self.liars {
                // Over and over: it counts once.
                tally.take(self.honest + liar, ballot(at), ());
                tally.take(self.honest + liar, ballot(at), ());
            }
        }
        tally
    }

    fn may_propose(&self, tally: &Tally<u8, ()>, view: u64, header: u8) -> bool {
        if self.sparse && u64::from(header) != view % 2 {
            return false;
        }
        let nullified: Vec<u64> =
            (0..view).filter(|view| tally.quorum_for(&Ballot::nullify(*view)).is_some()).collect();
        let notarized = (0..view).filter(|view| tally.quorum_for(&Ballot::notarize(*view, header)).is_some());
        justified(view, &header, None, &nullified)
            || notarized.into_iter().any(|at| justified(view, &header, Some((at, header)), &nullified))
    }

    fn certified(&self, state: &State, header: u8) -> bool {
        let tally = self.tally(state);
        (0..self.views).any(|view| tally.quorum_for(&Ballot::finalize(view, header)).is_some())
    }

    fn forked(&self, state: &State) -> bool {
        let finalized = |header| {
            state.iter().any(|(_, sent)| (0..self.views).any(|view| sent & bit(Ballot::finalize(view, header)) != 0))
        };
        let alone = usize::from(self.liars) >= self.quorum() || self.mutant.is_some();
        // To be quick: without an honest witness nothing is certified.
        (alone || finalized(0) && finalized(1)) && self.certified(state, 0) && self.certified(state, 1)
    }

    /// Explores everything; how many states, and a way to two certified headers if there is one.
    fn explore(self) -> (usize, Option<Vec<Action>>) {
        let name = format!("{self:?}");
        let start = std::time::Instant::now();
        let checker = self.checker().threads(2).spawn_bfs().join();
        let fork = checker.discovery(ONE_HEADER).map(|path| path.into_actions());
        println!("{name}: {} states, {:?}, fork: {fork:?}", checker.unique_state_count(), start.elapsed());
        if fork.is_none() {
            checker.assert_properties();
        }
        (checker.unique_state_count(), fork)
    }
}

const ONE_HEADER: &str = "at most one header is certified";

impl Model for Circle {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![vec![(Voter::default(), 0); self.honest.into()]]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        mutant::with(self.mutant, || {
            let tally = self.tally(state);
            let quorum = |ballot: Ballot<u8>| tally.quorum_for(&ballot).is_some();
            let mut last = None;
            for (at, witness) in state.iter().enumerate() {
                // The same as the one before: interchangeable.
                if last.replace(witness) == Some(witness) {
                    continue;
                }
                let view = witness.0.view();
                for seen in view..self.views {
                    actions.extend(
                        (0..2)
                            .filter(|header| quorum(Ballot::notarize(seen, *header)))
                            .map(|header| Action::SeeNotarization(at, seen, header)),
                    );
                    actions.extend(quorum(Ballot::nullify(seen)).then_some(Action::SeeNullification(at, seen)));
                }
                let idle = |ballot: Ballot<u8>| self.sparse && quorum(ballot);
                if view < self.views {
                    let may =
                        |header: &u8| self.may_propose(&tally, view, *header) && !idle(Ballot::notarize(view, *header));
                    actions.extend((0..2).filter(may).map(|header| Action::Notarize(at, header)));
                }
                let from = if self.mutant == Some(Mutant::NullifyAfterFinalize) { 0 } else { view };
                let nullified = (from..=view.min(self.views - 1)).filter(|view| !idle(Ballot::nullify(*view)));
                actions.extend(nullified.map(|view| Action::Nullify(at, view)));
                actions.push(Action::Restart(at));
            }
        });
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        mutant::with(self.mutant, || {
            let mut state = last.clone();
            let (Action::Notarize(at, _)
            | Action::Nullify(at, _)
            | Action::SeeNotarization(at, ..)
            | Action::SeeNullification(at, _)
            | Action::Restart(at)) = action;
            let (voter, sent) = &mut state[at];
            let says = match action {
                Action::Notarize(_, header) => Some(voter.notarize(voter.view(), header)?),
                Action::Nullify(_, view) => Some(voter.nullify(view)?),
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
            *sent |= says.map_or(0, bit);
            state.sort_by_cached_key(|(voter, sent)| (*sent, voter.view(), voter.ballots().collect::<Vec<_>>()));
            (state != *last).then_some(state)
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_HEADER, |model: &Circle, state: &State| {
                mutant::with(model.mutant, || !model.forked(state))
            }),
            Property::sometimes("a header is certified", |model: &Circle, state: &State| model.certified(state, 1)),
            Property::sometimes("a header is certified in the last view", |model: &Circle, state: &State| {
                model.tally(state).quorum_for(&Ballot::finalize(model.views - 1, 0)).is_some() || model.sparse
            }),
        ]
    }
}

#[test]
fn four_witnesses_and_one_liar_over_two_views() {
    let (states, fork) = Circle::new(3, 1, 1, 2).explore();
    assert!(fork.is_none() && states > 1_000, "{states} {fork:?}");
}

#[test]
fn three_witnesses_without_a_liar_over_two_views() {
    let (states, fork) = Circle::new(3, 0, 0, 2).explore();
    assert!(fork.is_none() && states > 1_000, "{states} {fork:?}");
}

#[test]
#[ignore = "minutes: the whole of three views"]
fn four_witnesses_and_one_liar_over_three_views() {
    let (states, fork) = Circle::new(3, 1, 1, 3).explore();
    assert!(fork.is_none() && states > 100_000, "{states} {fork:?}");
}

#[test]
#[ignore = "minutes: the whole of three views"]
fn three_witnesses_without_a_liar_over_three_views() {
    let (states, fork) = Circle::new(3, 0, 0, 3).explore();
    assert!(fork.is_none() && states > 100_000, "{states} {fork:?}");
}

/// One liar more than the rules bear forks the circle: the harness sees.
#[test]
fn one_liar_more_forks() {
    assert!(Circle::new(2, 2, 1, 1).explore().1.is_some());
    assert!(Circle::new(2, 1, 0, 1).explore().1.is_some());
}

fn broken(mutant: Mutant) -> Option<Vec<Action>> {
    Circle { mutant: Some(mutant), ..Circle::new(3, 1, 1, 2) }.explore().1
}

#[test]
fn a_smaller_quorum_is_caught() {
    assert!(broken(Mutant::SmallQuorum).is_some());
}

#[test]
fn votes_counted_instead_of_witnesses_are_caught() {
    assert!(broken(Mutant::VotesCounted).is_some());
}

#[test]
fn finalizing_after_nullifying_is_caught() {
    assert!(broken(Mutant::FinalizeAfterNullify).is_some());
}

#[test]
fn nullifying_after_finalizing_is_caught() {
    assert!(broken(Mutant::NullifyAfterFinalize).is_some());
}

#[test]
fn notarizing_twice_is_caught() {
    assert!(broken(Mutant::NotarizeTwice).is_some());
}

#[test]
fn a_proposal_without_the_nullifications_between_is_caught() {
    assert!(broken(Mutant::NoNullifications).is_some());
}

/// With a liar present, what a witness forgot in a crash suffices.
#[test]
fn a_vote_forgotten_in_a_crash_is_caught() {
    assert!(broken(Mutant::VoteForgotten).is_some());
}

/// Each of two headers needs two views in which one witness finalizes it: four views, in which they take turns.
#[test]
fn adding_finalizes_across_views_is_caught() {
    let circle = Circle { sparse: true, ..Circle::new(3, 1, 1, 4) };
    assert!(Circle { mutant: Some(Mutant::FinalizesAcrossViews), ..circle }.explore().1.is_some());
}
