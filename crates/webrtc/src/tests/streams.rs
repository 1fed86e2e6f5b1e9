//! Two streams that talk through a simulated channel, and one that meets a peer who keeps no rule.

use std::{collections::VecDeque, io::ErrorKind};

use proptest::prelude::*;

use super::mutator::{changes, cut, mutate};
use crate::frame::{Flag, Frame, INITIAL_WINDOW};
use crate::stream::{Bounds, Stream};
use crate::wire::{Splitter, prefixed};

const BOUNDS: Bounds = Bounds { window: INITIAL_WINDOW, max_unread: 1 << 20 };
const SPARE: usize = 4 << 20;

/// One end, its user, and what is on its way to it.
struct End {
    stream: Stream,
    wire: VecDeque<Vec<u8>>,
    written: Vec<u8>,
    read: Vec<u8>,
    closed: bool,
    dropped: bool,
    saw_end: bool,
    handed: u64,
}

impl End {
    fn new() -> Self {
        End {
            stream: Stream::new(BOUNDS),
            wire: VecDeque::new(),
            written: Vec::new(),
            read: Vec::new(),
            closed: false,
            dropped: false,
            saw_end: false,
            handed: 0,
        }
    }

    fn write(&mut self, len: usize) {
        let next = self.written.len();
        let bytes: Vec<u8> = (next..next + len).map(|i| (i % 251) as u8).collect();
        if let Ok(Some(taken)) = self.stream.write(&bytes) {
            self.written.extend(&bytes[..taken]);
        }
    }

    fn read(&mut self, len: usize) {
        let mut buf = vec![0; len];
        match self.stream.read(&mut buf) {
            Ok(Some(0)) if len > 0 => self.saw_end = true,
            Ok(Some(len)) => self.read.extend(&buf[..len]),
            Ok(None) | Err(_) => {}
        }
    }
}

struct Pair {
    ends: [End; 2],
    /// The second does not know windows.
    plain: bool,
}

fn without_window(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut splitter = Splitter::default();
    splitter.push(bytes);
    let frame = Frame { window: None, ..Frame::decode(splitter.next().unwrap().unwrap()).unwrap() };
    (frame != Frame::default()).then(|| frame.encode())
}

impl Pair {
    fn new(plain: bool) -> Self {
        Pair { ends: [End::new(), End::new()], plain }
    }

    /// One frame from that end onto the wire.
    fn send(&mut self, from: usize) -> bool {
        let Some(mut frame) = self.ends[from].stream.next_frame() else { return false };
        self.ends[from].handed += frame.len() as u64;
        if self.plain {
            let Some(stripped) = without_window(&frame) else { return true };
            frame = stripped;
        }
        self.ends[1 - from].wire.push_back(frame);
        true
    }

    /// One message of the wire to that end.
    fn deliver(&mut self, to: usize) -> bool {
        let Some(message) = self.ends[to].wire.pop_front() else { return false };
        self.ends[to].stream.receive(&message, SPARE);
        let handed = self.ends[1 - to].handed;
        self.ends[1 - to].stream.sent(handed);
        true
    }

    fn settle(&mut self) {
        while (0..2).any(|end| self.send(end) | self.deliver(end)) {}
    }

    fn do_(&mut self, step: &Step) {
        let end = usize::from(step.0);
        match step.1 {
            Act::Write(len) if !self.ends[end].dropped => self.ends[end].write(len),
            Act::Read(len) if !self.ends[end].dropped => self.ends[end].read(len),
            Act::Close if !self.ends[end].dropped => {
                self.ends[end].closed |= self.ends[end].stream.close().is_ok();
            }
            Act::Drop if !self.ends[end].dropped => {
                self.ends[end].dropped = true;
                self.ends[end].stream.abandon();
            }
            Act::Send => drop(self.send(end)),
            Act::Deliver => drop(self.deliver(end)),
            _ => {}
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Write(usize),
    Read(usize),
    Close,
    Drop,
    Send,
    Deliver,
}

#[derive(Clone, Copy, Debug)]
struct Step(bool, Act);

fn steps(drops: bool) -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![
        8 => prop::sample::select(vec![1, 10, 1_000, 40_000, 300_000]).prop_map(Act::Write),
        8 => prop::sample::select(vec![1, 700, 50_000, 200_000]).prop_map(Act::Read),
        1 => Just(Act::Close),
        2 => Just(if drops { Act::Drop } else { Act::Close }),
        10 => Just(Act::Send),
        10 => Just(Act::Deliver),
    ];
    prop::collection::vec((any::<bool>(), act).prop_map(|(end, act)| Step(end, act)), 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever the order: what is read is what was written, no more waits than was allowed, and when both have closed and
    /// read, all of it came and the channel may go.
    #[test]
    fn two_that_end_in_order_lose_nothing(steps in steps(false), plain in any::<bool>()) {
        let mut pair = Pair::new(plain);
        for step in &steps {
            pair.do_(step);
            for end in &pair.ends {
                prop_assert!(plain || end.stream.unread() as u64 <= BOUNDS.window);
            }
            for (one, other) in [(0, 1), (1, 0)] {
                prop_assert!(pair.ends[one].written.starts_with(&pair.ends[other].read));
            }
        }
        // Now both write what they have, end, and read.
        let mut rounds = 0;
        while pair.ends.iter().any(|end| !end.saw_end) {
            rounds += 1;
            prop_assert!(rounds < 1_000, "no end");
            for end in &mut pair.ends {
                end.closed |= end.stream.close().is_ok();
                end.read(100_000);
            }
            pair.settle();
        }
        pair.settle();
        for (one, other) in [(0, 1), (1, 0)] {
            prop_assert_eq!(&pair.ends[one].written, &pair.ends[other].read);
            prop_assert!(pair.ends[one].stream.is_over());
        }
    }

    /// Dropped in the middle: still nothing wrong is read, and the channel may go once both have dropped it.
    #[test]
    fn two_that_drop_end_as_well(steps in steps(true), plain in any::<bool>()) {
        let mut pair = Pair::new(plain);
        for step in &steps {
            pair.do_(step);
            for (one, other) in [(0, 1), (1, 0)] {
                prop_assert!(pair.ends[one].written.starts_with(&pair.ends[other].read));
            }
        }
        for end in &mut pair.ends {
            if !end.dropped {
                end.stream.abandon();
            }
        }
        pair.settle();
        // The one whose `RESET` or last answer was heard may go, and closes the channel for both.
        prop_assert!(pair.ends.iter().any(|end| end.stream.is_over()));
    }

    /// A peer that keeps no rule: nothing panics, memory stays bounded, and not more is said than was asked for.
    #[test]
    fn a_peer_without_rules_gets_nowhere(
        frames in prop::collection::vec((prop::option::of(0u8..5), prop::option::of(any::<u64>()), 0usize..3_000), 0..40),
        changes in changes(), lengths in prop::collection::vec(1usize..9_000, 1..4), reads in any::<bool>(),
    ) {
        let wire = frames.iter().flat_map(|(flag, window, len)| {
            let flag = flag.map(|flag| [Flag::Fin, Flag::StopSending, Flag::Reset, Flag::FinAck][usize::from(flag) % 4]);
            Frame { flag, window: *window, data: &vec![1; *len] }.encode()
        });
        let wire = mutate(wire.collect(), &changes);
        let mut end = End::new();
        let mut said = 0;
        for part in cut(&wire, &lengths) {
            end.stream.receive(part, SPARE);
            end.write(10_000);
            prop_assert!(end.stream.unread() <= BOUNDS.max_unread);
            if reads {
                end.read(5_000);
            }
            while let Some(frame) = end.stream.next_frame() {
                said += frame.len();
                let handed = end.handed + frame.len() as u64;
                end.handed = handed;
                end.stream.sent(handed);
            }
        }
        prop_assert!(said <= end.written.len() + 200 + 40 * wire.len());
    }
}

#[test]
fn windows_hold_the_writer() {
    let mut pair = Pair::new(false);
    for _ in 0..200 {
        pair.ends[0].write(50_000);
        pair.settle();
    }
    assert_eq!(pair.ends[0].written.len() as u64, INITIAL_WINDOW);
    assert_eq!(pair.ends[1].stream.unread() as u64, INITIAL_WINDOW);
    // A byte is not worth a word; half a window is.
    pair.ends[1].read(1);
    assert_eq!(pair.ends[1].stream.next_frame(), None);
    pair.ends[1].read(200_000);
    pair.settle();
    pair.ends[0].write(50_000);
    assert!(pair.ends[0].written.len() as u64 > INITIAL_WINDOW);
}

#[test]
fn who_knows_windows_and_goes_over_is_reset() {
    let mut end = End::new();
    end.stream.receive(&Frame { window: Some(INITIAL_WINDOW), ..Frame::default() }.encode(), SPARE);
    let message = Frame { data: &[0; 10_000], ..Frame::default() }.encode();
    for _ in 0..26 {
        end.stream.receive(&message, SPARE);
    }
    assert_eq!(end.stream.unread(), 260_000);
    end.stream.receive(&message, SPARE);
    assert_eq!(end.stream.unread(), 0);
    assert_eq!(end.stream.read(&mut [0]), Err(ErrorKind::ConnectionReset));
    assert_eq!(flags(&mut end.stream), [Some(Flag::Reset)]);
    assert!(end.stream.is_over());
}

#[test]
fn who_knows_no_windows_has_a_bound_and_so_has_the_link() {
    for (spare, taken) in [(SPARE, 104), (500_000, 50)] {
        let mut end = End::new();
        let message = Frame { data: &[0; 10_000], ..Frame::default() }.encode();
        for _ in 0..taken {
            end.stream.receive(&message, spare);
        }
        assert_eq!(end.stream.unread(), taken * 10_000);
        end.stream.receive(&message, spare);
        assert_eq!(end.stream.unread(), 0);
    }
}

fn flags(stream: &mut Stream) -> Vec<Option<Flag>> {
    let mut flags = Vec::new();
    while let Some(bytes) = stream.next_frame() {
        let mut splitter = Splitter::default();
        splitter.push(&bytes);
        flags.push(Frame::decode(splitter.next().unwrap().unwrap()).unwrap().flag);
    }
    flags
}

fn told(flag: Flag) -> Vec<u8> {
    Frame { flag: Some(flag), ..Frame::default() }.encode()
}

#[test]
fn a_fin_is_answered_and_its_answer_waited_for() {
    let mut end = End::new();
    end.write(5);
    assert_eq!(end.stream.close(), Ok(None));
    assert_eq!(flags(&mut end.stream), [None, Some(Flag::Fin)]);
    assert_eq!(end.stream.close(), Ok(Some(0)));
    end.stream.receive(&told(Flag::Fin), SPARE);
    assert_eq!(flags(&mut end.stream), [Some(Flag::FinAck)]);
    assert!(!end.stream.is_over());
    end.stream.receive(&told(Flag::Fin), SPARE);
    assert_eq!(flags(&mut end.stream), []);
    end.stream.receive(&told(Flag::FinAck), SPARE);
    assert!(end.stream.is_over());
}

#[test]
fn dropped_half_closed_it_stops_the_other_and_waits() {
    let mut end = End::new();
    assert_eq!(end.stream.close(), Ok(None));
    assert_eq!(flags(&mut end.stream), [Some(Flag::Fin)]);
    end.stream.abandon();
    assert_eq!(flags(&mut end.stream), [Some(Flag::StopSending)]);
    end.stream.receive(&Frame { data: &[1; 100], ..Frame::default() }.encode(), SPARE);
    assert_eq!(end.stream.unread(), 0);
    end.stream.receive(&told(Flag::FinAck), SPARE);
    end.stream.receive(&told(Flag::Fin), SPARE);
    assert_eq!(flags(&mut end.stream), [Some(Flag::FinAck)]);
    assert!(end.stream.is_over());
}

#[test]
fn dropped_after_the_other_has_finished_it_finishes_too() {
    let mut end = End::new();
    end.stream.receive(&told(Flag::Fin), SPARE);
    end.write(3);
    end.stream.abandon();
    assert_eq!(flags(&mut end.stream), [Some(Flag::FinAck), None, Some(Flag::Fin)]);
}

#[test]
fn stopped_it_writes_no_more_and_is_not_reset() {
    let mut end = End::new();
    end.write(3);
    end.stream.receive(&told(Flag::StopSending), SPARE);
    assert_eq!(end.stream.write(b"x"), Err(ErrorKind::BrokenPipe));
    assert_eq!(end.stream.close(), Ok(None));
    assert_eq!(flags(&mut end.stream), [Some(Flag::Fin)]);
}

#[test]
fn what_came_before_a_reset_is_read_and_then_the_reset() {
    let mut end = End::new();
    end.stream.receive(&Frame { data: b"last", ..Frame::default() }.encode(), SPARE);
    end.stream.receive(&told(Flag::Reset), SPARE);
    end.read(10);
    assert_eq!(end.read, b"last");
    assert_eq!(end.stream.read(&mut [0]), Err(ErrorKind::ConnectionReset));
    assert_eq!(end.stream.write(b"x"), Err(ErrorKind::ConnectionReset));
    assert!(end.stream.is_over() && flags(&mut end.stream).is_empty());
}

#[test]
fn data_with_or_before_a_fin_counts_and_after_it_breaks() {
    let mut end = End::new();
    end.stream.receive(&Frame { flag: Some(Flag::Fin), data: b"both", ..Frame::default() }.encode(), SPARE);
    end.read(10);
    end.read(10);
    assert_eq!((&*end.read, end.saw_end), (&b"both"[..], true));
    end.stream.receive(&Frame { data: b"late", ..Frame::default() }.encode(), SPARE);
    assert_eq!(flags(&mut end.stream), [Some(Flag::Reset)]);
}

#[test]
fn a_closed_channel_is_no_end_of_what_had_none() {
    let mut end = End::new();
    end.stream.receive(&Frame { data: b"part", ..Frame::default() }.encode(), SPARE);
    end.stream.channel_closed();
    end.read(10);
    assert_eq!(end.read, b"part");
    assert_eq!(end.stream.read(&mut [0]), Err(ErrorKind::ConnectionReset));
    let mut end = End::new();
    end.stream.receive(&told(Flag::Fin), SPARE);
    end.stream.channel_closed();
    assert_eq!(end.stream.read(&mut [0]), Ok(Some(0)));
}

#[test]
fn many_empty_messages_are_nothing() {
    let mut end = End::new();
    for _ in 0..100_000 {
        end.stream.receive(&prefixed(&[]), SPARE);
    }
    assert_eq!((end.stream.unread(), flags(&mut end.stream).len()), (0, 0));
}
