//! The two machines of the signalling against each other, and against a peer that keeps no rule.

use proptest::prelude::*;

use super::mutator::{changes, cut, mutate};
use crate::backend::{Command, Event, Failure, MAX_CANDIDATES};
use crate::error::{Cause, Error, Step};
use crate::signalling::{Role, Signalling};
use crate::wire::{MAX, prefixed, put_varint};

fn message(kind: u64, data: &str) -> Vec<u8> {
    let mut body = vec![8];
    put_varint(&mut body, kind);
    body.push(18);
    put_varint(&mut body, data.len() as u64);
    body.extend(data.as_bytes());
    prefixed(&body)
}

fn taken(machine: &mut Signalling) -> (Vec<Command>, Vec<u8>) {
    (std::mem::take(&mut machine.output.commands), std::mem::take(&mut machine.output.bytes))
}

fn description(text: &str) -> Event {
    Event::Description(text.to_owned())
}

fn candidate(text: &str) -> Event {
    Event::Candidate(Some(text.to_owned()))
}

fn add(text: &str) -> Command {
    Command::AddCandidate(text.to_owned())
}

/// Compared this way, for commands say nothing of themselves: they hold addresses of people.
fn same(left: &[Command], right: &[Command]) -> bool {
    left == right
}

proptest! {
    /// However the bytes are cut, both sides come to the same commands in the same order.
    #[test]
    fn an_offer_is_answered(to_b in prop::collection::vec(1usize..200, 1..4), to_a in prop::collection::vec(1usize..200, 1..4)) {
        let (mut a, mut b) = (Signalling::new(Role::Offerer), Signalling::new(Role::Answerer));
        prop_assert!(same(&taken(&mut a).0, &[Command::Offer]));
        prop_assert_eq!((a.step(), b.step()), (Step::Offer, Step::Offer));
        for event in [description("an offer"), candidate("a1"), candidate("a2"), Event::Candidate(None)] {
            a.event(event).unwrap();
        }
        let bytes = taken(&mut a).1;
        for part in cut(&bytes, &to_b) {
            b.receive(part).unwrap();
        }
        prop_assert_eq!((a.step(), b.step()), (Step::Answer, Step::Answer));
        prop_assert!(same(&taken(&mut b).0, &[Command::Answer("an offer".into()), add("a1"), add("a2")]));
        for event in [description("an answer"), candidate("b1"), Event::Candidate(None)] {
            b.event(event).unwrap();
        }
        let bytes = taken(&mut b).1;
        for part in cut(&bytes, &to_a) {
            a.receive(part).unwrap();
        }
        prop_assert!(same(&taken(&mut a).0, &[Command::TakeAnswer("an answer".into()), add("b1")]));
        prop_assert_eq!((a.step(), b.step()), (Step::Connect, Step::Connect));
        prop_assert_eq!((a.end(), b.end()), (Ok(()), Ok(())));
        a.event(Event::Connected).unwrap();
        prop_assert!(a.connected && !b.connected);
    }

    /// Faults in the bytes are refused or skipped; what is done stays bounded.
    #[test]
    fn any_bytes_are_signalling_or_not(
        messages in prop::collection::vec((0u64..4, "[a-z{}\":0-9 ]{0,60}"), 0..100),
        changes in changes(), offers in any::<bool>(), lengths in prop::collection::vec(1usize..3_000, 1..4),
    ) {
        let wire = mutate(messages.iter().flat_map(|(kind, data)| message(*kind, data)).collect(), &changes);
        let mut machine = Signalling::new(if offers { Role::Offerer } else { Role::Answerer });
        if offers {
            machine.event(description("an offer")).unwrap();
        }
        for part in cut(&wire, &lengths) {
            if let Err(error) = machine.receive(part) {
                prop_assert_eq!(error.cause, Cause::Malformed);
                break;
            }
        }
        let (commands, _) = taken(&mut machine);
        prop_assert!(commands.len() <= MAX_CANDIDATES + 2);
        let descriptions = commands.iter().filter(|command| matches!(command, Command::Answer(_) | Command::TakeAnswer(_)));
        prop_assert!(descriptions.count() <= 1);
    }
}

#[test]
fn messages_are_as_the_specification_has_them() {
    let mut machine = Signalling::new(Role::Offerer);
    machine.event(description("v=0")).unwrap();
    machine.event(candidate("{}")).unwrap();
    machine.event(Event::Candidate(None)).unwrap();
    let bytes = taken(&mut machine).1;
    assert_eq!(bytes, *b"\x07\x08\x00\x12\x03v=0\x06\x08\x02\x12\x02{}\x08\x08\x02\x12\x04null");
}

#[test]
fn candidates_before_their_description_are_kept() {
    let mut machine = Signalling::new(Role::Offerer);
    machine.event(description("an offer")).unwrap();
    taken(&mut machine);
    for data in ["early", "null", "\"\"", ""] {
        machine.receive(&message(2, data)).unwrap();
    }
    assert!(taken(&mut machine).0.is_empty());
    machine.receive(&message(1, "an answer")).unwrap();
    machine.receive(&message(2, "late")).unwrap();
    assert!(same(&taken(&mut machine).0, &[Command::TakeAnswer("an answer".into()), add("early"), add("late")]));
}

#[test]
fn what_is_out_of_order_is_refused() {
    let refused = |machine: &mut Signalling, kind| {
        let result = machine.receive(&message(kind, "x"));
        assert_eq!(result.map_err(|error| error.cause), Err(Cause::Malformed));
    };
    // To the answerer an answer, or a second offer.
    refused(&mut Signalling::new(Role::Answerer), 1);
    let mut machine = Signalling::new(Role::Answerer);
    machine.receive(&message(0, "an offer")).unwrap();
    refused(&mut machine, 0);
    // To the offerer an offer, an answer to nothing, or a second one.
    let mut machine = Signalling::new(Role::Offerer);
    refused(&mut machine, 1);
    machine.event(description("an offer")).unwrap();
    refused(&mut machine, 0);
    machine.receive(&message(1, "an answer")).unwrap();
    refused(&mut machine, 1);
    // Too many of whatever, or too long.
    let mut machine = Signalling::new(Role::Answerer);
    for _ in 0..256 {
        machine.receive(&message(9, "x")).unwrap();
    }
    refused(&mut machine, 9);
    assert!(Signalling::new(Role::Answerer).receive(&message(0, &"x".repeat(MAX))).is_err());
}

#[test]
fn a_description_with_sound_or_pictures_is_refused() {
    let offer = |sdp: &str| Signalling::new(Role::Answerer).receive(&message(0, sdp)).is_ok();
    assert!(offer("v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=setup:actpass\r\n"));
    assert!(!offer("v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"));
    assert!(!offer("v=0\nm=video 9 UDP/TLS/RTP/SAVPF 96\n"));
    assert!(!offer("v=0\nm=application 9 x y\nm=application 9 x y\n"));
}

#[test]
fn own_candidates_are_told_up_to_the_bound() {
    let mut machine = Signalling::new(Role::Offerer);
    machine.event(description("an offer")).unwrap();
    taken(&mut machine);
    for _ in 0..1_000 {
        machine.event(candidate("c")).unwrap();
    }
    assert_eq!(taken(&mut machine).1.len(), MAX_CANDIDATES * message(2, "c").len());
}

#[test]
fn a_failure_says_which_step_it_was() {
    let fails = |machine: &mut Signalling, failure| machine.event(Event::Failed(failure)).unwrap_err();
    let mut a = Signalling::new(Role::Offerer);
    assert_eq!(a.end(), Err(Error::new(Step::Offer, Cause::Interrupted)));
    assert_eq!(fails(&mut a, Failure::Refused), Error::new(Step::Offer, Cause::Refused));
    a.event(description("an offer")).unwrap();
    assert_eq!(a.end(), Err(Error::new(Step::Answer, Cause::Interrupted)));
    a.receive(&message(1, "an answer")).unwrap();
    assert_eq!(fails(&mut a, Failure::Description), Error::new(Step::Answer, Cause::Description));
    assert_eq!(fails(&mut a, Failure::Lost), Error::new(Step::Connect, Cause::NoPath));
    let mut b = Signalling::new(Role::Answerer);
    assert_eq!(b.end(), Err(Error::new(Step::Offer, Cause::Interrupted)));
    b.receive(&message(0, "an offer")).unwrap();
    assert_eq!(fails(&mut b, Failure::Description), Error::new(Step::Answer, Cause::Description));
}
