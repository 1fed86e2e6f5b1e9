//! The hand-over of witnesses between heights, model-checked: who votes on height 2 follows from what is certified at
//! height 1, and only from that.
//!
//! Three witnesses without a liar settle height 1. One of its two headers keeps them; the other hands over
//! to two of them, a newcomer and a liar, who bear one liar. A node votes on height 2 once it holds a certificate of
//! height 1 that names it, for a header that follows that one. Votes are counted by the set that the certified header
//! names. Old witnesses that did not hear of the change go on voting on height 1. As in `agreement`, the liar has
//! said everything; and runs that `agreement` leaves out are left out here (`talkative`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod witness;

use ledgerno_ledger::settle::{Ballot, Tally, VoteKind, justified};
use stateright::{Checker, Model, Property};
use witness::{Witness, ballots, bit};

const FIRST: &[u8] = &[0, 1, 2];
const LIARS: &[u8] = &[4, 5];
const HONEST: usize = 4;

/// A node: what it is at both heights, and the header of height 1 that it holds a certificate of. A header of height 2
/// is known by that one and 0 or 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Node {
    votes: [Witness; 2],
    holds: Option<u8>,
}

/// The nodes, and what is certified of a height 1 that is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct State {
    nodes: [Node; HONEST],
    over: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Adopt(usize, u8),
    Notarize(usize, usize, u8),
    Nullify(usize, usize),
    SeeNotarization(usize, usize, u64, u8),
    SeeNullification(usize, usize, u64),
    /// Nobody votes on height 1 any more.
    Over(u8),
}

struct HandOver {
    /// Who votes on height 2, by the header of height 1; and how many liars they bear.
    next: [(&'static [u8], u8); 2],
    /// Two nodes that are in the same sets.
    alike: [usize; 2],
    /// How many views each height has.
    views: [u64; 2],
    /// Only such runs are explored in which nobody votes on height 2 before the last vote on height 1. What is said at
    /// height 2 permits nothing at height 1, so each run can be told in this order; and what height 1 was matters no more
    /// then, but for what is certified there.
    in_turn: bool,
}

impl HandOver {
    /// What a quorum of the witnesses says of a height, of the headers that follow `first`.
    fn quorums(&self, state: &State, height: usize, first: Option<u8>) -> u32 {
        let (set, bears) = first.map_or((FIRST, 0), |first| self.next[usize::from(first)]);
        let mut tally = Tally::new((set.len() + usize::from(bears)) / 2 + 1);
        for (bit, ballot) in ballots(self.views[height]) {
            for (place, member) in (0..).zip(set) {
                let says = LIARS.contains(member) || {
                    let node = &state.nodes[usize::from(*member)];
                    // A nullify names no header.
                    let follows = height == 0 || node.holds == first || ballot.header.is_none();
                    follows && node.votes[height].sent() & bit != 0
                };
                if says {
                    tally.take(place, ballot, ());
                }
            }
        }
        ballots(self.views[height]).filter(|(_, ballot)| tally.quorum_for(ballot).is_some()).map(|(bit, _)| bit).sum()
    }

    fn certified_by(&self, height: usize, quorums: u32) -> impl Iterator<Item = u8> {
        let views = self.views[height];
        (0..2).filter(move |header| (0..views).any(|view| quorums & bit(Ballot::finalize(view, *header)) != 0))
    }

    /// The headers of height 1.
    fn certified(&self, state: &State) -> Vec<u8> {
        let of_votes = || self.certified_by(0, self.quorums(state, 0, None)).collect();
        state.over.map_or_else(of_votes, |over| vec![over])
    }

    /// The headers of height 2, each with that of height 1 that it follows.
    fn certified_next(&self, state: &State) -> Vec<(u8, u8)> {
        let following = |first| {
            let quorums = self.quorums(state, 1, Some(first));
            self.certified_by(1, quorums).map(move |second| (first, second))
        };
        self.certified(state).into_iter().flat_map(following).collect()
    }

    fn canonical(&self, state: State) -> State {
        let mirror = |mut state: State| {
            state.nodes.iter_mut().for_each(|node| node.votes[1] = node.votes[1].mirrored());
            state
        };
        let exchange = |mut state: State| {
            state.nodes.swap(self.alike[0], self.alike[1]);
            state
        };
        let (mirrored, exchanged) = (mirror(state), exchange(state));
        state.min(mirrored).min(exchanged).min(exchange(mirrored))
    }

    /// What a node may do at a height of which a quorum says this.
    fn votes(&self, (at, node): (usize, &Node), height: usize, quorums: u32, actions: &mut Vec<Action>) {
        let say = |ballot: Ballot<u8>| quorums & bit(ballot) != 0;
        let (view, voter) = (node.votes[height].view(), node.votes[height].voter());
        let nullified: Vec<u64> = (0..view).filter(|view| say(Ballot::nullify(*view))).collect();
        let may = |header: &u8| {
            let mut again = (0..view).filter(|view| say(Ballot::notarize(*view, *header)));
            justified(view, header, None, &nullified)
                || again.any(|at| justified(view, header, Some((at, *header)), &nullified))
        };
        let proposed: Vec<u8> = (0..2).filter(|header| view < self.views[height] && may(header)).collect();
        if proposed.is_empty() || voter.notarized().is_some() {
            for seen in view..self.views[height] {
                let notarized =
                    |header: &u8| say(Ballot::notarize(seen, *header)) && (seen == view || voter.nullified());
                actions
                    .extend((0..2).filter(notarized).map(|header| Action::SeeNotarization(at, height, seen, header)));
                let nullification = voter.nullified() && say(Ballot::nullify(seen));
                actions.extend(nullification.then_some(Action::SeeNullification(at, height, seen)));
            }
        }
        actions.extend(proposed.into_iter().map(|header| Action::Notarize(at, height, header)));
        actions.extend((view < self.views[height]).then_some(Action::Nullify(at, height)));
    }

    /// Explores everything; how many states, and a way to two certified headers if there is one.
    fn explore(self) -> (usize, Option<Vec<Action>>) {
        let start = std::time::Instant::now();
        let name = format!("hand-over, views {:?}, in turn: {}", self.views, self.in_turn);
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

impl Model for HandOver {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let certified = self.certified(state);
        let (first_height, second_height) = (state.over.is_none(), state.over.is_some() || !self.in_turn);
        if first_height && self.in_turn {
            actions.extend(certified.iter().map(|header| Action::Over(*header)));
        }
        for (at, node) in state.nodes.iter().enumerate() {
            match node.holds {
                None => {
                    if second_height {
                        actions.extend(certified.iter().map(|header| Action::Adopt(at, *header)));
                    }
                    if first_height && FIRST.contains(&(at as u8)) {
                        self.votes((at, node), 0, self.quorums(state, 0, None), actions);
                    }
                }
                Some(first) if self.next[usize::from(first)].0.contains(&(at as u8)) => {
                    self.votes((at, node), 1, self.quorums(state, 1, Some(first)), actions);
                }
                Some(_) => {}
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        let mut step = |at: usize, height: usize| {
            let votes = &mut state.nodes[at].votes[height];
            *votes = votes.after(|voter| match action {
                Action::Notarize(_, _, header) => voter.notarize(voter.view(), header),
                Action::Nullify(..) => voter.nullify(voter.view()),
                Action::SeeNotarization(_, _, view, header) => voter.see_notarization(view, header),
                Action::SeeNullification(_, _, view) => {
                    voter.see_nullification(view);
                    None
                }
                Action::Adopt(..) | Action::Over(_) => None,
            });
        };
        match action {
            Action::Adopt(at, header) => state.nodes[at].holds = Some(header),
            Action::Over(header) => state = State { over: Some(header), ..State::default() },
            Action::Notarize(at, height, _)
            | Action::Nullify(at, height)
            | Action::SeeNotarization(at, height, ..)
            | Action::SeeNullification(at, height, _) => step(at, height),
        }
        let state = self.canonical(state);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_HEADER, |model: &HandOver, state: &State| {
                model.certified(state).len() <= 1 && model.certified_next(state).len() <= 1
            }),
            Property::sometimes("the old witnesses settle height 2", |model: &HandOver, state: &State| {
                model.certified_next(state).iter().any(|(first, _)| *first == 0)
            }),
            Property::sometimes("the new witnesses settle height 2", |model: &HandOver, state: &State| {
                let by_the_newcomer = ballots(model.views[1]).any(|(bit, ballot)| {
                    ballot.kind == VoteKind::Finalize && state.nodes[3].votes[1].sent() & bit != 0
                });
                by_the_newcomer && model.certified_next(state).iter().any(|(first, _)| *first == 1)
            }),
        ]
    }
}

/// One of the headers hands over to two of the three, a newcomer and a liar.
fn hand_over(views: [u64; 2], in_turn: bool) -> HandOver {
    HandOver { next: [(FIRST, 0), (&[1, 2, 3, 4], 1)], alike: [1, 2], views, in_turn }
}

#[test]
fn one_header_a_height_over_a_change_of_witnesses() {
    let (states, fork) = hand_over([1, 1], false).explore();
    assert!(fork.is_none() && states > 1_000, "{states} {fork:?}");
}

#[test]
fn one_header_a_height_over_a_change_of_witnesses_and_two_views() {
    let (states, fork) = hand_over([2, 2], true).explore();
    assert!(fork.is_none() && states > 1_000, "{states} {fork:?}");
}

#[test]
#[ignore = "minutes: three views of both heights"]
fn one_header_a_height_over_a_change_of_witnesses_and_three_views() {
    let (states, fork) = hand_over([3, 3], true).explore();
    assert!(fork.is_none() && states > 100_000, "{states} {fork:?}");
}

/// With two liars among the new witnesses it forks at height 2: the harness sees there too.
#[test]
fn one_liar_more_among_the_new_witnesses_forks() {
    for in_turn in [false, true] {
        let next = [(FIRST, 0), (&[2, 3, 4, 5][..], 1)];
        assert!(HandOver { next, alike: [0, 1], views: [1, 1], in_turn }.explore().1.is_some());
    }
}
