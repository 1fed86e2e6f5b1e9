//! Conformance fixtures of what nodes say to each other: one topic more beside those of the ledger, in the same folder.

#[cfg(test)]
mod page;
#[cfg(test)]
mod probe;
mod stored;

use crate::join::Parcel;
use crate::store::EntryItem;
use crate::wire::{
    Answer, Ask, Brief, ClaimKeybox, Enlist, MAX_GOSSIP, No, Order, Place, PlacedVote, REGISTER, Range, Register,
    Settled, There, Topic as Gossip, Votes,
};
use ledgerno_ledger::bytes::{BoxKey, CircleId, DeviceId, EntryId, Hash, HeaderHash, Signature, VoteKey};
use ledgerno_ledger::codec::{self, encode};
use ledgerno_ledger::conformance::{self, Format, Frozen, Topic};
use ledgerno_ledger::entry::{Admission, Anchor, Head, Invite, Role};
use ledgerno_ledger::epoch::Handout;
use ledgerno_ledger::hostile::{Circle, Person};
use ledgerno_ledger::invite::InviteLink;
use ledgerno_ledger::proof::StateProof;
use ledgerno_ledger::settle::{
    Bundle, Certificate, Checkpoint, Header, Proof, Proposal, SignedVote, VoteKind, Witness, Witnesses, cut_hash,
};

/// All topics of the engine.
pub const TOPICS: &[Topic] = &[
    Topic {
        name: "wire",
        text: include_str!("../../ledger/conformance/wire.txt"),
        about: "What nodes say to each other, and what waits in a mailbox.",
        formats,
    },
    Topic {
        name: "stored",
        text: include_str!("../../ledger/conformance/stored.txt"),
        about: "What a node keeps: items of the log, and records by name.",
        formats: stored::formats,
    },
];

const CIRCLE: CircleId = CircleId([1; 32]);

fn formats() -> Vec<Format> {
    let device = DeviceId([10; 32]);
    let gossip = |topic: Gossip| topic.id(CIRCLE);
    let pinned = Anchor { height: 300, hash: HeaderHash([44; 32]) };
    let state_proof = frozen("state proof", StateProof::decode).into_iter();
    let question = Format::of("question", Frozen(1), ask, |ask: &Ask| framed(ask))
        .accepts("frontier", framed(&Ask::Frontier { digest: Hash([90; 32]), height: 300 }))
        .accepts("devices", framed(&Ask::Devices { bits: 5, buckets: vec![1, 300], nonce: [91; 16] }))
        .accepts("branches", framed(&Ask::Branches { device }))
        .accepts("ranges", framed(&Ask::Ranges(vec![Range { device, from: 2, to: 300 }])))
        .accepts("entries", framed(&Ask::Entries(vec![EntryId([11; 32])])))
        .accepts("headers", framed(&Ask::Headers { from: 300 }))
        .accepts("give", framed(&Ask::Give { entries: vec![Circle::new(1).founders_join()], proofs: Vec::new() }))
        .accepts("get a parcel", framed(&Ask::GetParcel { address: Hash([92; 32]) }))
        .accepts("knock", framed(&Ask::Knock(Box::new(admission()))))
        .accepts(
            "put a parcel",
            framed(&Ask::PutParcel { address: Hash([92; 32]), invite: invite(), parcel: vec![1, 2] }),
        )
        .accepts("bundles", framed(&Ask::Bundles))
        .accepts("put a keybox", framed(&Ask::PutKeybox { sealed: vec![1, 2] }))
        .accepts("settled history", framed(&Ask::Settled { from: 300, skip: 2, to: 400 }))
        .accepts("snapshot", framed(&Ask::Snapshot { pinned: Some(pinned), hash: Hash([93; 32]), at: 300 }))
        .accepts("left", framed(&Ask::Left { height: 300, proofs: state_proof.collect() }))
        .accepts("erased", framed(&Ask::Erased { bits: 1, buckets: vec![0, u64::MAX] }))
        .refuses("headers, as another kind", [&3_u16.to_be_bytes()[..], &encode(&Ask::Headers { from: 300 })].concat());
    let differ = Answer::Differ { height: 300, bits: 1, buckets: vec![1, u64::MAX] };
    let bundle = frozen("bundle", |bytes| codec::decode::<Bundle>(bytes, MAX_GOSSIP));
    let proposal = frozen("proposal", |bytes| codec::decode::<Proposal>(bytes, MAX_GOSSIP));
    let proof = frozen("proof", |bytes| codec::decode::<Proof>(bytes, MAX_GOSSIP));
    let settled = Settled { proof: None, entries: vec![EntryItem::new(&Circle::new(1).founders_join())] };
    let answer = Format::of("answer", Frozen(1), Answer::from_bytes, Answer::to_bytes)
        .accepts("same", encode(&Answer::Same { height: 300 }))
        .accepts("same, of an archive", encode(&Answer::SameKept { height: 300 }))
        .accepts("differ", encode(&differ))
        .accepts("devices", encode(&Answer::Devices(vec![Place { device, seq: 300, tag: 7 }])))
        .accepts("branches", encode(&Answer::Branches(vec![EntryId([11; 32])])))
        .accepts("entries", encode(&Answer::Entries { entries: vec![Circle::new(1).founders_join()], more: true }))
        .accepts("headers", encode(&Answer::Headers { proofs: Vec::new(), more: false }))
        .accepts("held", encode(&Answer::Held { entries: 3, refused: 1, height: 300 }))
        .accepts("kept", encode(&Answer::Kept))
        .accepts("parcel", encode(&Answer::Parcel(vec![1, 2])))
        .accepts("bundles", encode(&Answer::Bundles(bundle.iter().cloned().map(Box::new).collect())))
        .accepts("settled history", Answer::Settled(vec![settled]).to_bytes())
        .accepts("snapshot", encode(&Answer::Snapshot { hash: Hash([93; 32]), len: 300, chunk: vec![1, 2] }))
        .accepts("erased", encode(&Answer::Erased { buckets: vec![1], ids: vec![EntryId([11; 32])] }))
        .accepts("not kept", encode(&Answer::No(No::NotKept)))
        .accepts("no", encode(&Answer::No(No::NoParcel)));
    let vote = PlacedVote::of(&signed_vote(), 0);
    let votes = Format::of("votes", Frozen(1), Votes::from_bytes, Votes::to_bytes)
        .accepts("a vote", Votes::Vote { height: 300, vote }.to_bytes());
    let (settled, witnesses) = to_brief();
    let brief = Brief::of(&settled, &witnesses);
    let said = [
        ("an opening", brief.clone().map(|brief| Votes::Opening(Box::new(brief)))),
        ("a brief", brief.map(|brief| Votes::Brief(Box::new(brief)))),
        ("what is settled", proof.map(|proof| Votes::Proof(Box::new(proof)))),
        ("a proposal", proposal.map(|proposal| Votes::Proposal(Box::new(proposal)))),
        ("a bundle", bundle.map(|bundle| Votes::Bundle(Box::new(bundle)))),
    ];
    let said = said.into_iter().filter_map(|(told, votes)| Some((told, votes?)));
    let votes = said.fold(votes, |format, (told, votes)| format.accepts(told, votes.to_bytes()));
    let member = Person::new(3);
    let keeper = Person::new(2).device.id();
    let claim = member.identity.claim_keybox(keeper, member.device.id());
    let claim = ClaimKeybox { member: member.member(), claim };
    let sealed_keys = Handout { sealer: BoxKey([16; 32]), to: vec![(keeper, vec![1, 2])] };
    let vote_here = Order::Vote { admission: Box::new(admission()), keys: sealed_keys };
    let enlist = |order: Order| encode(&Enlist { token: "token".to_owned(), circle: CIRCLE, order });
    let there = |circle: CircleId| encode(&There::say(circle, &Person::new(3).device, 300));
    let register = Register { token: "token".to_owned(), genesis: Circle::new(1).genesis.encode() };
    vec![
        Format::values("gossip topic", Frozen(1))
            .value("entries, of the circle 01, 32 times", gossip(Gossip::Entries))
            .value("votes", gossip(Gossip::Votes))
            .value("presence", gossip(Gossip::Presence))
            .value("witnesses", gossip(Gossip::Witnesses)),
        votes,
        question,
        answer,
        Format::plain::<Register>("register", Frozen(1), 2_048).accepts("a circle, request kind 9", encode(&register)),
        Format::plain::<ClaimKeybox>("claim of a keybox", Frozen(1), 128).accepts("request kind 10", encode(&claim)),
        Format::plain::<Enlist>("enlist", Frozen(1), 65_536)
            .accepts("say the key, request kind 11", enlist(Order::SayKey))
            .accepts("vote", enlist(vote_here))
            .accepts("forget", enlist(Order::Forget)),
        Format::of("presence", Frozen(1), there_in, encode::<There>)
            .accepts("in the circle 01, at 300", there(CIRCLE))
            .refuses("of another circle", there(CircleId([2; 32]))),
        Format::values("request kind of register", Frozen(1)).value("as two bytes", REGISTER.to_be_bytes()),
        parcel(),
    ]
}

fn signed_vote() -> SignedVote {
    SignedVote {
        kind: VoteKind::Finalize,
        view: 2,
        header: Some(HeaderHash([44; 32])),
        key: VoteKey([31; 32]),
        signature: Signature([61; 64]),
    }
}

/// What four witnesses settled, by the votes of three.
fn certified() -> (Proof, Witnesses) {
    let key = |at: u8| VoteKey([31 + at; 32]);
    let witness = |at| Witness { device: DeviceId([10 + at; 32]), vote_key: key(at), always_on: false };
    let header = Header {
        version: 1,
        circle: CIRCLE,
        height: 300,
        prev: HeaderHash([44; 32]),
        proposer: DeviceId([11; 32]),
        time: 1_800_000_000_000,
        cut_hash: Hash([45; 32]),
        entries: 3,
        entries_root: Hash([46; 32]),
        history_root: Hash([47; 32]),
        state_root: Hash([48; 32]),
        witnesses: Hash([49; 32]),
    };
    let votes = [0, 2, 3].map(|at| (key(at), Signature([61 + at; 64]))).into();
    let certificate = Certificate { header: header.hash(), view: 2, votes };
    let cut = vec![Head { device: DeviceId([10; 32]), seq: 7, id: EntryId([12; 32]) }];
    let proof = Proof { checkpoint: Checkpoint { header, certificate }, cut, witnesses: None, renewal: None };
    (proof, Witnesses::new([0, 1, 2, 3].map(witness).into(), None))
}

/// The same, and its header says what can be left out.
fn to_brief() -> (Proof, Witnesses) {
    let (mut proof, witnesses) = certified();
    let Checkpoint { header, certificate } = &mut proof.checkpoint;
    (header.cut_hash, header.witnesses) = (cut_hash(&proof.cut), witnesses.hash());
    certificate.header = header.hash();
    (proof, witnesses)
}

/// A question as a fixture: its kind in two bytes, big end first, then what follows the circle.
fn framed(ask: &Ask) -> Vec<u8> {
    [&ask.kind().to_be_bytes()[..], &encode(ask)].concat()
}

fn ask(bytes: &[u8]) -> Result<Ask, String> {
    let (kind, rest) = bytes.split_first_chunk::<2>().ok_or("cut")?;
    Ask::from_bytes(u16::from_be_bytes(*kind), rest).map_err(|error| format!("{error:?}"))
}

/// A guest's admission, by an invite.
fn admission() -> Admission {
    let mut circle = Circle::new(1);
    let (secret, invite, _) = circle.invite(2);
    let guest = Person::new(3);
    let invited = secret.invited(circle.id, guest.member(), guest.device.id(), invite);
    guest.identity.admit(circle.id, &guest.device, Role::Write, Some(invited))
}

fn invite() -> Invite {
    Circle::new(1).invite(2).1
}

/// The first of a format that the ledger's own fixtures accept.
fn frozen<T, E>(name: &str, decode: impl Fn(&[u8]) -> Result<T, E>) -> Option<T> {
    let formats = conformance::TOPICS.iter().flat_map(|topic| (topic.formats)());
    let format = formats.into_iter().find(|format| format.name == name)?;
    format.accepted().next().and_then(|bytes| decode(bytes).ok())
}

fn there_in(bytes: &[u8]) -> Result<There, String> {
    let there = codec::decode::<There>(bytes, 128).map_err(|error| format!("{error:?}"))?;
    if there.holds(CIRCLE) { Ok(there) } else { Err("the signature does not hold".to_owned()) }
}

/// What a mailbox keeps, opened by the invite's secret and read; sealed again it must give the same bytes.
fn parcel() -> Format {
    let mut circle = Circle::new(1);
    let (secret, invite, _) = circle.invite(2);
    let pinned = Anchor { height: 0, hash: HeaderHash(circle.id.0) };
    let link = InviteLink { version: 1, secret: *secret.secret(), circle: circle.id, relays: Vec::new(), pinned };
    let parcel = |circle: &Circle| {
        let keys = circle.keys.clone();
        encode(&Parcel { genesis: circle.genesis.encode(), keys, invite, by: "Ann".to_owned(), later: Vec::new() })
    };
    let sealed = |plain: &[u8]| secret.seal([27; 24], plain).unwrap_or_default();
    let (valid, foreign) = (sealed(&parcel(&circle)), sealed(&parcel(&Circle::new(2))));
    let cut = sealed(&parcel(&circle)[1..]);
    let read = move |bytes: &[u8]| {
        let (parcel, _) = Parcel::open(&link, bytes).map_err(|error| format!("{error:?}"))?;
        let nonce = *bytes.first_chunk().ok_or("cut")?;
        link.invite_secret().seal(nonce, &encode(&parcel)).map_err(|error| format!("{error:?}"))
    };
    Format::new("parcel", Frozen(1), read)
        .accepts("for the invite of the topic entry, nonce 1b", valid)
        .refuses("of another circle", foreign)
        .refuses("rightly sealed, cut inside", cut)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::probe::kinds;
    use super::*;
    use crate::wire::Before;
    use ledgerno_ledger::conformance::check_or_write;
    use std::collections::BTreeSet;

    /// A message that is added without a fixture fails here.
    #[test]
    fn every_message_has_a_fixture() {
        let formats = formats();
        let accepted = |name: &str, at: usize| -> usize {
            let format = formats.iter().find(|format| format.name == name).unwrap();
            format.accepted().map(|bytes| bytes[at]).collect::<BTreeSet<u8>>().len()
        };
        assert_eq!(accepted("question", 2), kinds::<Ask>().len());
        assert_eq!(accepted("answer", 0), kinds::<Answer>().len());
        assert_eq!(accepted("votes", 0), kinds::<Votes>().len());
        // Behind the token and the circle.
        assert_eq!(accepted("enlist", 6 + 32), kinds::<Order>().len());
    }

    #[test]
    fn a_brief_gives_its_proof_again_to_who_knows_the_witnesses() {
        let (proof, witnesses) = to_brief();
        let brief = Brief::of(&proof, &witnesses).unwrap();
        let Header { circle, prev, history_root, .. } = proof.checkpoint.header;
        let before = Before { circle, prev, history_root };
        assert_eq!(brief.clone().proof(before, &witnesses), Some(proof.clone()));
        assert!(encode(&brief).len() + 3 * 31 + 7 * 32 <= encode(&proof).len(), "places for keys, and what is known");
        let other = brief.clone().proof(Before { prev: HeaderHash([9; 32]), ..before }, &witnesses).unwrap();
        assert_ne!(other.checkpoint.certificate.header, proof.checkpoint.certificate.header, "over another history");
        let fewer = Witnesses::new(witnesses.all()[..3].to_vec(), None);
        assert_eq!(brief.proof(before, &fewer), None, "a place that there is not");
        assert_eq!(Brief::of(&proof, &fewer), None, "a vote of another");
        let sole = Witnesses::new(witnesses.all()[..1].to_vec(), None);
        assert_eq!(Brief::of(&proof, &sole), None, "a sole witness is named in full");
        let changes = Proof { witnesses: Some(fewer), ..proof };
        assert_eq!(Brief::of(&changes, &witnesses), None, "who votes next is said in full");
    }

    #[test]
    fn a_vote_by_place_is_its_witnesss_vote() {
        let (witnesses, vote) = (certified().1, signed_vote());
        let placed = PlacedVote::of(&vote, witnesses.place(&vote.key).unwrap());
        assert_eq!(placed.vote(&witnesses), Some(vote));
        assert_eq!(PlacedVote::of(&vote, 4).vote(&witnesses), None, "a place that there is not");
    }

    #[test]
    fn the_fixtures_hold() {
        check_or_write(TOPICS, concat!(env!("CARGO_MANIFEST_DIR"), "/../ledger/conformance")).unwrap();
    }
}
