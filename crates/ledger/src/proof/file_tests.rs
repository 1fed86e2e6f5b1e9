#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::file::{Author, Claim, EntryClaim, FileError, ForkClaim, Older, Opened, ProofFile, StampClaim};
use super::fixture::{Story, Voter, set};
use super::*;
use crate::bytes::{DeviceId, EntryId, Hash, MemberId};
use crate::codec::encode;
use crate::entry::{Lane, Packed, Role};
use crate::hash::{context, hash};
use crate::hostile::{Person as Hand, besiege, flip_every_bit};
use crate::keys::DeviceKey;
use crate::op::{Operation, Talk};
use crate::seal::{BodyKey, seal_reason};
use crate::state::{Device, Member, Stamped, StateKey, Vouched};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

const SALT: [u8; 32] = [3; 32];
const DOCUMENT: Hash = Hash([6; 32]);

fn enrolled(member: MemberId, key: &DeviceKey) -> Device {
    let (role, box_key) = (Role::Write, key.box_key());
    Device { member, role, box_key, enrolled_height: 1, epoch: 0, retired: false }
}

/// A circle whose founder wrote a post, which height 2 settled, and thanked a friend, which height 4 settled; three
/// witnesses since height 2.
struct Told {
    story: Story,
    tree: StateTree,
    friend: MemberId,
    post: Packed,
    thanks: Packed,
}

fn told() -> Told {
    let mut story = Story::new();
    let mut founder = core::mem::replace(&mut story.circle.founder, Hand::new(0));
    founder.seq = 1;
    let friend = Hand::new(7);
    let (member, device) = (founder.member(), founder.device.id());
    let records = [(member, "Anna"), (friend.member(), "Ben")].map(|(id, name)| {
        let member = Member { name: name.to_string(), joined_height: 1, balance: 93, ..Member::default() };
        (StateKey::Member(id), encode(&member))
    });
    let device_record = |member, key: &DeviceKey| (StateKey::Device(key.id()), encode(&enrolled(member, key)));
    let devices = [device_record(member, &founder.device), device_record(friend.member(), &friend.device)];
    let stamped = Stamped {
        by: member,
        device,
        entry: EntryId([8; 32]),
        height: 2,
        time: 55,
        vouched: alloc::vec![Vouched { member: friend.member(), device: friend.device.id(), height: 3, time: 66 }],
    };
    let stamp = [(StateKey::Stamp(DOCUMENT), encode(&stamped))];
    let tree = StateTree::new(records.into_iter().chain(devices).chain(stamp), SALT);

    let post = story.circle.post(&mut founder, &[], "the cake is in the fridge");
    let talk = story.circle.keys.talk.clone().unwrap();
    let reason = seal_reason(story.circle.id, device, founder.seq, &talk, [5; 24], b"for the cake").unwrap();
    let thanks =
        story.circle.operate(&mut founder, &[], &Operation::Transfer { to: friend.member(), amount: 7, reason });
    story.circle.founder = founder;
    let id = |packed: &Packed| packed.signed.entry.id(story.circle.id);
    let (first, second) = ([id(&post)], [id(&thanks)]);
    story.settle(&[]);
    story.settle_with(&[1, 2, 3], tree.root(), &first);
    story.settle(&[]);
    story.settle_with(&[], tree.root(), &second);
    Told { story, tree, friend: friend.member(), post, thanks }
}

impl Told {
    fn file(&self, claim: Claim) -> ProofFile {
        let chain = LightChain::new(None, &self.story.proofs, &self.story.hashes).unwrap();
        ProofFile { genesis: self.story.circle.genesis.clone(), chain, claim }
    }

    fn author(&self) -> Author {
        let founder = &self.story.circle.founder;
        Author {
            device: self.tree.prove(StateKey::Device(founder.device.id())),
            member: self.tree.prove(StateKey::Member(founder.member())),
        }
    }

    /// The post; height 2 settled it, and height 4 is the newest.
    fn post(&self, opened: bool) -> ProofFile {
        let ancestry = HistoryProof::new(&self.story.hashes, 2, 4).unwrap();
        let settled = Some(Older { header: self.story.header(2), ancestry });
        self.entry(&self.post, settled, opened, Lane::Talk, None)
    }

    fn thanks(&self, opened: bool) -> ProofFile {
        let talk = self.story.circle.keys.talk.as_ref().unwrap();
        let sealed = match Operation::decode(&self.plain(&self.thanks)) {
            Ok(Operation::Transfer { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        let reason = BodyKey::of_reason(talk, &sealed).filter(|_| opened);
        self.entry(&self.thanks, None, opened, Lane::State, reason)
    }

    fn plain(&self, packed: &Packed) -> Vec<u8> {
        let circle = &self.story.circle;
        crate::seal::open_body(circle.id, &packed.signed.entry, &circle.keys.state, packed.body.as_ref().unwrap())
            .unwrap()
    }

    fn entry(
        &self,
        packed: &Packed,
        settled: Option<Older>,
        opened: bool,
        lane: Lane,
        reason: Option<BodyKey>,
    ) -> ProofFile {
        let body = packed.body.clone().unwrap();
        let key = BodyKey::of_body(self.story.circle.keys.lane(lane).unwrap(), &body).unwrap();
        let id = packed.signed.entry.id(self.story.circle.id);
        self.file(Claim::Entry(Box::new(EntryClaim {
            signed: packed.signed.clone(),
            author: self.author(),
            settled,
            place: EntryProof::new(&[id], 0).unwrap(),
            opened: opened.then_some(Opened { body, key, reason }),
        })))
    }

    fn member(&self, id: MemberId) -> ProofFile {
        self.file(Claim::Member(Box::new(self.tree.prove(StateKey::Member(id)))))
    }

    fn stamp(&self) -> StampClaim {
        let members = [self.story.circle.founder.member(), self.friend].map(|id| self.tree.prove(StateKey::Member(id)));
        StampClaim { stamp: self.tree.prove(StateKey::Stamp(DOCUMENT)), members: members.to_vec() }
    }

    fn fork(&self, author: Option<Author>) -> ProofFile {
        let circle = &self.story.circle;
        let entry = |text| {
            let mut person = Hand::new(0);
            person.device = DeviceKey::from_secret(*circle.founder.device.secret());
            person.seq = 3;
            circle.post(&mut person, &[], text).signed
        };
        let fork = ForkProof::new(circle.id, entry("one"), entry("other")).unwrap();
        let file = self.file(Claim::Fork(Box::new(ForkClaim { fork, author: author.clone() })));
        let chain = LightChain { start: None, links: Vec::new() };
        if author.is_some() { file } else { ProofFile { chain, ..file } }
    }

    fn all(&self) -> Vec<ProofFile> {
        let anna = self.story.circle.founder.member();
        alloc::vec![
            self.file(Claim::Header),
            self.member(anna),
            self.member(MemberId([9; 32])),
            self.post(true),
            self.post(false),
            self.thanks(true),
            self.file(Claim::Stamp(Box::new(self.stamp()))),
            self.fork(Some(self.author())),
            self.fork(None),
        ]
    }
}

#[test]
fn a_post_is_proven_by_whom_when_and_what() {
    let told = told();
    let proven = ProofFile::verify(&told.post(true).encode()).unwrap();
    let (story, founder) = (&told.story, &told.story.circle.founder);
    assert_eq!((proven.circle, proven.circle_name.as_str()), (story.circle.id, "circle"));
    let rests = proven.trust.unwrap();
    assert_eq!((rests.start.height, rests.newest, rests.changes), (0, story.head(), 1));
    assert_eq!((rests.votes, rests.witnesses, rests.time), (3, 3, story.header(4).time));
    let header = story.header(2);
    let expected = Statement::Entry {
        id: told.post.signed.entry.id(story.circle.id),
        author: Person {
            device: founder.device.id(),
            member: founder.member(),
            name: "Anna".to_string(),
            removed: None,
        },
        seq: 1,
        written: told.post.signed.entry.time,
        settled: crate::entry::Anchor { height: 2, hash: header.hash() },
        settled_time: header.time,
        content: Content::Talk(Talk::Post { text: "the cake is in the fridge".to_string() }),
    };
    assert_eq!(proven.statement, expected);
    assert_eq!(proven.limits(), [Limit::Circle, Limit::Names, Limit::AuthorsClock, Limit::Reading]);
    let sealed = ProofFile::verify(&told.post(false).encode()).unwrap();
    assert!(matches!(sealed.statement, Statement::Entry { content: Content::Sealed(Lane::Talk), .. }));
    assert_eq!(sealed.limits(), [Limit::Circle, Limit::Names, Limit::AuthorsClock]);
}

#[test]
fn thanks_are_proven_with_their_reason() {
    let told = told();
    let proven = told.thanks(true).check().unwrap();
    let Statement::Entry { content, settled, .. } = &proven.statement else { panic!("{proven:?}") };
    let Content::Operation(Operation::Transfer { to, amount, .. }, reason) = content else { panic!("{content:?}") };
    assert_eq!((*to, *amount, reason.as_deref(), settled.height), (told.friend, 7, Some("for the cake"), 4));
    assert!(proven.limits().contains(&Limit::Effect));
}

#[test]
fn a_stamp_is_proven_with_who_vouched() {
    let told = told();
    let file = |claim: StampClaim| told.file(Claim::Stamp(Box::new(claim)));
    let proven = ProofFile::verify(&file(told.stamp()).encode()).unwrap();
    assert_eq!((proven.document(), proven.limits()), (Some(DOCUMENT), [Limit::Circle, Limit::Names].to_vec()));
    let Statement::Stamp { by, entry, height: 2, time: 55, vouchers, .. } = proven.statement else { panic!() };
    assert_eq!((by.name.as_str(), by.member, entry), ("Anna", told.story.circle.founder.member(), EntryId([8; 32])));
    let [Voucher { person, height: 3, time: 66 }] = &vouchers[..] else { panic!("{vouchers:?}") };
    assert_eq!((person.name.as_str(), person.member), ("Ben", told.friend));

    let with = |change: &dyn Fn(&mut StampClaim)| {
        let mut claim = told.stamp();
        change(&mut claim);
        file(claim).check().map(drop)
    };
    let other = Err(FileError::Proof(ProofError::Other));
    assert_eq!(with(&|claim| claim.members.swap(0, 1)), other, "another stamped it");
    assert_eq!(with(&|claim| drop(claim.members.pop())), Err(FileError::NoMember), "who vouched is left out");
    assert_eq!(with(&|claim| claim.members.push(claim.members[0].clone())), Err(FileError::NoMember));
    assert_eq!(with(&|claim| claim.stamp = claim.members[0].clone()), other);
    let unstamped = told.tree.prove(StateKey::Stamp(Hash([7; 32])));
    assert_eq!(with(&|claim| claim.stamp = unstamped.clone()), Err(FileError::NotStamped));
    assert_eq!(with(&|claim| claim.stamp.key = unstamped.key), Err(FileError::Proof(ProofError::NotUnderRoot)));
}

#[test]
fn members_forks_and_headers_are_proven() {
    let told = told();
    let (story, anna) = (&told.story, told.story.circle.founder.member());
    let [header, there, absent, .., fork, bare] = &told.all()[..] else { panic!() };
    assert_eq!(header.check().unwrap().statement, Statement::Header(story.header(4)));
    let member = Statement::Member { id: anna, name: "Anna".to_string(), joined_height: 1, balance: 93, removed: None };
    assert_eq!(there.check().unwrap().statement, member);
    assert_eq!(absent.check().unwrap().statement, Statement::NoMember(MemberId([9; 32])));
    let proven = fork.check().unwrap();
    let Statement::Fork { device, author, seq: 3, entries } = proven.statement else { panic!("{proven:?}") };
    assert_eq!((device, author.unwrap().member), (story.circle.founder.device.id(), anna));
    assert!(entries[0] < entries[1]);
    let bare = bare.check().unwrap();
    assert_eq!((bare.trust, bare.limits()), (None, [Limit::Circle, Limit::NoAuthor].to_vec()));
}

#[test]
fn from_a_pinned_header_the_file_says_so() {
    let told = told();
    let mut file = told.post(true);
    let start = Pinned { header: told.story.header(2), witnesses: set(&[1, 2, 3].map(Voter::new)) };
    let pinned = start.anchor();
    file.chain = LightChain::new(Some(start), &told.story.proofs, &told.story.hashes).unwrap();
    let proven = ProofFile::verify(&file.encode()).unwrap();
    let rests = proven.trust.unwrap();
    assert_eq!((rests.start, rests.changes, rests.witnesses), (pinned, 0, 3));
    assert!(proven.limits().contains(&Limit::Pinned));
}

/// With the checksum made again: what is claimed is bound by hashes and signatures, and not by the checksum.
fn every_changed_bit_is_found(file: &ProofFile) {
    let bytes = file.encode();
    let unchanged = file.check().unwrap();
    flip_every_bit(&bytes[..bytes.len() - 32], |bytes| {
        let Ok(proven) = ProofFile::verify(&sealed_again(bytes)) else { return false };
        // Another stranger is absent as well, and the file says that it is another.
        !matches!((&proven.statement, &unchanged.statement),
            (Statement::NoMember(one), Statement::NoMember(other)) if one != other)
    });
}

#[test]
fn every_changed_bit_of_a_file_is_found() {
    let told = told();
    // The least that proves a post: its founder settled it alone.
    let mut story = Story::new();
    let id = told.post.signed.entry.id(story.circle.id);
    story.settle_with(&[], told.tree.root(), &[id]);
    let small = LightChain::new(None, &story.proofs, &story.hashes).unwrap();
    let mut post = ProofFile { chain: small, ..told.post(true) };
    let Claim::Entry(claim) = &mut post.claim else { panic!() };
    claim.settled = None;
    every_changed_bit_is_found(&post);
    flip_every_bit(&post.encode(), |bytes| ProofFile::verify(bytes).is_ok());
    every_changed_bit_is_found(&told.fork(None));
}

#[test]
#[ignore = "some minutes: each bit of each kind of file"]
fn every_changed_bit_of_every_kind_of_file_is_found() {
    told().all().iter().for_each(every_changed_bit_is_found);
}

fn sealed_again(bytes: &[u8]) -> Vec<u8> {
    [bytes, &hash(context::PROOF_FILE, &[bytes])].concat()
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let told = told();
    let (post, thanks) = (told.post(true), told.thanks(true));
    let entry = |file: &ProofFile| match &file.claim {
        Claim::Entry(claim) => (**claim).clone(),
        other => panic!("{other:?}"),
    };
    let with = |change: &dyn Fn(&mut EntryClaim)| {
        let mut claim = entry(&post);
        change(&mut claim);
        told.file(Claim::Entry(Box::new(claim))).check().map(drop)
    };
    assert_eq!(with(&|_| ()), Ok(()));
    let not_under = Err(FileError::Proof(ProofError::NotUnderRoot));
    assert_eq!(with(&|claim| claim.settled = None), not_under, "the newest header settled another");
    assert_eq!(with(&|claim| claim.settled.as_mut().unwrap().header.time += 1), not_under);
    assert_eq!(with(&|claim| claim.signed = told.thanks.signed.clone()), not_under);
    // A key of small order "signs" anything.
    let anybodys = with(&|claim| {
        (claim.signed.entry.device, claim.signed.signature) = (DeviceId([0; 32]), crate::bytes::Signature([0; 64]));
    });
    assert_eq!(anybodys, Err(FileError::Proof(ProofError::Signature)));
    let forged = with(&|claim| claim.signed.signature.0[3] ^= 1);
    assert_eq!(forged, Err(FileError::Proof(ProofError::Signature)));
    assert_eq!(with(&|claim| claim.signed.entry.version = 2), Err(FileError::Proof(ProofError::Version)));
    // Whoever has the lane's key could seal another text to the same place.
    let another = with(&|claim| {
        let (circle, entry) = (&told.story.circle, &claim.signed.entry);
        let (talk, at) = (circle.keys.talk.as_ref().unwrap(), crate::seal::BodyContext::of(circle.id, entry));
        let talks = Talk::Post { text: "the cake is in my room".to_string() };
        let body = crate::seal::seal_body(&at, talk, [0x77; 24], &talks.encode()).unwrap();
        assert_eq!(body.len(), entry.body_len as usize);
        let key = BodyKey::of_body(talk, &body).unwrap();
        assert!(key.open_body(circle.id, entry, &body).is_ok());
        claim.opened = Some(Opened { body, key, reason: None });
    });
    assert_eq!(another, Err(FileError::Body));
    // What needs no header has none, and its circle can be one all the same.
    let bare = told.fork(None);
    assert!(bare.check().is_ok());
    let mut start = bare.clone();
    start.chain.start = Some(Pinned { header: told.story.header(2), witnesses: set(&[1, 2, 3].map(Voter::new)) });
    assert_eq!(start.check(), Err(FileError::NoHeader));
    let mut nameless = bare;
    nameless.genesis.name.clear();
    assert!(matches!(nameless.check(), Err(FileError::Genesis(_))));
    let other = Err(FileError::Proof(ProofError::Other));
    let friend = told.tree.prove(StateKey::Member(told.friend));
    assert_eq!(with(&|claim| claim.author.member = friend.clone()), other, "another member's device");
    let friends = told.tree.prove(StateKey::Device(Hand::new(7).device.id()));
    assert_eq!(with(&|claim| claim.author.device = friends.clone()), other, "another device");
    let nobody = told.tree.prove(StateKey::Device(DeviceId([9; 32])));
    assert_eq!(with(&|claim| claim.author.device = nobody.clone()), other);
    assert_eq!(with(&|claim| claim.opened = entry(&thanks).opened), Err(FileError::Body));
    let reason = entry(&thanks).opened.unwrap().reason;
    assert_eq!(with(&|claim| claim.opened.as_mut().unwrap().reason = reason.clone()), Err(FileError::Body));
    assert_eq!(with(&|claim| claim.opened.as_mut().unwrap().key = reason.clone().unwrap()), Err(FileError::Body));

    // Without a certified header nothing is settled; with one, a fork shows whose device it is.
    for mut file in [post, told.member(told.friend), told.file(Claim::Header), told.fork(Some(told.author()))] {
        file.chain.links.clear();
        assert_eq!(file.check().map(drop), Err(FileError::NoHeader));
    }
    let bare = ProofFile { chain: told.file(Claim::Header).chain, ..told.fork(None) };
    assert_eq!(bare.check().map(drop), Err(FileError::NoHeader));
    let device = Claim::Member(Box::new(told.tree.prove(StateKey::Device(told.story.circle.founder.device.id()))));
    assert_eq!(told.file(device).check().map(drop), Err(FileError::Proof(ProofError::Other)));
    // Another circle of the same name and the same people.
    let mut foreign = told.file(Claim::Header);
    foreign.genesis.salt[0] ^= 1;
    assert!(matches!(foreign.check(), Err(FileError::Trust(_))));
    // A device that is enrolled for somebody who is no member.
    let key = StateKey::Device(told.story.circle.founder.device.id());
    let stray = enrolled(MemberId([9; 32]), &told.story.circle.founder.device);
    let tree = StateTree::new([(key, encode(&stray))], SALT);
    let mut story = Story::new();
    story.circle.founder = Hand::new(0);
    story.settle_with(&[], tree.root(), &[told.post.signed.entry.id(story.circle.id)]);
    let author = Author { device: tree.prove(key), member: tree.prove(StateKey::Member(MemberId([9; 32]))) };
    let claim = EntryClaim { author, settled: None, opened: None, ..entry(&told.post(false)) };
    let chain = LightChain::new(None, &story.proofs, &story.hashes).unwrap();
    let stray = ProofFile { genesis: story.circle.genesis.clone(), chain, claim: Claim::Entry(Box::new(claim)) };
    assert_eq!(stray.check().map(drop), Err(FileError::NoMember));
}

#[test]
fn what_is_no_file_says_why() {
    let bytes = told().file(Claim::Header).encode();
    let why = |bytes: &[u8]| ProofFile::verify(bytes).unwrap_err();
    assert_eq!(why(b""), FileError::NotOne);
    assert_eq!(why(b"%PDF-1.7"), FileError::NotOne);
    assert_eq!(why(&bytes[..8]), FileError::Damaged);
    assert_eq!(why(&bytes[..bytes.len() - 1]), FileError::Damaged);
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert_eq!(why(&newer), FileError::Version(2));
    assert!(matches!(why(&alloc::vec![0; MAX_PROOF_FILE + 1]), FileError::Codec(_)));
    let mut longer = bytes[..bytes.len() - 32].to_vec();
    longer.push(0);
    assert!(matches!(why(&sealed_again(&longer)), FileError::Codec(_)));
}

#[test]
fn hostile_files() {
    let told = told();
    let files: Vec<ProofFile> = told.all();
    let valid: Vec<Vec<u8>> = files.iter().map(|file| file.encode()).collect();
    let open: Vec<Vec<u8>> = valid.iter().map(|bytes| bytes[..bytes.len() - 32].to_vec()).collect();
    besiege(&open, 4_000, |bytes| {
        let bytes = sealed_again(bytes);
        if let Ok(file) = ProofFile::decode(&bytes) {
            assert_eq!(file.encode(), bytes);
            if let Ok(proven) = file.check() {
                let absent = matches!(proven.statement, Statement::NoMember(_));
                assert!(absent || valid.contains(&bytes));
            }
        }
    });
}
