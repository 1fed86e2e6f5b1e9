//! What was taken in by hash is shown at once, and given to nobody till its signatures and its header's votes are checked.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/alone.rs"]
mod alone;
mod common;
#[path = "common/story.rs"]
mod story;

use alone::Alone;
use common::RELAY;
use ledgerno_engine::status::Status;
use ledgerno_engine::view::Content;
use ledgerno_engine::wire::{Answer, Ask, No, Topic};
use ledgerno_engine::{Event, ProveError};
use ledgerno_ledger::bytes::{DeviceId, EntryId};
use ledgerno_ledger::check::{Refused, Signer};
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::{Head, Packed};
use ledgerno_ledger::settle::{Proof, Refusal};
use story::{Story, check_all, eager, spoil_votes};

/// The heights that one gives on, asked in both ways; none for later.
fn given(alone: &mut Alone, by: DeviceId, from: u64) -> [Option<Vec<u64>>; 2] {
    [Ask::Headers { from }, Ask::Settled { from, skip: 0, to: 1_000 }].map(|ask| match alone.ask(by, ask) {
        Some(Answer::Headers { proofs, more: false }) => Some(proofs.iter().map(Proof::height).collect()),
        Some(Answer::Settled(came)) => Some(came.iter().map(|one| one.proof.as_ref().unwrap().height()).collect()),
        Some(Answer::No(No::Busy)) => None,
        other => panic!("{other:?}"),
    })
}

#[test]
fn votes_within_a_run_are_checked_later_but_before_they_are_given_on() {
    let story = Story::new().tell(99, 2, 20);
    let (mut relay, mut reader) = (story.relay(), story.reader(eager()));
    let by = story.friends.friend.device.id();
    story.read(&mut reader, &mut relay);
    assert_eq!((reader.engine.settlement().height, reader.engine.withheld()), (100, 99));
    assert_eq!(given(&mut reader, by, 1), [None, None]);
    reader.engine = reader.reopen().unwrap();
    assert_eq!((reader.engine.withheld(), given(&mut reader, by, 1)), (99, [None, None]));
    check_all(&mut reader);
    assert_eq!((reader.engine.withheld(), reader.engine.refusals().len()), (0, 0));
    let all: Vec<u64> = (1..=100).collect();
    assert_eq!(given(&mut reader, by, 1), [Some(all.clone()), Some(all)]);
}

#[test]
fn a_header_whose_votes_do_not_hold_stands_by_a_later_one_and_is_not_given_on() {
    let story = Story::new().tell(99, 2, 20);
    let (mut relay, mut reader) = (story.relay(), story.reader(eager()));
    let by = story.friends.friend.device.id();
    reader.act(|engine, now| engine.connected(RELAY, now));
    while !reader.asks.is_empty() {
        let (_, no, ask) = reader.asks.remove(0);
        let mut answer = relay.ask(story.reader.device.id(), ask);
        if let Some(Answer::Settled(came)) = &mut answer {
            came.iter_mut()
                .filter(|one| [70, 90].contains(&one.proof.as_ref().unwrap().height()))
                .for_each(spoil_votes);
        }
        reader.act(|engine, now| engine.answered(no, answer, now));
    }
    let theirs = relay.engine.settlement();
    let holds = |reader: &mut Alone| {
        let ours = reader.engine.settlement();
        assert_eq!((ours.height, ours.header), (theirs.height, theirs.header));
        assert!(ours.state_root.is_some());
    };
    holds(&mut reader);
    reader.engine = reader.reopen().unwrap();
    check_all(&mut reader);
    assert!(matches!(reader.engine.refusals(), [(70, Refusal::BadCertificate(_))]), "{:?}", reader.engine.refusals());
    for _ in 0..2 {
        holds(&mut reader);
        let below: Vec<u64> = (1..70).collect();
        assert_eq!(given(&mut reader, by, 1), [Some(below.clone()), Some(below)]);
        assert_eq!(given(&mut reader, by, 70), [Some(Vec::new()), Some(Vec::new())]);
        assert_eq!(given(&mut reader, by, 90), [Some(Vec::new()), Some(Vec::new())]);
        reader.engine = reader.reopen().unwrap();
    }
}

#[test]
fn what_is_not_checked_is_given_to_nobody() {
    let story = Story::new().tell(8, 4, 20);
    let (mut relay, mut reader) = (story.relay(), story.reader(eager()));
    story.read(&mut reader, &mut relay);
    let by = story.friends.friend.device.id();
    let ids: Vec<EntryId> = story.friends.entries.iter().map(|packed| story.friends.id(packed)).collect();
    let asks = || [story.all(), Ask::Entries(ids[5..9].to_vec()), Ask::Settled { from: 1, skip: 0, to: 9 }];
    for restart in [false, true] {
        if restart {
            reader.engine = reader.reopen().unwrap();
        }
        assert_eq!(reader.engine.unchecked(), 36);
        for ask in asks() {
            assert_eq!(reader.ask(by, ask), Some(Answer::No(No::Busy)));
        }
        assert!(!reader.engine.bring(&ids[6]));
        assert_eq!(reader.engine.prove_entry(&ids[6], false).err(), Some(ProveError::NotHeld));
    }
    check_all(&mut reader);
    for ask in asks() {
        let given = match reader.ask(by, ask) {
            Some(Answer::Entries { entries, .. }) => entries.len(),
            Some(Answer::Settled(came)) => came.iter().map(|one| one.entries.len()).sum(),
            answer => panic!("{answer:?}"),
        };
        assert!(given >= 4, "{given} entries");
    }
    assert!(reader.engine.bring(&ids[6]));
    assert!(reader.engine.prove_entry(&ids[6], false).is_ok());
}

/// The heads that the entry names which a reader writes now.
fn approved(reader: &mut Alone, text: &str) -> Vec<Head> {
    reader.published.clear();
    reader.act(|engine, now| engine.post(text, now)).unwrap();
    let (_, bytes) = reader.published.iter().find(|(topic, _)| *topic == Topic::Entries).unwrap();
    codec::decode::<Packed>(bytes, 100_000).unwrap().signed.entry.approves
}

#[test]
fn a_post_written_before_the_signatures_are_checked_stands_below_what_its_author_has_read() {
    let story = Story::new().tell(8, 4, 20);
    let (mut relay, mut reader) = (story.relay(), story.reader(eager()));
    story.read(&mut reader, &mut relay);
    assert_eq!(reader.engine.unchecked(), 36);
    assert!(!approved(&mut reader, "I have read all that.").is_empty());
    let last = reader.engine.timeline(1_000).pop().unwrap();
    assert_eq!(last.content, Content::Post("I have read all that.".to_owned()));
    assert_eq!(reader.engine.unchecked(), 36);
}

#[test]
fn a_head_whose_signature_does_not_hold_is_approved_by_nobody() {
    let story = Story::new().tell(4, 4, 20).forge();
    let (mut liar, mut reader) = (story.liar(), story.reader(eager()));
    story.read(&mut reader, &mut liar);
    assert_eq!(reader.engine.settlement().height, story.height());
    let forger = story.friends.friend.device.id();
    for text in ["before", "after"] {
        let approves = approved(&mut reader, text);
        assert!(approves.iter().all(|head| head.device != forger), "{text}");
        check_all(&mut reader);
    }
}

#[test]
fn a_forgery_under_a_certificate_is_told_and_given_to_nobody() {
    let story = Story::new().tell(4, 4, 20).forge().tell(2, 3, 20);
    let (mut liar, mut reader) = (story.liar(), story.reader(eager()));
    story.read(&mut reader, &mut liar);
    assert_eq!(reader.engine.settlement().height, story.height());
    let (first, forged) = (story.friends.id(&story.friends.entries[4]), story.forged[0]);
    assert_eq!(reader.engine.status(&first), Some(Status::Settled));
    check_all(&mut reader);
    let told = reader.events.iter().find_map(|event| match event {
        Event::Forged { id, height, why } => Some((*id, *height, *why)),
        _ => None,
    });
    assert_eq!(told, Some((forged, 6, Refused::Signature(Signer::Device))));
    let by = story.friends.circle.founder.device.id();
    for restart in [false, true] {
        if restart {
            reader.engine = reader.reopen().unwrap();
        }
        assert_eq!(reader.engine.forgeries(), [forged]);
        assert_ne!(reader.engine.status(&first), Some(Status::Settled));
        let Some(Answer::Entries { entries, .. }) = reader.ask(by, story.all()) else { panic!("no entries") };
        assert!(entries.len() > 20 && entries.iter().all(|packed| story.friends.id(packed) != forged));
        let one = reader.ask(by, Ask::Entries(vec![forged]));
        assert_eq!(one, Some(Answer::Entries { entries: Vec::new(), more: false }));
        let Some(Answer::Settled(came)) = reader.ask(by, Ask::Settled { from: 1, skip: 0, to: 9 }) else {
            panic!("no heights")
        };
        assert_eq!(came.len(), 5);
    }
}
