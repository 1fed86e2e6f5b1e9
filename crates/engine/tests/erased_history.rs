//! Erased entries within settled history: by hash, by a snapshot and what is before it, with liars on the way.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/alone.rs"]
mod alone;

use alone::{Alone, Friends, LIAR, alter};
use ledgerno_engine::view::Content;
use ledgerno_engine::wire::{Answer, Ask, Settled};
use ledgerno_engine::{Limits, WriteError};
use ledgerno_ledger::bytes::{DeviceId, EntryId};
use ledgerno_ledger::check::check;
use ledgerno_ledger::entry::{Entry, Packed, Signed};
use ledgerno_ledger::erasure::Erasure;
use ledgerno_ledger::hostile::Person;
use ledgerno_ledger::keys::Identity;
use ledgerno_ledger::settle::Proof;

const GIVER: DeviceId = DeviceId([5; 32]);

/// A circle of three with a history, of which two posts are erased: one by its device, one by its member.
struct Story {
    friends: Friends,
    reader: Person,
    proofs: Vec<Proof>,
    erased: [Packed; 2],
}

impl Story {
    fn new(heights: usize) -> Self {
        Self::with(heights, |friends, reader| friends.circle.join(reader, &friends.secret, friends.invite))
    }

    fn with(heights: usize, comes: impl FnOnce(&Friends, &mut Person) -> Packed) -> Self {
        let mut friends = Friends::new();
        let mut reader = Person::new(30);
        let joined = comes(&friends, &mut reader);
        friends.entries.push(joined);
        // All that admits anybody is in the first height, and the posts are in the others.
        let mut witness = friends.witness();
        let mut proofs = vec![witness.settle()];
        for height in 0..heights {
            for at in 0..4 {
                let text = format!("{height}-{at}");
                let packed = if at % 2 == 0 { friends.post(&text) } else { friends.founders_post(&text) };
                witness.dag.insert(check(friends.circle.id, packed).unwrap()).unwrap();
            }
            proofs.push(witness.settle());
        }
        let circle = friends.circle.id;
        let posts = |by: &Person| {
            let of = |packed: &&Packed| packed.signed.entry.device == by.device.id() && packed.signed.entry.seq == 3;
            friends.entries.iter().find(of).unwrap().signed.clone()
        };
        let (one, other) = (posts(&friends.friend), posts(&friends.circle.founder));
        let by_device = Erasure::by_device(circle, one.entry.id(circle), &friends.friend.device);
        let by_member = Erasure::by_member(circle, other.entry.id(circle), &friends.circle.founder.identity);
        let erased = [Packed::erased(one, by_device), Packed::erased(other, by_member)];
        Story { friends, reader, proofs, erased }
    }

    fn ids(&self) -> [EntryId; 2] {
        [0, 1].map(|at| self.friends.id(&self.erased[at]))
    }

    /// A node that held all, and heard what was erased.
    fn giver(&self) -> Alone {
        let mut giver = Alone::member(&self.friends.circle, &self.friends.friend);
        self.friends.feed(&mut giver);
        self.proofs.iter().for_each(|proof| giver.vote(proof));
        self.erased.iter().for_each(|erased| giver.gossip(erased));
        assert!(self.ids().iter().all(|id| giver.engine.is_erased(id)));
        giver
    }

    /// One that held all, and heard of nothing.
    fn deaf(&self) -> Alone {
        let mut deaf = Alone::member(&self.friends.circle, &self.friends.friend);
        self.friends.feed(&mut deaf);
        self.proofs.iter().for_each(|proof| deaf.vote(proof));
        deaf
    }

    /// A reader looks back as far as a peer gives.
    fn look_back(&self, reader: &mut Alone, giver: &mut Alone) {
        reader.act(|engine, now| engine.connected(GIVER, now));
        for _ in 0..200 {
            reader.act(|engine, _| engine.look_back());
            let Some((_, no, ask)) = (!reader.asks.is_empty()).then(|| reader.asks.remove(0)) else { return };
            let answer = giver.ask(self.reader.device.id(), ask);
            reader.act(|engine, now| engine.answered(no, answer, now));
        }
    }

    fn reader(&self, join_from: u64) -> Alone {
        let limits = Limits { join_from, by_hash: 1, ..Limits::default() };
        let mut reader = Alone::reader(&self.friends.circle, &self.reader, limits);
        reader.engine.present(Some((&self.friends.secret, self.friends.invite))).unwrap();
        reader
    }

    /// The reader asks till it rests; answers may be spoiled. How often settled history was asked for.
    fn read(&self, reader: &mut Alone, giver: &mut Alone, mut spoil: impl FnMut(&mut Vec<Settled>)) -> usize {
        reader.act(|engine, now| engine.connected(GIVER, now));
        let mut settled = 0;
        for asked in 0..600 {
            while reader.asks.is_empty() {
                let Some(due) = reader.engine.due() else { return settled };
                reader.now = reader.now.max(due);
                reader.act(|engine, now| engine.tick(now));
            }
            assert!(asked < 500, "an endless session");
            let (_, no, ask) = reader.asks.remove(0);
            let mut answer = giver.ask(self.reader.device.id(), ask);
            if let Some(Answer::Settled(came)) = &mut answer {
                settled += 1;
                spoil(came);
            }
            let answer = answer.and_then(|answer| Answer::from_bytes(&answer.to_bytes()).ok());
            reader.act(|engine, now| engine.answered(no, answer, now));
        }
        settled
    }

    fn holds(&self, reader: &mut Alone, giver: &Alone) {
        let (ours, theirs) = (reader.engine.settlement(), giver.engine.settlement());
        assert_eq!((ours.height, ours.header, ours.entries), (theirs.height, theirs.header, theirs.entries));
        assert!(ours.state_root.is_some());
        let by = self.friends.friend.device.id();
        for (id, erased) in self.ids().iter().zip(&self.erased) {
            assert!(reader.engine.is_erased(id));
            let given = reader.ask(by, Ask::Entries(vec![*id]));
            assert_eq!(given, Some(Answer::Entries { entries: vec![erased.clone()], more: false }));
        }
    }
}

/// How many entries are shown as erased, and how many posts.
fn shown(alone: &Alone) -> (usize, usize) {
    let all = alone.engine.timeline(10_000);
    let count = |is: fn(&Content) -> bool| all.iter().filter(|shown| is(&shown.content)).count();
    (count(|content| *content == Content::Erased), count(|content| matches!(content, Content::Post(_))))
}

#[test]
fn by_hash_an_entry_comes_with_the_reason_why_it_has_no_body() {
    let story = Story::new(6);
    let mut giver = story.giver();
    let mut reader = story.reader(u64::MAX);
    assert!(story.read(&mut reader, &mut giver, |_| {}) > 0);
    story.holds(&mut reader, &giver);
    assert_eq!(shown(&reader), (2, 22));
    reader.engine = reader.reopen().unwrap();
    story.holds(&mut reader, &giver);
    assert_eq!(shown(&reader), (2, 22));
    // Who has not heard yet gives the body, and then hears.
    let mut whole = story.deaf();
    let mut second = story.reader(u64::MAX);
    story.read(&mut second, &mut whole, |_| {});
    assert_eq!(shown(&second), (0, 24));
    second.asks.clear();
    second.act(|engine, _| engine.disconnected(GIVER));
    story.read(&mut second, &mut giver, |_| {});
    story.holds(&mut second, &giver);
    assert_eq!(shown(&second), (2, 22));
    let second = second.reopen().unwrap();
    assert!(story.ids().iter().all(|id| second.is_erased(id)));
}

type Lie = fn(&Story, &mut Packed);

#[test]
fn nobody_hides_a_body_by_another_erasure() {
    let lies: [(&str, Lie); 5] = [
        ("by another device", |story, packed| {
            let id = story.friends.id(packed);
            let erasure = Erasure::by_device(story.friends.circle.id, id, &story.reader.device);
            *packed = Packed::erased(packed.signed.clone(), erasure);
        }),
        ("by another member", |story, packed| {
            let id = story.friends.id(packed);
            let erasure = Erasure::by_member(story.friends.circle.id, id, &story.reader.identity);
            *packed = Packed::erased(packed.signed.clone(), erasure);
        }),
        ("by nobody", |_, packed| packed.body = None),
        ("of another entry", |story, packed| {
            *packed = Packed::erased(packed.signed.clone(), *story.erased[0].erasure.clone().unwrap());
        }),
        ("spoiled", |story, packed| {
            let erasure = *story.erased[1].erasure.clone().unwrap();
            *packed = Packed::erased(packed.signed.clone(), Erasure { by: None, ..erasure });
        }),
    ];
    let story = Story::new(6);
    for (what, lie) in lies {
        let mut giver = story.giver();
        let mut reader = story.reader(u64::MAX);
        let mut heights = 0;
        story.read(&mut reader, &mut giver, |came| {
            let last = came.last_mut().unwrap();
            alter(&mut last.entries[0], |packed| lie(&story, packed));
            heights += 1;
        });
        assert_eq!(heights, 1, "{what}: who lies is asked no more so");
        story.holds(&mut reader, &giver);
        assert_eq!(shown(&reader), (2, 22), "{what}");
    }
}

#[test]
fn who_joined_by_a_snapshot_sees_it_erased_and_takes_it_for_no_fork() {
    let story = Story::new(40);
    let mut giver = story.giver();
    let mut joined = story.reader(10);
    assert_eq!(story.read(&mut joined, &mut giver, |_| {}), 0, "it joins by a snapshot");
    let settlement = joined.engine.settlement();
    assert_eq!(settlement.header, giver.engine.settlement().header);
    for erased in &story.erased {
        joined.gossip(erased);
    }
    assert_eq!(joined.engine.settlement(), settlement);
    assert!(joined.engine.members().iter().all(|member| !member.forked));
    for lies in [true, false] {
        for _ in 0..200 {
            joined.act(|engine, _| engine.look_back());
            if joined.asks.is_empty() {
                break;
            }
            let (_, no, ask) = joined.asks.remove(0);
            let mut answer = giver.ask(story.reader.device.id(), ask);
            if let Some(Answer::Settled(came)) = answer.as_mut().filter(|_| lies) {
                let foreign = Erasure::by_member(story.friends.circle.id, EntryId([0; 32]), &story.reader.identity);
                alter(&mut came[0].entries[0], |packed| *packed = Packed::erased(packed.signed.clone(), foreign));
            }
            joined.act(|engine, now| engine.answered(no, answer, now));
        }
        assert_eq!(shown(&joined).0, if lies { 0 } else { 2 });
        joined.act(|engine, _| engine.disconnected(GIVER));
        joined.act(|engine, now| engine.connected(GIVER, now));
        joined.asks.clear();
    }
    assert_eq!(shown(&joined), (2, 158));
    // What is erased later is shown no more, by whoever may.
    let circle = story.friends.circle.id;
    let post = story.friends.entries.iter().rfind(|packed| packed.signed.entry.seq == 5).unwrap();
    let id = story.friends.id(post);
    joined.gossip(&Packed::erased(post.signed.clone(), Erasure::by_member(circle, id, &story.reader.identity)));
    assert_eq!(shown(&joined), (2, 158));
    let author = [&story.friends.friend, &story.friends.circle.founder];
    let author = author.into_iter().find(|person| person.device.id() == post.signed.entry.device).unwrap();
    joined.gossip(&Packed::erased(post.signed.clone(), Erasure::by_device(circle, id, &author.device)));
    assert_eq!(shown(&joined), (3, 157));
}

#[test]
fn what_was_erased_before_a_snapshot_is_hidden_whoever_gives_it() {
    let story = Story::new(40);
    let (mut giver, mut deaf) = (story.giver(), story.deaf());
    let mut joined = story.reader(10);
    assert_eq!(story.read(&mut joined, &mut giver, |_| {}), 0, "it joins by a snapshot");
    assert!(story.ids().iter().all(|id| joined.engine.is_erased(id)));
    // It has nothing of that to give, and says so to nobody.
    let by = story.friends.friend.device.id();
    let told = joined.ask(by, Ask::Erased { bits: 0, buckets: vec![0] });
    assert_eq!(told, Some(Answer::Erased { buckets: vec![0], ids: Vec::new() }));
    joined.act(|engine, _| engine.disconnected(GIVER));
    joined.asks.clear();
    for when in ["at once", "after a start"] {
        story.look_back(&mut joined, &mut deaf);
        assert_eq!(shown(&joined), (2, 158), "{when}");
        joined.engine = joined.reopen().unwrap();
    }
    // Another that was shown the texts hears of it from the next peer.
    let mut other = story.reader(10);
    assert_eq!(story.read(&mut other, &mut deaf, |_| {}), 0);
    story.look_back(&mut other, &mut deaf);
    assert_eq!(shown(&other), (0, 160));
    other.act(|engine, _| engine.disconnected(GIVER));
    other.asks.clear();
    story.read(&mut other, &mut giver, |_| {});
    assert_eq!(shown(&other), (2, 158));
    assert_eq!(other.engine.settlement().header, giver.engine.settlement().header);
}

#[test]
fn of_what_was_before_a_snapshot_only_so_much_is_known() {
    let story = Story::new(40);
    let mut joined = story.reader(10);
    story.read(&mut joined, &mut story.giver(), |_| {});
    // A device that was settled far erases what it never wrote.
    let friend = &story.friends.friend;
    let entry = &story.erased[0].signed.entry;
    for time in 0..6_000 {
        let forged = Signed::sign(Entry { time, ..entry.clone() }, story.friends.circle.id, &friend.device);
        let id = forged.entry.id(story.friends.circle.id);
        joined.gossip(&Packed::erased(forged, Erasure::by_device(story.friends.circle.id, id, &friend.device)));
    }
    let records: usize =
        joined.records.iter().filter(|(name, _)| name.starts_with("erased-")).map(|(_, one)| one.len()).sum();
    assert!(records < 5_000 * 34, "{records} bytes");
    assert!(story.ids().iter().all(|id| joined.engine.is_erased(id)));
    assert!(joined.engine.members().iter().all(|member| !member.forked));
}

#[test]
fn who_came_back_by_a_snapshot_erases_what_it_said_before() {
    // The friend's member, on a new device.
    let story = Story::with(40, |friends, reader| {
        reader.identity = Identity::from_secret(*friends.friend.identity.secret());
        friends.circle.enrol(reader)
    });
    let mut deaf = story.deaf();
    let mut joined = story.reader(10);
    assert_eq!(story.read(&mut joined, &mut deaf, |_| {}), 0, "it joins by a snapshot");
    story.look_back(&mut joined, &mut deaf);
    assert_eq!(shown(&joined), (0, 160));
    let id = story.ids()[0];
    joined.act(|engine, _| engine.disconnected(GIVER));
    assert_eq!(joined.act(|engine, now| engine.erase(id, now)).unwrap_err(), WriteError::NotHere, "nobody would hear");
    joined.act(|engine, now| engine.connected(GIVER, now));
    joined.published.clear();
    joined.act(|engine, now| engine.erase(id, now)).unwrap();
    assert_eq!(shown(&joined), (1, 159));
    let (topic, said) = joined.published.remove(0);
    deaf.act(|engine, now| engine.gossip(topic, LIAR, &said, now));
    assert!(deaf.engine.is_erased(&id));
    assert_eq!(shown(&deaf), (1, 159));
    // Another's is another's.
    assert_eq!(joined.act(|engine, now| engine.erase(story.ids()[1], now)).unwrap_err(), WriteError::NotHere);
}
