//! The fourth witness, which lies: what it hears, and what it makes of that with its own vote key. It may say anything to
//! anybody, and signs for nobody else.

use super::circle::{Scene, Siege, honestly};
use super::script::Script;
use ledgerno_engine::wire::{Answer, Ask, Brief, PlacedVote, Topic, Votes};
use ledgerno_ledger::bytes::{Hash, HeaderHash};
use ledgerno_ledger::entry::Head;
use ledgerno_ledger::settle::{
    Bundle, Certificate, Checkpoint, Header, Proof, Proposal, SignedVote, Vote, VoteKind, cut_hash,
};

/// So many of the newest messages and bundles are remembered.
const REMEMBERED: usize = 48;
/// The views that are named.
const VIEWS: [u64; 16] = [0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 8, 9, 64, u64::MAX - 1, u64::MAX];

/// What was said.
#[derive(Default)]
pub struct Ear {
    pub said: Vec<(Topic, Vec<u8>)>,
    bundles: Vec<Bundle>,
}

impl Ear {
    pub fn hear(&mut self, topic: Topic, bytes: Vec<u8>) {
        if self.said.len() == REMEMBERED {
            self.said.remove(0);
        }
        self.said.push((topic, bytes));
    }

    pub fn hear_bundle(&mut self, bundle: Bundle) {
        if self.bundles.contains(&bundle) {
            return;
        }
        if self.bundles.len() == REMEMBERED {
            self.bundles.remove(0);
        }
        self.bundles.push(bundle);
    }

    /// By age, the newest first.
    fn bundle(&self, age: u8) -> Option<&Bundle> {
        self.bundles.iter().rev().nth(usize::from(age).checked_rem(self.bundles.len())?)
    }

    fn header(&self, age: u8) -> Option<(&Header, &[Head])> {
        let all: Vec<_> = self.bundles.iter().rev().flat_map(Bundle::headers).collect();
        all.get(usize::from(age).checked_rem(all.len())?).copied()
    }
}

/// One vote, of any height near the target's, view and header.
pub fn vote(siege: &Siege, to: usize, script: &mut Script) -> Option<Votes> {
    let near = [0, 0, 0, 0, 0, 0, 1, -1][usize::from(script.byte() % 8)];
    let height = (siege.engine(to).settlement().height + 1).checked_add_signed(near)?;
    let vote = cast(siege, height, script);
    let place = siege.scene.witnesses.place(&vote.key)?;
    Some(Votes::Vote { height, vote: PlacedVote::of(&vote, place) })
}

/// A vote that nobody there can check: whoever hears it asks for what is before it.
pub fn of_a_later_height(scene: &Scene) -> Votes {
    let (kind, circle, height) = (VoteKind::Nullify, scene.circle, 1_000_000);
    let vote = Vote { kind, circle, height, view: 0, header: None }.cast(&scene.liar);
    Votes::Vote { height, vote: PlacedVote::of(&vote, 0) }
}

fn cast(siege: &Siege, height: u64, script: &mut Script) -> SignedVote {
    let kind = [VoteKind::Notarize, VoteKind::Finalize, VoteKind::Nullify][usize::from(script.byte() % 3)];
    let view = VIEWS[usize::from(script.byte() % 16)];
    let header = (kind != VoteKind::Nullify).then(|| some_header(siege, script.byte()));
    Vote { kind, circle: siege.scene.circle, height, view, header }.cast(&siege.scene.liar)
}

/// One that was said, or that nobody knows.
fn some_header(siege: &Siege, at: u8) -> HeaderHash {
    let known = siege.ear.header(at).filter(|_| at < 240);
    known.map_or(HeaderHash([at; 32]), |(header, _)| header.hash())
}

/// An honest witness's bundle under the liar's name, with its own votes, or under the name that it had.
pub fn bundle(siege: &Siege, script: &mut Script) -> Option<Bundle> {
    let mut bundle = siege.ear.bundle(script.byte())?.clone();
    let drops = script.byte();
    if drops & 1 != 0 {
        bundle.notarization = None;
    }
    if drops & 2 != 0 {
        bundle.nullifications.pop();
    }
    if drops & 4 != 0 {
        bundle.certificate = None;
    }
    if drops & 8 != 0 {
        bundle.view = VIEWS[usize::from(script.byte() % 16)];
    }
    if drops & 16 != 0 {
        bundle.height = bundle.height.wrapping_add_signed(i64::from(script.byte() as i8));
    }
    if drops & 32 != 0 {
        bundle.own.pop();
        return Some(bundle);
    }
    bundle.key = siege.scene.liar.key();
    bundle.voted = None;
    bundle.own = (0..drops >> 6).map(|_| cast(siege, bundle.height, script)).collect();
    if drops & 4 == 0
        && let Some((header, cut)) = siege.ear.header(script.byte())
    {
        bundle.own.push(notarizes(siege.scene, &bundle, header.hash()));
        bundle.voted = Some((header.clone(), cut.to_vec()));
    }
    bundle.own.sort_unstable();
    Some(bundle)
}

fn notarizes(scene: &Scene, bundle: &Bundle, hash: HeaderHash) -> SignedVote {
    let (kind, circle, header) = (VoteKind::Notarize, scene.circle, Some(hash));
    Vote { kind, circle, height: bundle.height, view: bundle.view, header }.cast(&scene.liar)
}

/// A header put to the vote by the liar, true or altered, with what justifies it or not; as a proposal, or as an opening.
pub fn proposal(siege: &Siege, script: &mut Script) -> Option<Votes> {
    let (header, cut) = siege.ear.header(script.byte())?;
    let (mut header, mut cut) = (header.clone(), cut.to_vec());
    let (how, shape) = (script.byte(), script.byte());
    match how % 10 {
        0 => header.time = u64::MAX,
        1 => header.time += 1,
        2 => header.time = 0,
        3 => drop(cut.pop()),
        4 => header.state_root = Hash([how; 32]),
        5 => header.entries_root = Hash([how; 32]),
        6 => header.entries ^= 1,
        7 => header.height += 1,
        _ => {}
    }
    if shape & 1 != 0 {
        header.proposer = siege.scene.liars_device();
    }
    header.cut_hash = cut_hash(&cut);
    let hash = header.hash();
    if shape & 2 != 0 {
        let vote = Bundle { height: header.height, view: 0, ..siege.ear.bundle(0)?.clone() };
        let vote = notarizes(siege.scene, &vote, hash);
        let certificate = Certificate { header: hash, view: 0, votes: vec![(vote.key, vote.signature)] };
        let proof = Proof { checkpoint: Checkpoint { header, certificate }, cut, witnesses: None, renewal: None };
        return Some(Votes::Opening(Box::new(Brief::of(&proof, &siege.scene.witnesses)?)));
    }
    let mut bundle = Bundle { key: siege.scene.liar.key(), voted: None, ..siege.ear.bundle(script.byte())?.clone() };
    if shape & 4 != 0 {
        bundle.view = VIEWS[usize::from(script.byte() % 16)];
    }
    if shape & 8 != 0 {
        bundle.notarization = None;
    }
    bundle.own = vec![notarizes(siege.scene, &bundle, hash)];
    Some(Votes::Proposal(Box::new(Proposal { header, cut, bundle })))
}

/// A header as settled, by votes that were cast for something else and the liar's own.
pub fn settled(siege: &Siege, script: &mut Script) -> Option<Votes> {
    let (header, cut) = siege.ear.header(script.byte())?;
    let (hash, view) = (header.hash(), VIEWS[usize::from(script.byte() % 16)]);
    let finalize =
        Vote { kind: VoteKind::Finalize, circle: siege.scene.circle, height: header.height, view, header: Some(hash) };
    let own = finalize.cast(&siege.scene.liar);
    let votes = siege.ear.bundles.iter().flat_map(|bundle| &bundle.own).filter(|vote| vote.header == Some(hash));
    let mut votes: Vec<_> = votes.map(|vote| (vote.key, vote.signature)).collect();
    votes.push((own.key, own.signature));
    votes.sort_unstable();
    if script.byte().is_multiple_of(2) {
        votes.dedup_by_key(|(key, _)| *key);
    }
    let checkpoint = Checkpoint { header: header.clone(), certificate: Certificate { header: hash, view, votes } };
    let proof = Proof { checkpoint, cut: cut.to_vec(), witnesses: None, renewal: None };
    match Brief::of(&proof, &siege.scene.witnesses).filter(|_| script.byte().is_multiple_of(2)) {
        Some(brief) => Some(Votes::Brief(Box::new(brief))),
        None => Some(Votes::Proof(Box::new(proof))),
    }
}

/// An answer to what it was asked, or to something else.
pub fn answer(siege: &Siege, ask: &Ask, script: &mut Script) -> Option<Answer> {
    match script.byte() % 4 {
        0 => None,
        1 => Some(honestly(siege, ask)),
        _ => {
            let bundles = (0..script.byte() % 6).filter_map(|_| bundle(siege, script));
            Some(Answer::Bundles(bundles.map(Box::new).collect()))
        }
    }
}

/// A question, or what it gives unasked.
pub fn ask(siege: &Siege, script: &mut Script) -> Ask {
    match script.byte() % 3 {
        0 => Ask::Bundles,
        1 => Ask::Headers { from: script.byte().into() },
        _ => {
            let proof = match settled(siege, script) {
                Some(Votes::Proof(proof)) => Some(*proof),
                _ => None,
            };
            Ask::Give { entries: Vec::new(), proofs: proof.into_iter().collect() }
        }
    }
}
