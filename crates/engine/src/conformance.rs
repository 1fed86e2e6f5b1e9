//! Conformance fixtures of what nodes say to each other: one topic more beside those of the ledger, in the same folder.

use crate::join::Parcel;
use crate::wire::{
    Answer, Ask, Brief, MAX_ANSWER, No, Place, REGISTER, Range, Register, Settled, Topic as Gossip, Votes,
};
use ledgerno_ledger::bytes::{CircleId, DeviceId, EntryId, Hash, HeaderHash, Signature, VoteKey};
use ledgerno_ledger::codec::encode;
use ledgerno_ledger::conformance::{Draft, Format, Frozen, Topic};
use ledgerno_ledger::entry::{Anchor, Head};
use ledgerno_ledger::hostile::Circle;
use ledgerno_ledger::invite::InviteLink;
use ledgerno_ledger::settle::{Certificate, Checkpoint, Header, Proof, SignedVote, VoteKind, Witness, Witnesses};

/// All topics of the engine.
pub const TOPICS: &[Topic] = &[Topic {
    name: "wire",
    text: include_str!("../../ledger/conformance/wire.txt"),
    about: "What nodes say to each other, and what waits in a mailbox.",
    formats,
}];

const CIRCLE: CircleId = CircleId([1; 32]);

fn formats() -> Vec<Format> {
    let device = DeviceId([10; 32]);
    let gossip = |topic: Gossip| topic.id(CIRCLE);
    let question = Format::of("question", Draft, ask, |ask: &Ask| framed(ask))
        .accepts("frontier", framed(&Ask::Frontier { digest: Hash([90; 32]), height: 300 }))
        .accepts("devices", framed(&Ask::Devices { bits: 5, buckets: vec![1, 300], nonce: [91; 16] }))
        .accepts("branches", framed(&Ask::Branches { device }))
        .accepts("ranges", framed(&Ask::Ranges(vec![Range { device, from: 2, to: 300 }])))
        .accepts("entries", framed(&Ask::Entries(vec![EntryId([11; 32])])))
        .accepts("headers", framed(&Ask::Headers { from: 300 }))
        .accepts("give", framed(&Ask::Give { entries: vec![Circle::new(1).founders_join()], proofs: Vec::new() }))
        .accepts("get a parcel", framed(&Ask::GetParcel { address: Hash([92; 32]) }))
        .accepts("settled history", framed(&Ask::Settled { from: 300, skip: 2, to: 400 }))
        .refuses("headers, as another kind", [&3_u16.to_be_bytes()[..], &encode(&Ask::Headers { from: 300 })].concat());
    let differ = Answer::Differ { height: 300, bits: 1, buckets: vec![1, u64::MAX] };
    let settled = Settled { proof: None, entries: vec![Circle::new(1).founders_join()] };
    let answer = Format::plain::<Answer>("answer", Draft, MAX_ANSWER)
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
        .accepts("settled history", encode(&Answer::Settled(vec![settled])))
        .accepts("no", encode(&Answer::No(No::NoParcel)));
    let vote = SignedVote {
        kind: VoteKind::Finalize,
        view: 2,
        header: Some(HeaderHash([44; 32])),
        key: VoteKey([31; 32]),
        signature: Signature([61; 64]),
    };
    let mut votes = Format::of("votes", Draft, Votes::from_bytes, Votes::to_bytes)
        .accepts("a vote", Votes::Vote { height: 300, vote }.to_bytes());
    let (proof, witnesses) = certified();
    if let Some(brief) = Brief::of(&proof, &witnesses) {
        votes = votes.accepts("a brief", Votes::Brief(Box::new(brief)).to_bytes());
    }
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
        Format::plain::<Register>("register", Draft, 2_048).accepts("a circle, request kind 9", encode(&register)),
        Format::values("request kind of register", Draft).value("as two bytes", REGISTER.to_be_bytes()),
        parcel(),
    ]
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

/// A question as a fixture: its kind in two bytes, big end first, then what follows the circle.
fn framed(ask: &Ask) -> Vec<u8> {
    [&ask.kind().to_be_bytes()[..], &encode(ask)].concat()
}

fn ask(bytes: &[u8]) -> Result<Ask, String> {
    let (kind, rest) = bytes.split_first_chunk::<2>().ok_or("cut")?;
    Ask::from_bytes(u16::from_be_bytes(*kind), rest).map_err(|error| format!("{error:?}"))
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
    Format::new("parcel", Draft, read)
        .accepts("for the invite of the topic entry, nonce 1b", valid)
        .refuses("of another circle", foreign)
        .refuses("rightly sealed, cut inside", cut)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use ledgerno_ledger::conformance::check_or_write;

    #[test]
    fn a_brief_gives_its_proof_again_to_who_knows_the_witnesses() {
        let (proof, witnesses) = certified();
        let brief = Brief::of(&proof, &witnesses).unwrap();
        assert_eq!(brief.clone().proof(&witnesses), Some(proof.clone()));
        assert!(encode(&brief).len() + 3 * 31 + 32 <= encode(&proof).len(), "places for keys");
        let fewer = Witnesses::new(witnesses.all()[..3].to_vec(), None);
        assert_eq!(brief.proof(&fewer), None, "a place that there is not");
        assert_eq!(Brief::of(&proof, &fewer), None, "a vote of another");
        let sole = Witnesses::new(witnesses.all()[..1].to_vec(), None);
        assert_eq!(Brief::of(&proof, &sole), None, "a sole witness is named in full");
        let changes = Proof { witnesses: Some(fewer), ..proof };
        assert_eq!(Brief::of(&changes, &witnesses), None, "who votes next is said in full");
    }

    #[test]
    fn the_fixtures_hold() {
        check_or_write(TOPICS, concat!(env!("CARGO_MANIFEST_DIR"), "/../ledger/conformance")).unwrap();
    }
}
