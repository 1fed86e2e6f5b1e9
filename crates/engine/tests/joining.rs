//! Who joins by a snapshot ends where a full replay ends, believes nothing of it, and without one takes the history in
//! whole.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/alone.rs"]
mod alone;

use alone::{Alone, Friends, Witness, alter, fork};
use ledgerno_engine::Limits;
use ledgerno_engine::view::Content;
use ledgerno_engine::wire::{Answer, Ask, No};
use ledgerno_ledger::bytes::{DeviceId, Hash};
use ledgerno_ledger::check::check;
use ledgerno_ledger::entry::Anchor;
use ledgerno_ledger::hostile::{Person, mutate};
use ledgerno_ledger::settle::Proof;
use std::collections::BTreeMap;

const GIVER: DeviceId = DeviceId([5; 32]);

struct Story {
    friends: Friends,
    reader: Person,
    witness: Witness,
    proofs: Vec<Proof>,
    giver: Alone,
}

impl Story {
    /// A friend's node that holds so many headers; the newcomer has an invite and has written nothing.
    fn new(heights: usize) -> Self {
        let friends = Friends::new();
        let mut giver = Alone::member(&friends.circle, &friends.friend);
        friends.feed(&mut giver);
        let mut witness = friends.witness();
        let proofs = vec![witness.settle()];
        giver.vote(&proofs[0]);
        let mut story = Story { friends, reader: Person::new(30), witness, proofs, giver };
        story.tell(heights - 1);
        story
    }

    fn tell(&mut self, heights: usize) {
        for height in 0..heights {
            for at in 0..3 {
                let text = format!("{height}-{at}");
                let packed = if at == 1 { self.friends.post(&text) } else { self.friends.founders_post(&text) };
                self.giver.gossip(&packed);
                self.witness.dag.insert(check(self.friends.circle.id, packed).unwrap()).unwrap();
            }
            self.proofs.push(self.witness.settle());
            self.giver.vote(&self.proofs[self.proofs.len() - 1]);
        }
    }

    fn reader(&self, join_from: u64) -> Alone {
        let limits = Limits { join_from, by_hash: 1, ..Limits::default() };
        let mut reader = Alone::reader(&self.friends.circle, &self.reader, limits);
        reader.engine.present(Some((&self.friends.secret, self.friends.invite))).unwrap();
        reader
    }

    /// The reader asks till it rests; what it is answered may be spoiled.
    fn read(&mut self, reader: &mut Alone, mut spoil: impl FnMut(&mut Option<Answer>)) -> Vec<Ask> {
        reader.act(|engine, now| engine.connected(GIVER, now));
        self.read_on(reader, |story, _, _, ask| {
            let mut answer = story.giver.ask(story.reader.device.id(), ask);
            spoil(&mut answer);
            answer
        })
    }

    /// The reader asks on till it rests.
    fn read_on(
        &mut self,
        reader: &mut Alone,
        mut answer: impl FnMut(&mut Self, &mut Alone, DeviceId, Ask) -> Option<Answer>,
    ) -> Vec<Ask> {
        let mut asked = Vec::new();
        for _ in 0..20 {
            while !reader.asks.is_empty() {
                assert!(asked.len() < 200, "an endless session");
                let (peer, no, ask) = reader.asks.remove(0);
                asked.push(ask.clone());
                let answer = answer(self, reader, peer, ask);
                reader.act(|engine, now| engine.answered(no, answer, now));
            }
            let Some(due) = reader.engine.due() else { break };
            reader.now = reader.now.max(due);
            reader.act(|engine, now| engine.tick(now));
        }
        asked
    }
}

fn by_snapshot(asked: &[Ask]) -> bool {
    asked.iter().any(|ask| matches!(ask, Ask::Snapshot { .. }))
        && !asked.iter().any(|ask| matches!(ask, Ask::Settled { .. }))
}

fn digest(alone: &mut Alone, by: DeviceId) -> Answer {
    alone.ask(by, Ask::Frontier { digest: Hash([0; 32]), height: 0 }).unwrap()
}

fn assert_same(story: &Story, joined: &mut Alone, whole: &mut Alone) {
    let by = story.friends.circle.founder.device.id();
    let (one, other) = (joined.engine.settlement(), whole.engine.settlement());
    assert_eq!((one.height, one.header, one.state_root), (other.height, other.header, other.state_root));
    assert!(one.state_root.is_some());
    assert_eq!(one.unsettled, other.unsettled);
    assert_eq!(digest(joined, by), digest(whole, by));
    assert_eq!(joined.engine.ranking(alone::NOW), whole.engine.ranking(alone::NOW));
}

#[test]
fn who_joins_by_a_snapshot_ends_at_the_root_of_a_full_replay() {
    let mut story = Story::new(40);
    // Something that is not settled yet.
    let open = story.friends.post("open");
    story.giver.gossip(&open);
    story.witness.dag.insert(check(story.friends.circle.id, open).unwrap()).unwrap();
    let (mut joined, mut whole) = (story.reader(10), story.reader(u64::MAX));
    for pinned in [None, Some(17)] {
        story.giver.now += 2_000;
        joined = story.reader(10);
        joined.engine.pin(
            pinned.map(|height| Anchor { height, hash: story.proofs[height as usize - 1].checkpoint.header.hash() }),
        );
        let asked = story.read(&mut joined, |_| {});
        assert!(by_snapshot(&asked), "{asked:?}");
        assert!(joined.held() < 10, "{} entries", joined.held());
        whole = story.reader(u64::MAX);
        story.read(&mut whole, |_| {});
        assert_same(&story, &mut joined, &mut whole);
    }
    // After a restart, and after more writes: its own among them.
    for restart in [false, true] {
        if restart {
            joined.engine = joined.reopen().unwrap();
            joined.engine.present(Some((&story.friends.secret, story.friends.invite))).unwrap();
        }
        story.tell(3);
        story.read(&mut joined, |_| {});
        story.read(&mut whole, |_| {});
        assert_same(&story, &mut joined, &mut whole);
    }
    joined.engine = joined.reopen().unwrap();
    joined.engine.present(Some((&story.friends.secret, story.friends.invite))).unwrap();
    joined.act(|engine, now| engine.enter(Some("Eve"), now)).unwrap();
    let id = joined.act(|engine, now| engine.post("hello", now)).unwrap().id;
    let (_, bytes) = joined.published.last().unwrap().clone();
    let packed: ledgerno_ledger::entry::Packed = ledgerno_ledger::codec::decode(&bytes, 100_000).unwrap();
    assert_eq!(packed.signed.entry.id(story.friends.circle.id), id);
    for (topic, bytes) in joined.published.clone() {
        story.giver.act(|engine, now| engine.gossip(topic, GIVER, &bytes, now));
        whole.act(|engine, now| engine.gossip(topic, GIVER, &bytes, now));
        if let Ok(packed) = ledgerno_ledger::codec::decode::<ledgerno_ledger::entry::Packed>(&bytes, 100_000) {
            story.witness.dag.insert(check(story.friends.circle.id, packed).unwrap()).unwrap();
        }
    }
    story.proofs.push(story.witness.settle());
    let newest = story.proofs[story.proofs.len() - 1].clone();
    for alone in [&mut story.giver, &mut joined, &mut whole] {
        alone.vote(&newest);
    }
    assert_eq!(joined.engine.settlement().height, newest.height());
    assert_same(&story, &mut joined, &mut whole);
    // What is not here is not given, and nobody waits for it.
    let by = story.friends.circle.founder.device.id();
    assert_eq!(joined.ask(by, Ask::Headers { from: 1 }), Some(Answer::Headers { proofs: Vec::new(), more: false }));
    assert_eq!(joined.ask(by, Ask::Settled { from: 1, skip: 0, to: 9 }), Some(Answer::Settled(Vec::new())));
}

#[test]
fn a_snapshot_that_does_not_hold_is_refused_and_the_history_taken_in_whole() {
    let mut story = Story::new(20);
    let mut whole = story.reader(u64::MAX);
    story.read(&mut whole, |_| {});
    let mut refused = 0;
    for seed in 0..60 {
        let mut joined = story.reader(10);
        let mut changed = false;
        let asked = story.read(&mut joined, |answer| {
            if let Some(Answer::Snapshot { hash, len, chunk }) = answer {
                let spoiled = mutate(chunk, seed);
                changed = spoiled != *chunk;
                // A liar's hash fits its bytes.
                (*len, *chunk) = (spoiled.len() as u64, spoiled);
                *hash = Hash(blake3::hash(chunk).into());
            }
        });
        refused += usize::from(!by_snapshot(&asked));
        assert!(!changed || !by_snapshot(&asked), "seed {seed}: a changed snapshot was joined by");
        assert_same(&story, &mut joined, &mut whole);
    }
    assert!(refused > 50, "{refused} refused");
}

#[test]
fn another_pinned_header_a_silent_giver_and_a_fork_end_in_the_whole_history() {
    let mut story = Story::new(20);
    let mut whole = story.reader(u64::MAX);
    story.read(&mut whole, |_| {});
    let mut joined = story.reader(10);
    joined.engine.pin(Some(Anchor { height: 7, hash: story.proofs[8].checkpoint.header.hash() }));
    let asked = story.read(&mut joined, |_| {});
    assert!(!by_snapshot(&asked));
    assert_same(&story, &mut joined, &mut whole);

    let mut joined = story.reader(10);
    let asked = story.read(&mut joined, |answer| {
        answer.take_if(|answer| matches!(answer, Answer::Snapshot { .. }));
    });
    assert!(!by_snapshot(&asked));
    assert_same(&story, &mut joined, &mut whole);

    // A branch that was settled and does not count: the state does not tell of it.
    let (branch, head) = fork(&story.friends.circle, &story.friends.friend, "branch");
    let post = story.friends.post("post");
    story.friends.entries.push(branch.clone());
    let mut founder = std::mem::replace(&mut story.friends.circle.founder, Person::new(0));
    let post_head = story.friends.friend.head.unwrap();
    let names = story.friends.circle.post(&mut founder, &[head, post_head], "both");
    story.friends.circle.founder = founder;
    for packed in [branch, post, names] {
        story.giver.gossip(&packed);
        story.witness.dag.insert(check(story.friends.circle.id, packed).unwrap()).unwrap();
    }
    story.proofs.push(story.witness.settle());
    story.giver.vote(&story.proofs[story.proofs.len() - 1]);
    assert_eq!(story.giver.engine.settlement().height, 21);
    let mut joined = story.reader(10);
    let asked = story.read(&mut joined, |_| {});
    assert!(!by_snapshot(&asked));
    let mut whole = story.reader(u64::MAX);
    story.read(&mut whole, |_| {});
    assert_same(&story, &mut joined, &mut whole);
}

#[test]
fn a_snapshot_is_given_to_who_can_read_it_and_by_who_can() {
    let mut story = Story::new(12);
    let ask = || Ask::Snapshot { pinned: None, hash: Hash([0; 32]), at: 0 };
    let friend = story.friends.circle.founder.device.id();
    assert!(matches!(story.giver.ask(friend, ask()), Some(Answer::Snapshot { .. })));
    assert_eq!(story.giver.ask(DeviceId([77; 32]), ask()), Some(Answer::No(No::NotAdmitted)));
    story.giver.engine.set_keepers(vec![DeviceId([8; 32])]);
    assert_eq!(story.giver.ask(DeviceId([8; 32]), ask()), Some(Answer::No(No::NotKept)));
    let mut keeper = Alone::keeper(&story.friends.circle);
    story.friends.feed(&mut keeper);
    story.proofs.iter().for_each(|proof| keeper.vote(proof));
    assert_eq!(keeper.ask(friend, ask()), Some(Answer::No(No::NotKept)));
    let other = Ask::Snapshot { pinned: None, hash: Hash([1; 32]), at: 5 };
    assert_eq!(story.giver.ask(friend, other), Some(Answer::No(No::NotKept)));
}

/// What a page shows when it is scrolled to the end, oldest first: text and height.
fn posts(alone: &Alone) -> Vec<(String, Option<u64>)> {
    let shown = alone.engine.timeline(10_000).into_iter();
    let post = |shown: ledgerno_engine::view::Shown| match shown.content {
        Content::Post(text) => Some((text, shown.height)),
        _ => None,
    };
    shown.filter_map(post).collect()
}

impl Story {
    /// Scrolls back as far as it goes; what a peer answers may be spoiled. How often each was asked.
    fn scroll(
        &mut self,
        joined: &mut Alone,
        mut spoil: impl FnMut(DeviceId, &mut Option<Answer>),
    ) -> BTreeMap<DeviceId, usize> {
        let mut asked = BTreeMap::new();
        for _ in 0..200 {
            joined.act(|engine, _| engine.look_back());
            if joined.asks.is_empty() {
                return asked;
            }
            let (peer, no, ask) = joined.asks.remove(0);
            assert!(matches!(ask, Ask::Settled { .. }), "{ask:?}");
            *asked.entry(peer).or_default() += 1;
            let mut answer = self.giver.ask(self.reader.device.id(), ask);
            spoil(peer, &mut answer);
            joined.act(|engine, now| engine.answered(no, answer, now));
        }
        panic!("it never ends");
    }

    /// A member's second branch, which another's entry names once the first is settled.
    fn branch(&mut self) {
        let (branch, head) = fork(&self.friends.circle, &self.friends.friend, "branch");
        self.tell(1);
        let mut founder = std::mem::replace(&mut self.friends.circle.founder, Person::new(0));
        let names = self.friends.circle.post(&mut founder, &[head], "names it");
        self.friends.circle.founder = founder;
        for packed in [branch, names] {
            self.giver.gossip(&packed);
            self.witness.dag.insert(check(self.friends.circle.id, packed).unwrap()).unwrap();
        }
        self.tell(1);
    }
}

#[test]
fn who_joined_by_a_snapshot_can_scroll_back_to_the_beginning() {
    let mut story = Story::new(70);
    let (mut joined, mut whole) = (story.reader(10), story.reader(u64::MAX));
    story.read(&mut whole, |_| {});
    let asked = story.read(&mut joined, |_| {});
    assert!(by_snapshot(&asked));
    assert_eq!(posts(&joined), []);
    // Some of it was there when it joined, some came later.
    story.tell(3);
    story.read(&mut whole, |_| {});
    story.read(&mut joined, |_| {});
    let (held, items, root) = (joined.held(), joined.log.len(), joined.engine.settlement());
    for restart in [false, true] {
        if restart {
            joined.engine = joined.reopen().unwrap();
            joined.asks.clear();
            joined.act(|engine, now| engine.connected(GIVER, now));
            joined.asks.clear();
        }
        story.scroll(&mut joined, |_, _| {});
        let (mut all, mut there) = (posts(&whole), posts(&joined));
        let earlier = there.iter().map_while(|(_, height)| height.filter(|height| *height <= 70));
        assert!(earlier.clone().count() > 100 && earlier.is_sorted());
        all.sort();
        there.sort();
        assert_eq!(all, there);
        let joins = |alone: &Alone| {
            let shown = alone.engine.timeline(10_000).into_iter();
            shown.filter(|shown| matches!(shown.content, Content::Join(_))).count()
        };
        assert_eq!((joins(&joined), joins(&whole)), (2, 2));
        // It is shown, and counts as nothing else.
        assert_eq!((joined.held(), joined.log.len(), joined.engine.settlement()), (held, items, root.clone()));
    }
    let by = story.friends.circle.founder.device.id();
    assert_eq!(digest(&mut joined, by), digest(&mut whole, by));
    assert_eq!(joined.ask(by, Ask::Settled { from: 1, skip: 0, to: 9 }), Some(Answer::Settled(Vec::new())));
}

/// Which branches do not count stands in no header: with one, nobody joins by a snapshot.
#[test]
fn with_a_branch_that_was_passed_by_the_history_is_taken_in_whole() {
    let mut story = Story::new(20);
    story.branch();
    story.tell(5);
    let (mut joined, mut whole) = (story.reader(10), story.reader(u64::MAX));
    story.read(&mut whole, |_| {});
    assert!(!by_snapshot(&story.read(&mut joined, |_| {})));
    assert_same(&story, &mut joined, &mut whole);
    assert!(posts(&joined).iter().any(|(text, _)| text == "branch"));
}

#[test]
fn who_lies_about_what_was_earlier_is_found_out_and_another_is_asked() {
    const OTHER: DeviceId = DeviceId([200; 32]);
    let mut story = Story::new(50);
    let mut whole = story.reader(u64::MAX);
    story.read(&mut whole, |_| {});
    let mut lies = 0;
    for seed in 0..60 {
        let mut joined = story.reader(10);
        story.read(&mut joined, |_| {});
        joined.act(|engine, now| engine.connected(OTHER, now));
        joined.asks.clear();
        let mut changed = false;
        let asked = story.scroll(&mut joined, |peer, answer| {
            let Some(Answer::Settled(came)) = answer.as_mut().filter(|_| peer == GIVER) else { return };
            let at = seed as usize % came.len();
            match seed % 6 {
                0 => came.clear(),
                1 => alter(&mut came[at].entries[0], |packed| packed.signed.signature.0[seed as usize % 64] ^= 1),
                2 => came[at].proof.as_mut().unwrap().checkpoint.header.time += 1,
                3 => alter(&mut came[at].entries[0], |packed| packed.body = None),
                4 => came[at].entries.reverse(),
                _ => {
                    let bytes = mutate(&Answer::Settled(came.clone()).to_bytes(), seed);
                    *answer = Answer::from_bytes(&bytes).ok();
                }
            }
            changed = true;
        });
        lies += usize::from(asked[&GIVER] < asked[&OTHER] && changed);
        let (mut all, mut there) = (posts(&whole), posts(&joined));
        all.sort();
        there.sort();
        assert_eq!(all, there, "seed {seed}");
    }
    assert!(lies > 50, "{lies}");
    // Where nobody has it, nobody is asked for ever.
    let mut joined = story.reader(10);
    story.read(&mut joined, |_| {});
    let asked = story.scroll(&mut joined, |_, answer| *answer = Some(Answer::Settled(Vec::new())));
    assert_eq!(asked, BTreeMap::from([(GIVER, 1)]));
    let mut joined = story.reader(10);
    story.read(&mut joined, |_| {});
    let asked = story.scroll(&mut joined, |_, answer| *answer = Some(Answer::No(No::Busy)));
    assert_eq!(asked, BTreeMap::from([(GIVER, 3)]));
    assert_eq!(posts(&joined), []);
}

/// Where nothing is said for hundreds of heights, it is not looked for to the beginning at each start.
#[test]
fn what_shows_nothing_is_not_fetched_for_ever() {
    let mut story = Story::new(20);
    for seed in 0..400 {
        let (_, _, packed) = story.friends.circle.invite(1_000 + seed);
        story.giver.gossip(&packed);
        story.witness.dag.insert(check(story.friends.circle.id, packed).unwrap()).unwrap();
        story.proofs.push(story.witness.settle());
        story.giver.vote(&story.proofs[story.proofs.len() - 1]);
    }
    let mut joined = story.reader(10);
    assert!(by_snapshot(&story.read(&mut joined, |_| {})));
    let asked = story.scroll(&mut joined, |_, _| {});
    assert_eq!((asked[&GIVER], posts(&joined)), (8, Vec::new()));
}

/// Who joined by a snapshot is no archive, whatever it is told to be; its own snapshot starts as any other.
#[test]
fn a_joined_node_is_no_archive_and_starts_from_its_own_snapshot() {
    let mut story = Story::new(40);
    let limits = Limits { join_from: 10, by_hash: 1, snapshot_every: 5, window: 7, ..Limits::default() };
    let mut joined = Alone::reader(&story.friends.circle, &story.reader, limits);
    joined.engine.present(Some((&story.friends.secret, story.friends.invite))).unwrap();
    assert!(by_snapshot(&story.read(&mut joined, |_| {})));
    story.tell(10);
    story.read(&mut joined, |_| {});
    assert!(joined.records.keys().any(|name| name.starts_with("snapshot")));
    joined.engine = joined.reopen_with(Limits { archive: true, ..limits }).unwrap();
    let by = story.friends.circle.founder.device.id();
    let Answer::Differ { height, .. } = digest(&mut joined, by) else { panic!("the same as nothing") };
    let whole = digest(&mut story.giver, by);
    assert_eq!(digest(&mut joined, by), whole);
    // Asked by who holds the same.
    story.giver.act(|engine, now| engine.connected(DeviceId([7; 32]), now));
    let Some((_, _, frontier)) = story.giver.asks.pop() else { panic!("nothing is asked") };
    assert_eq!(joined.ask(by, frontier), Some(Answer::Same { height }), "not all of it is kept");
}

/// Whoever gave it byte by byte would keep all others waiting.
#[test]
fn a_giver_that_drips_is_left_at_the_first_chunk_that_is_not_full() {
    let mut story = Story::new(20);
    let mut whole = story.reader(u64::MAX);
    story.read(&mut whole, |_| {});
    for most in [0, 1, 1_000] {
        let mut joined = story.reader(10);
        let mut chunks = 0;
        let asked = story.read(&mut joined, |answer| {
            if let Some(Answer::Snapshot { chunk, .. }) = answer {
                assert!(chunk.len() > most, "the snapshot is longer");
                chunk.truncate(most);
                chunks += 1;
            }
        });
        assert_eq!((most, chunks), (most, 1));
        assert!(asked.iter().any(|ask| matches!(ask, Ask::Settled { .. })), "the history is taken in whole");
        assert_same(&story, &mut joined, &mut whole);
    }
}

/// However many join at once, a giver holds one snapshot: who is at another one is told so, and takes the history whole.
/// Each pin takes one of its own, so it makes another only now and then, and none for a header that never was.
#[test]
fn a_giver_holds_one_snapshot_and_alternating_pins_make_it_no_work() {
    let mut story = Story::new(30);
    let [one, other] = [story.friends.circle.founder.device.id(), story.friends.friend.device.id()];
    let pin = |height: u64| Some(Anchor { height, hash: story.proofs[height as usize - 1].checkpoint.header.hash() });
    let (first, second, made_up) = (pin(7), pin(17), Some(Anchor { height: 9, ..pin(7).unwrap() }));
    let mut ask = |peer, pinned, hash, at, wait: u64| {
        story.giver.now += wait;
        match story.giver.ask(peer, Ask::Snapshot { pinned, hash, at }) {
            Some(Answer::Snapshot { hash, len, chunk }) => Ok((hash, len, chunk.len())),
            Some(Answer::No(why)) => Err(why),
            answer => panic!("{answer:?}"),
        }
    };
    let nothing = Hash([0; 32]);
    let (hash, len, whole) = ask(one, first, nothing, 0, 0).unwrap();
    // Two at the same one share it.
    assert_eq!(ask(other, first, nothing, 0, 0), Ok((hash, len, whole)));
    for pinned in [second, None, made_up] {
        assert_eq!(ask(other, pinned, nothing, 0, 100), Err(No::Busy));
        assert_eq!(ask(one, first, hash, 5, 100), Ok((hash, len, whole - 5)));
    }
    assert_eq!(ask(other, made_up, nothing, 0, 2_000), Err(No::NotKept));
    assert_eq!(ask(one, first, hash, 5, 0), Ok((hash, len, whole - 5)));
    // Another takes its place.
    let (another, len, _) = ask(other, second, nothing, 0, 0).unwrap();
    assert_ne!(another, hash);
    assert_eq!(ask(one, first, hash, 5, 0), Err(No::NotKept));
    assert!(ask(other, second, another, 5, 0).is_ok());
    // Beyond its end there is nothing, and nobody's place grows by asking for it.
    for at in [len + 1_000_000, u64::MAX] {
        assert_eq!(ask(other, second, another, at, 0), Ok((another, len, 0)));
    }
}

/// Whoever is ahead gives at once, while the newcomer is still asking for the snapshot.
#[test]
fn what_is_given_meanwhile_does_not_keep_a_newcomer_from_joining_by_a_snapshot() {
    let mut story = Story::new(40);
    let mut whole = story.reader(u64::MAX);
    story.read(&mut whole, |_| {});
    let firsts = story.friends.entries[..20].to_vec();
    // Before the first, the second, the third answer: the frontiers, the devices, the snapshot.
    for (by_gossip, before) in [(false, 1), (false, 2), (false, 3), (true, 1), (true, 2), (true, 3)] {
        let (mut joined, mut questions) = (story.reader(10), 0);
        joined.engine.set_keepers(vec![GIVER]);
        joined.act(|engine, now| engine.connected(GIVER, now));
        let asked = story.read_on(&mut joined, |story, joined, _, ask| {
            questions += 1;
            if questions == before && by_gossip {
                firsts.iter().for_each(|packed| joined.gossip(packed));
            } else if questions == before {
                assert_eq!(joined.give(GIVER, firsts.clone()), Some(Answer::No(No::Busy)));
            }
            story.giver.ask(story.reader.device.id(), ask)
        });
        assert!(by_snapshot(&asked), "gossip {by_gossip}, before answer {before}: {asked:?}");
        assert!(joined.held() < 10, "{} entries", joined.held());
        assert_same(&story, &mut joined, &mut whole);
        // From now on it takes what it is given.
        let post = story.friends.post("given");
        assert!(matches!(joined.give(GIVER, vec![post]), Some(Answer::Held { entries: 1, refused: 0, .. })));
        story.friends.entries.pop();
        story.friends.friend = alone::twin_before(&story.friends);
    }
}

/// A relay that is no witness keeps everything and reads nothing, so it has no snapshot.
#[test]
fn a_newcomer_waits_a_while_for_who_may_have_a_snapshot_and_no_longer() {
    const KEEPER: DeviceId = DeviceId([6; 32]);
    let mut story = Story::new(40);
    let mut whole = story.reader(u64::MAX);
    story.read(&mut whole, |_| {});
    let mut keeper = Alone::keeper(&story.friends.circle);
    story.friends.entries.iter().for_each(|packed| keeper.gossip(packed));
    story.proofs.iter().for_each(|proof| keeper.vote(proof));
    let ask = |keeper: &mut Alone, story: &mut Story, peer, ask| {
        let asked = if peer == KEEPER { keeper } else { &mut story.giver };
        asked.ask(story.reader.device.id(), ask)
    };
    let mut read = |story: &mut Story, joined: &mut Alone, by: DeviceId| {
        joined.act(|engine, now| engine.connected(by, now));
        story.read_on(joined, |story, _, peer, asked| ask(&mut keeper, story, peer, asked))
    };
    // Nobody else is to be expected: at once.
    let mut joined = story.reader(10);
    joined.engine.set_keepers(vec![KEEPER]);
    assert!(!by_snapshot(&read(&mut story, &mut joined, KEEPER)));
    assert_eq!(joined.now, alone::NOW);
    assert_same(&story, &mut joined, &mut whole);

    // Another may come, and does not.
    let mut joined = story.reader(10);
    joined.engine.set_keepers(vec![KEEPER, GIVER]);
    assert!(!by_snapshot(&read(&mut story, &mut joined, KEEPER)));
    assert!((5_000..=10_000).contains(&(joined.now - alone::NOW)), "{} ms", joined.now - alone::NOW);
    assert_same(&story, &mut joined, &mut whole);

    // It comes meanwhile.
    let mut joined = story.reader(10);
    joined.engine.set_keepers(vec![KEEPER, GIVER]);
    joined.act(|engine, now| engine.connected(KEEPER, now));
    while let Some((peer, no, asked)) = (!joined.asks.is_empty()).then(|| joined.asks.remove(0)) {
        let answer = ask(&mut keeper, &mut story, peer, asked);
        joined.act(|engine, now| engine.answered(no, answer, now));
    }
    assert_eq!((joined.held(), joined.now), (0, alone::NOW));
    joined.act(|engine, now| engine.connected(GIVER, now));
    let asked = story.read_on(&mut joined, |story, _, peer, asked| ask(&mut keeper, story, peer, asked));
    assert!(by_snapshot(&asked));
    assert_eq!(joined.now, alone::NOW);
    assert_same(&story, &mut joined, &mut whole);
}
