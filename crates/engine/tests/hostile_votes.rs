//! What is said about votes, by whom there is no reason to trust: bundles and proposals that were touched, are of other
//! heights, views or keys, come again or in floods. None of it brings a witness to settle, to sign against itself or to
//! give its vote up, and afterwards it settles with the others.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::RELAY;
use common::four::Four;
use ledgerno_engine::wire::{PlacedVote, Topic, Votes};
use ledgerno_engine::{Engine, Event, Item};
use ledgerno_ledger::bytes::{DeviceId, EntryId, HeaderHash, Signature};
use ledgerno_ledger::codec;
use ledgerno_ledger::hostile::{Dice, besiege, mutate};
use ledgerno_ledger::keys::VoteSecret;
use ledgerno_ledger::settle::{Bundle, Notarization, Nullification, Proposal, SignedVote, Vote, VoteKind, cut_hash};

const ROUNDS: u64 = 5_000;
const LIAR: DeviceId = DeviceId([66; 32]);

/// Four witnesses, the last of whom hears nobody; a height is open, and its header is proposed in view 0.
struct Siege {
    four: Four,
    victim: DeviceId,
    height: u64,
    /// By place.
    secrets: Vec<VoteSecret>,
    /// Who leads view 0, with the proposed header.
    opening: Bundle,
    post: EntryId,
}

impl Siege {
    fn new(seed: u8) -> Self {
        let mut four = Four::elected(seed, 4);
        let secret = |four: &Four, id: &DeviceId| four.world.engine(*id).vote_secret().unwrap().clone();
        // Two are too few, so the height stays open; one of them leads it, or there is a next one.
        let (post, opening) = loop {
            four.unlink(0);
            four.unlink(3);
            let post = four.post(1, "open");
            let kept = four.world.engine(RELAY).bundles();
            if let Some(opening) = kept.into_iter().find(|bundle| bundle.voted.is_some()) {
                break (post, opening);
            }
            four.link(0);
            four.link(3);
            four.all_settle(post, 120_000);
        };
        let victim = four.all[3];
        let height = four.height(four.all[1]) + 1;
        let order = four.world.engine(four.all[1]).witnesses();
        let secrets = order.iter().map(|one| secret(&four, &one.device)).collect();
        // It holds what is to be settled, and hears nobody.
        let log = &four.world.hosts[&four.all[1]].disk.log;
        let newest = log.iter().rev().find_map(|item| match Item::from_bytes(item) {
            Ok(Item::Entry(packed)) => Some(codec::encode(&packed)),
            _ => None,
        });
        let newest = newest.unwrap();
        four.world.act(victim, |engine, now| engine.gossip(Topic::Entries, LIAR, &newest, now));
        let siege = Siege { four, victim, height, secrets, opening, post };
        assert!(siege.engine().settlement().unsettled > 0);
        siege
    }

    fn engine(&self) -> &Engine {
        self.four.world.engine(self.victim)
    }

    /// The places of all but the victim: a quorum.
    fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let own = self.engine().vote_secret().unwrap().key();
        let place = self.secrets.iter().position(|secret| secret.key() == own).unwrap();
        (0..4).filter(move |who| *who != place)
    }

    fn cast(&self, who: usize, kind: VoteKind, view: u64, header: Option<HeaderHash>) -> SignedVote {
        let circle = self.engine().circle();
        Vote { kind, circle, height: self.height, view, header }.cast(&self.secrets[who])
    }

    fn voices(&self, kind: VoteKind, view: u64, header: Option<HeaderHash>) -> Vec<(u8, Signature)> {
        self.others().map(|who| (who as u8, self.cast(who, kind, view, header).signature)).collect()
    }

    /// A witness is in view 2: the header was notarized in view 0, and view 1 was nullified.
    fn bundle_of_view_2(&self, who: usize) -> Bundle {
        let (header, cut) = self.opening.voted.clone().unwrap();
        let hash = Some(header.hash());
        // With the victim's two finalize it, and so it is not settled.
        let mut own = vec![self.cast(who, VoteKind::Notarize, 2, hash)];
        if self.others().next() == Some(who) {
            own.push(self.cast(who, VoteKind::Finalize, 0, hash));
        }
        own.sort_unstable();
        Bundle {
            height: self.height,
            key: self.secrets[who].key(),
            view: 2,
            certificate: None,
            notarization: Some(Notarization { view: 0, header, cut, voices: self.voices(VoteKind::Notarize, 0, hash) }),
            nullifications: vec![Nullification { view: 1, voices: self.voices(VoteKind::Nullify, 1, None) }],
            own,
            voted: None,
        }
    }

    /// The opening, and the same header proposed again in view 2.
    fn proposals(&self) -> Vec<Proposal> {
        let (header, cut) = self.opening.voted.clone().unwrap();
        let first = Bundle { voted: None, ..self.opening.clone() };
        let bundles = [first].into_iter().chain(self.others().map(|who| self.bundle_of_view_2(who)));
        bundles.map(|bundle| Proposal { header: header.clone(), cut: cut.clone(), bundle }).collect()
    }

    /// All that can be said truly by those who are not the victim.
    fn valid(&self) -> Vec<Votes> {
        let bundles = [self.opening.clone()].into_iter().chain(self.others().map(|who| self.bundle_of_view_2(who)));
        let bundles = bundles.map(|bundle| Votes::Bundle(Box::new(bundle)));
        bundles.chain(self.proposals().into_iter().map(|proposal| Votes::Proposal(Box::new(proposal)))).collect()
    }

    fn say(&mut self, bytes: &[u8]) {
        self.four.world.act(self.victim, |engine, now| engine.gossip(Topic::Witnesses, LIAR, bytes, now));
    }

    fn say_bundle(&mut self, bundle: Bundle) {
        self.say(&Votes::Bundle(Box::new(bundle)).to_bytes());
    }

    /// It settled nothing, keeps its vote, keeps at most one bundle of a witness and signed nothing that is evidence.
    fn assert_stands(&self) {
        let engine = self.engine();
        assert_eq!(engine.settlement().height + 1, self.height);
        assert!(!engine.is_vote_retired(), "the vote was given up");
        assert_eq!(engine.evidence(), []);
        let kept = engine.bundles();
        assert!(kept.len() <= 4 && kept.iter().all(|bundle| bundle.view <= 2), "{kept:?}");
        let told = |event: &Event| matches!(event, Event::VoteRetired(_) | Event::Evidence(_));
        assert!(!self.four.world.hosts[&self.victim].events.iter().any(told));
    }

    /// All are linked again, and settle.
    fn assert_well(mut self) {
        self.assert_stands();
        for who in [0, 3] {
            self.four.link(who);
        }
        self.four.all_settle(self.post, 240_000);
        let post = self.four.post(3, "all is well");
        self.four.all_settle(post, 60_000);
    }
}

#[test]
fn bundles_and_proposals_that_were_touched() {
    let mut siege = Siege::new(41);
    let valid: Vec<Vec<u8>> = siege.valid().iter().map(Votes::to_bytes).collect();
    assert!(valid.len() >= 6);
    besiege(&valid, ROUNDS, |bytes| {
        siege.say(bytes);
        siege.assert_stands();
    });
    siege.assert_well();
}

/// The votes in a bundle are signed; its view, its height and whose it is are not.
#[test]
fn nobody_else_makes_a_witness_give_its_vote_up() {
    let mut siege = Siege::new(42);
    let (key, height) = (siege.engine().vote_secret().unwrap().key(), siege.height);
    let other = siege.others().next().unwrap();
    let empty = Bundle {
        height,
        key,
        view: 9,
        certificate: None,
        notarization: None,
        nullifications: Vec::new(),
        own: Vec::new(),
        voted: None,
    };
    // It says nothing, of a view that nobody entered.
    siege.say_bundle(empty.clone());
    siege.assert_stands();
    // A later view that others did enter, from their votes alone.
    siege.say_bundle(Bundle { own: Vec::new(), key, ..siege.bundle_of_view_2(other) });
    siege.assert_stands();
    // A liar's own vote, at a later height.
    let later =
        Vote { kind: VoteKind::Nullify, circle: siege.engine().circle(), height: height + 1, view: 0, header: None };
    siege.say_bundle(Bundle { height: height + 1, own: vec![later.cast(&VoteSecret::from_secret([9; 32]))], ..empty });
    siege.assert_stands();
    siege.assert_well();
}

/// Whoever names a view that nobody entered takes no true bundle's place.
#[test]
fn a_made_up_view_pushes_no_bundle_out() {
    let mut siege = Siege::new(43);
    let true_one = siege.opening.clone();
    siege.say_bundle(Bundle { view: 1_000, own: Vec::new(), voted: None, ..true_one.clone() });
    siege.say_bundle(true_one.clone());
    assert_eq!(siege.engine().bundles(), [true_one]);
    siege.assert_well();
}

#[test]
fn other_heights_views_and_keys() {
    let mut siege = Siege::new(44);
    let mut dice = Dice::new(44);
    let (valid, keys) = (siege.valid(), siege.secrets.iter().map(VoteSecret::key).collect::<Vec<_>>());
    for round in 0..ROUNDS {
        let change = |bundle: &mut Bundle, dice: &mut Dice| match dice.below(6) {
            0 => bundle.height = bundle.height.wrapping_add_signed(dice.below(5) as i64 - 2),
            1 => bundle.view = [0, 1, 3, 64, u64::MAX][dice.below(5)],
            2 => bundle.key = keys[dice.below(4)],
            3 => bundle.nullifications.clear(),
            4 => bundle.own.iter_mut().for_each(|vote| vote.view += 1),
            _ => bundle.notarization = None,
        };
        let changed = match valid[round as usize % valid.len()].clone() {
            Votes::Bundle(mut bundle) => {
                change(&mut bundle, &mut dice);
                Votes::Bundle(bundle)
            }
            Votes::Proposal(mut proposal) => {
                match dice.below(4) {
                    0 => proposal.header.time = u64::MAX,
                    1 => {
                        proposal.cut.pop();
                        proposal.header.cut_hash = cut_hash(&proposal.cut);
                    }
                    _ => change(&mut proposal.bundle, &mut dice),
                }
                Votes::Proposal(proposal)
            }
            other => other,
        };
        siege.say(&changed.to_bytes());
        siege.assert_stands();
    }
    siege.assert_well();
}

/// What is true, and comes ten thousand times, touched or not: no more is kept or written of it than of it once.
#[test]
fn replays_in_a_flood() {
    let mut siege = Siege::new(45);
    let valid: Vec<Vec<u8>> = siege.valid().iter().map(Votes::to_bytes).collect();
    valid.iter().for_each(|bytes| siege.say(bytes));
    siege.assert_stands();
    let kept = |siege: &Siege| -> Vec<_> {
        let disk = &siege.four.world.hosts[&siege.victim].disk;
        assert!(disk.records.contains_key("bundle"), "it votes");
        let votes = siege.engine().bundles().into_iter().map(|bundle| (bundle.key, bundle.view, bundle.own));
        votes.map(|votes| (votes, disk.log.len(), disk.records.clone())).collect()
    };
    let once = kept(&siege);
    for seed in 0..2 * ROUNDS {
        let bytes = &valid[seed as usize % valid.len()];
        siege.say(bytes);
        siege.say(&mutate(bytes, seed));
    }
    assert_eq!(kept(&siege), once);
    siege.assert_well();
}

/// Whoever says again and again that there is more, and answers no question, holds no view up: they settle without its
/// leader as if nobody had spoken.
#[test]
fn who_is_asked_in_vain_holds_no_view_up() {
    let mut four = Four::elected(46, 4);
    four.unlink(3);
    let others = [four.all[0], four.all[1], four.all[2]];
    four.world.silent = Some(LIAR);
    for id in others {
        four.world.act(id, |engine, now| engine.connected(LIAR, now));
    }
    let (kind, header, key) = (VoteKind::Finalize, Some(HeaderHash([9; 32])), VoteSecret::from_secret([9; 32]).key());
    let vote = PlacedVote::of(&SignedVote { kind, view: 0, header, key, signature: Signature([9; 64]) }, 0);
    let later = Votes::Vote { height: 1_000, vote }.to_bytes();
    // Everybody leads in turn, who hears nobody too.
    for turn in 0..4 {
        let post = four.world.post(others[0], "a post");
        for _ in 0..60 {
            for id in others {
                four.world.act(id, |engine, now| engine.gossip(Topic::Witnesses, LIAR, &later, now));
            }
            four.world.pass(1_000);
        }
        assert_eq!(four.settled(&post)[..3], [true; 3], "turn {turn}");
    }
}
