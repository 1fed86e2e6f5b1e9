//! Proofs, each checked against what it is a proof under.

use super::proof_files::proof_file;
use super::samples::*;
use super::state::{Small, leaves, small_state};
use super::{Format, Frozen};
use crate::bytes::{CircleId, EntryId, HeaderHash, MemberId};
use crate::codec::{decode, encode};
use crate::entry::Anchor;
use crate::hostile::{Circle, Person};
use crate::keys::VoteSecret;
use crate::merkle::{ENTRIES, HISTORY, MAX_PATH};
use crate::proof::{EntryProof, ForkProof, HistoryProof, LightChain, StateProof, StateTree};
use crate::settle::{Certificate, Checkpoint, Header, Proof, VERSION, Witness, Witnesses};
use crate::state::StateKey;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

pub fn proofs() -> Vec<Format> {
    let Small { circle, state, .. } = small_state();
    let tree = StateTree::of(&state, circle.keys.state.circle_salt());
    let (root, prove) = (tree.root(), |key| tree.prove(key));
    let present = prove(StateKey::Member(circle.founder.member()));
    let absent = prove(StateKey::Member(MemberId([15; 32])));
    let moved = StateProof { key: StateKey::Member(MemberId([16; 32])), ..present.clone() };
    let state_proof = move |bytes: &[u8]| {
        let proof = StateProof::decode(bytes).map_err(why)?;
        proof.check(&root).map_err(why)?;
        Ok(proof.encode())
    };
    let order: Vec<EntryId> = leaves(9).iter().map(|leaf| EntryId(leaf.0)).collect();
    let entry = |place| encode(&EntryProof::new(&order, place));
    let hashes: Vec<HeaderHash> = leaves(9).iter().map(|leaf| HeaderHash(leaf.0)).collect();
    let history = |height| encode(&HistoryProof::new(&hashes, height, 9));
    vec![
        Format::new("state proof", Frozen(1), state_proof)
            .accepts("a member of the small circle of the topic state", present.encode())
            .accepts("no such member", absent.encode())
            .refuses("the first, of another member", moved.encode()),
        Format::new("entry proof", Frozen(1), check_entry)
            .accepts("that the header of nine entries 01, 02 … settled the fifth", entry(4)[1..].to_vec())
            .refuses("the sixth", entry(5)[1..].to_vec()),
        Format::new("history proof", Frozen(1), check_history)
            .accepts("that the header 05 is at height 4, before that at 9", history(4)[1..].to_vec())
            .refuses("of height 5", history(5)[1..].to_vec()),
        forks(),
        light_chain(),
        proof_file(Frozen(1)),
    ]
}

fn why(error: impl core::fmt::Debug) -> String {
    format!("{error:?}")
}

/// At height 9, over the nine entries and the nine headers 01, 02 …
fn nine() -> Header {
    let nine = leaves(9);
    let over = |tree: crate::merkle::Tree| tree.root(nine.iter().map(|leaf| &leaf.0));
    Header { height: 9, entries: 9, entries_root: over(ENTRIES), history_root: over(HISTORY), ..header() }
}

fn check_entry(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let proof: EntryProof = decode(bytes, MAX_PATH).map_err(why)?;
    proof.check(&nine(), &EntryId([5; 32])).map_err(why)?;
    Ok(encode(&proof))
}

fn check_history(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let proof: HistoryProof = decode(bytes, MAX_PATH).map_err(why)?;
    proof.check(&nine(), Anchor { height: 4, hash: HeaderHash([5; 32]) }).map_err(why)?;
    Ok(encode(&proof))
}

fn forks() -> Format {
    // Of another id than its genesis gives, so that a change of the genesis changes no fork.
    let circle = Circle { id: CIRCLE, ..Circle::new(1) };
    let id = circle.id;
    let signed = |text| {
        let mut person = Person::new(2);
        person.seq = 3;
        circle.post(&mut person, &[], text).signed
    };
    let (one, other) = (signed("one"), signed("other"));
    let fork = ForkProof::new(id, one, other).map(|proof| proof.encode()).unwrap_or_default();
    let read = move |bytes: &[u8]| {
        let proof = ForkProof::decode(bytes).map_err(why)?;
        proof.check(id).map_err(why)?;
        Ok(proof.encode())
    };
    let mut forged = fork.clone();
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    Format::new("fork", Frozen(1), read)
        .accepts("two entries of one seq, in circle 01", fork)
        .refuses("the same, a bit of a signature changed", forged)
}

/// From the genesis over a change of the witnesses at height 1 to height 3.
fn light_chain() -> Format {
    let circle = Circle::new(1);
    let genesis = circle.genesis.clone();
    let voter = VoteSecret::from_secret([5; 32]);
    let sole = |secret: &VoteSecret, device| {
        Witnesses::new(vec![Witness { device, vote_key: secret.key(), always_on: false }], None)
    };
    let (founder, next) = (Witnesses::of(&genesis), sole(&voter, genesis.device));
    let mut hashes = vec![HeaderHash(circle.id.0)];
    let mut proofs = Vec::new();
    for height in 1..=3 {
        let secret = if height == 1 { &circle.vote } else { &voter };
        let changes = (height == 1).then(|| next.clone());
        proofs.push(settled(circle.id, &mut hashes, secret, changes, &next));
    }
    let chain = LightChain::new(None, &proofs, &hashes).map(|chain| chain.encode()).unwrap_or_default();
    let headless = LightChain { start: None, links: Vec::new() };
    let by_the_old = Proof { witnesses: None, ..settled(circle.id, &mut hashes, &circle.vote, None, &founder) };
    let forged = LightChain::new(None, [&proofs[0], &by_the_old], &hashes).map(|chain| chain.encode());
    let read = move |bytes: &[u8]| {
        let chain = LightChain::decode(bytes).map_err(why)?;
        chain.check(&genesis, None).map_err(why)?;
        Ok(chain.encode())
    };
    Format::new("light chain", Frozen(1), read)
        .accepts("from the genesis: height 1 changes the witness, height 3 is the newest", chain)
        .accepts("none: nothing is settled", headless.encode())
        .refuses("the retired witness certifies the newest", forged.unwrap_or_default())
}

fn settled(
    circle: CircleId,
    hashes: &mut Vec<HeaderHash>,
    secret: &VoteSecret,
    changes: Option<Witnesses>,
    next: &Witnesses,
) -> Proof {
    let height = hashes.len() as u64;
    let header = Header {
        version: VERSION,
        circle,
        height,
        prev: hashes.last().copied().unwrap_or(HeaderHash(circle.0)),
        history_root: HISTORY.root(hashes.iter().map(|hash| &hash.0)),
        witnesses: next.hash(),
        ..header()
    };
    let hash = header.hash();
    hashes.push(hash);
    let vote = Certificate::vote(circle, height, 0, hash);
    let certificate = Certificate { header: hash, view: 0, votes: vec![(secret.key(), vote.sign(secret))] };
    Proof { checkpoint: Checkpoint { header, certificate }, cut: Vec::new(), witnesses: changes, renewal: None }
}
