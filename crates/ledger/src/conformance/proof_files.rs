//! Proof files of a small circle, whose first header settles all there is.

use super::samples::header;
use super::state::{Small, small_state, small_state_with};
use super::{Format, Standing};
use crate::bytes::{EntryId, Hash, HeaderHash, MemberId};
use crate::hash::{context, hash};
use crate::hostile::Person;
use crate::keys::VoteSecret;
use crate::merkle::{ENTRIES, HISTORY};
use crate::proof::{
    Author, Claim, EntryClaim, EntryProof, FILE_VERSION, ForkClaim, ForkProof, LightChain, MAGIC, Opened, ProofFile,
    StampClaim, StateTree,
};
use crate::seal::BodyKey;
use crate::settle::{Certificate, Checkpoint, Header, Proof, Witnesses};
use crate::state::StateKey;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

pub fn proof_file(standing: Standing) -> Format {
    let (told, document) = (Told::of(small_state()), Hash([88; 32]));
    let stamped = Told::of(small_state_with(document));
    let founder_only = [stamped.small.circle.founder.member()];
    let both = [stamped.small.guest.member(), founder_only[0]];
    let header = told.file(Claim::Header).encode();
    let founder = told.small.circle.founder.member();
    let mut damaged = header.clone();
    damaged[40] ^= 1;
    let (mut newer, mut cut) = (header.clone(), header.clone());
    newer[MAGIC.len()] = FILE_VERSION + 1;
    cut.truncate(MAGIC.len() - 1);
    let forged = told.by(&VoteSecret::from_secret([5; 32]));
    Format::new("proof file", standing, read)
        .accepts("that the first header is settled", header)
        .accepts("that the founder is a member", told.member(founder))
        .accepts("that nobody of this key is a member", told.member(MemberId([15; 32])))
        .accepts("that the guest thanked the founder, opened", told.entry(true))
        .accepts("the same, sealed", told.entry(false))
        .accepts("that a device forked, in no header", told.fork(false))
        .accepts("that a device of the guest forked", told.fork(true))
        .accepts("that the guest stamped the document 58 and the founder vouched", stamped.stamp(document, &both))
        .refuses("the same without who stamped it", stamped.stamp(document, &founder_only))
        .refuses("that nobody stamped the document 59", stamped.stamp(Hash([89; 32]), &[]))
        .refuses("the first, a byte changed", damaged.clone())
        .refuses("the first, a byte changed and the checksum made anew", summed(damaged))
        .refuses("of another version", summed(newer))
        .refuses("not even its first word", cut)
        .refuses("settled by who is no witness", forged.encode())
}

fn read(bytes: &[u8]) -> Result<Vec<u8>, String> {
    ProofFile::verify(bytes).map_err(|error| format!("{error:?}"))?;
    ProofFile::decode(bytes).map(|file| file.encode()).map_err(|error| format!("{error:?}"))
}

/// With the right checksum again.
fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len().saturating_sub(32));
    let checksum = hash(context::PROOF_FILE, &[&bytes]);
    bytes.extend_from_slice(&checksum);
    bytes
}

struct Told {
    small: Small,
    tree: StateTree,
    order: Vec<EntryId>,
    header: Header,
}

impl Told {
    fn of(small: Small) -> Self {
        let circle = &small.circle;
        let tree = StateTree::of(&small.state, circle.keys.state.circle_salt());
        let order: Vec<EntryId> = small.entries.iter().map(|packed| packed.signed.entry.id(circle.id)).collect();
        let header = Header {
            circle: circle.id,
            height: 1,
            prev: HeaderHash(circle.id.0),
            proposer: circle.genesis.device,
            entries: order.len() as u32,
            entries_root: ENTRIES.root(order.iter().map(|id| &id.0)),
            history_root: HISTORY.root([&circle.id.0]),
            state_root: tree.root(),
            witnesses: Witnesses::of(&circle.genesis).hash(),
            ..header()
        };
        Told { small, tree, order, header }
    }

    fn file(&self, claim: Claim) -> ProofFile {
        ProofFile { claim, ..self.by(&self.small.circle.vote) }
    }

    /// That the header is settled by this vote.
    fn by(&self, secret: &VoteSecret) -> ProofFile {
        let (circle, hash) = (&self.small.circle, self.header.hash());
        let vote = Certificate::vote(circle.id, 1, 0, hash);
        let certificate = Certificate { header: hash, view: 0, votes: vec![(secret.key(), vote.sign(secret))] };
        let checkpoint = Checkpoint { header: self.header.clone(), certificate };
        let proof = Proof { checkpoint, cut: Vec::new(), witnesses: None, renewal: None };
        let chain = LightChain::new(None, [&proof], &[HeaderHash(circle.id.0), hash]);
        let none = LightChain { start: None, links: Vec::new() };
        ProofFile { genesis: circle.genesis.clone(), chain: chain.unwrap_or(none), claim: Claim::Header }
    }

    fn member(&self, id: MemberId) -> Vec<u8> {
        self.file(Claim::Member(Box::new(self.tree.prove(StateKey::Member(id))))).encode()
    }

    fn stamp(&self, document: Hash, named: &[MemberId]) -> Vec<u8> {
        let members = named.iter().map(|member| self.tree.prove(StateKey::Member(*member))).collect();
        self.file(Claim::Stamp(Box::new(StampClaim { stamp: self.tree.prove(StateKey::Stamp(document)), members })))
            .encode()
    }

    /// The last entry: the guest thanks the founder.
    fn entry(&self, opened: bool) -> Vec<u8> {
        let Some(packed) = self.small.entries.last() else { return Vec::new() };
        let Some(place) = EntryProof::new(&self.order, self.order.len() - 1) else { return Vec::new() };
        let body = packed.body.clone().unwrap_or_default();
        let key = BodyKey::of_body(&self.small.circle.keys.state, &body);
        let author = self.guest();
        let opened = key.filter(|_| opened).map(|key| Opened { body, key, reason: None });
        let claim = EntryClaim { signed: packed.signed.clone(), author, settled: None, place, opened };
        self.file(Claim::Entry(Box::new(claim))).encode()
    }

    fn guest(&self) -> Author {
        Author {
            device: self.tree.prove(StateKey::Device(self.small.guest.device.id())),
            member: self.tree.prove(StateKey::Member(self.small.guest.member())),
        }
    }

    fn fork(&self, with_author: bool) -> Vec<u8> {
        let circle = &self.small.circle;
        let seed = if with_author { 3 } else { 2 };
        let signed = |text| circle.post(&mut Person::new(seed), &[], text).signed;
        let Some(fork) = ForkProof::new(circle.id, signed("one"), signed("other")) else { return Vec::new() };
        let file = self.file(Claim::Fork(Box::new(ForkClaim { fork, author: with_author.then(|| self.guest()) })));
        let none = LightChain { start: None, links: Vec::new() };
        if with_author { file.encode() } else { ProofFile { chain: none, ..file }.encode() }
    }
}
