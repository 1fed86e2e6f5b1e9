//! What a proof file proves: the claim, by whom, when, and what that rests on.

use super::file::{Author, Claim, EntryClaim, FileError, ForkClaim, MAX_NAMED, Opened, ProofFile, StampClaim};
use super::{LightChain, ProofError, StateProof, Trust};
use crate::bytes::{CircleId, DeviceId, EntryId, Hash, MemberId};
use crate::entry::{Anchor, Entry, Lane, VERSION, hash_body};
use crate::keys::check_key;
use crate::op::{Operation, Talk};
use crate::settle::Header;
use crate::state::{Stamped, StateKey, Vouched};
use crate::verify::verify;
use alloc::string::String;
use alloc::vec::Vec;

/// What a file proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The circle. Its name says nothing, for anybody can give a circle that name: whoever relies on a proof compares the
    /// id with the one they know.
    pub circle: CircleId,
    /// The circle's name, as its founder gave it.
    pub circle_name: String,
    /// By whom it is settled; none where the claim holds by signatures alone.
    pub trust: Option<Rests>,
    /// What is claimed, and holds.
    pub statement: Statement,
}

/// What trust in a file's newest header rests on: that at each height since the start no quorum of the witnesses of that
/// height lied, nor lost its keys since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rests {
    /// Where it starts: height 0 is the genesis, and needs no other word than the circle's id. A later header is as good as
    /// whoever told it.
    pub start: Anchor,
    /// How often the witnesses changed since.
    pub changes: usize,
    /// The newest header.
    pub newest: Anchor,
    /// Its time in milliseconds since 1970: the proposer's clock, which a quorum found plausible.
    pub time: u64,
    /// How many witnesses voted for it.
    pub votes: usize,
    /// How many there were.
    pub witnesses: usize,
}

/// A member's device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The device.
    pub device: DeviceId,
    /// Whose it is.
    pub member: MemberId,
    /// What the member calls themself.
    pub name: String,
    /// The height at which they were removed, if they were.
    pub removed: Option<u64>,
}

/// Who vouched for a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// Who, with the device by which they did; without a name where the file names too many.
    pub person: Person,
    /// The height at which that settled.
    pub height: u64,
    /// That header's time, milliseconds since 1970.
    pub time: u64,
}

/// A claim that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// The newest header is settled.
    Header(Header),
    /// A member is one, by the newest header.
    Member {
        /// The identity.
        id: MemberId,
        /// What they call themself.
        name: String,
        /// The height at which they joined.
        joined_height: u64,
        /// Their points.
        balance: u64,
        /// The height at which they were removed, if they were.
        removed: Option<u64>,
    },
    /// Nobody with this identity is a member, by the newest header.
    NoMember(MemberId),
    /// An entry was settled.
    Entry {
        /// The entry.
        id: EntryId,
        /// Who wrote it.
        author: Person,
        /// Its place in the device's chain.
        seq: u64,
        /// The author's clock, milliseconds since 1970.
        written: u64,
        /// The header that settled it.
        settled: Anchor,
        /// That header's time, milliseconds since 1970.
        settled_time: u64,
        /// What it says.
        content: Content,
    },
    /// A device signed two entries for one place of its chain.
    Fork {
        /// The device.
        device: DeviceId,
        /// Whose it is, if the file shows that.
        author: Option<Person>,
        /// The place.
        seq: u64,
        /// Both entries.
        entries: [EntryId; 2],
    },
    /// A document existed when its stamp was settled.
    Stamp {
        /// BLAKE3 of the document.
        document: Hash,
        /// Who stamped it.
        by: Person,
        /// The entry that did.
        entry: EntryId,
        /// The height at which that settled.
        height: u64,
        /// That header's time, milliseconds since 1970.
        time: u64,
        /// Who vouched for it besides, sorted by member.
        vouchers: Vec<Voucher>,
    },
}

/// What an entry says, as far as the file shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The file does not show it.
    Sealed(Lane),
    /// It opens, and is of a kind that this code does not know.
    Unknown(Lane),
    /// Talk.
    Talk(Talk),
    /// An operation; and the reason of a transfer, or a stamp's note, if that is shown.
    Operation(Operation, Option<String>),
}

/// What a proof does not say. Whoever shows a proof shows these with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// That the circle is the one that is thought of: compare its id.
    Circle,
    /// It starts from a header that somebody must have told: compare its height and hash.
    Pinned,
    /// One witness alone settled it, and could have shown others another history.
    SoleWitness,
    /// Names are what members call themselves.
    Names,
    /// When it was written is the author's word; when it was settled is the witnesses'.
    AuthorsClock,
    /// An author who prepared it can make one sealed body that opens to two texts under two keys.
    Reading,
    /// The entry is settled; whether its operation took effect is not shown.
    Effect,
    /// That the device is a member's is not shown.
    NoAuthor,
}

impl Proven {
    /// BLAKE3 of the document that it is about, if it is about one.
    pub fn document(&self) -> Option<Hash> {
        match self.statement {
            Statement::Stamp { document, .. } => Some(document),
            Statement::Header(_)
            | Statement::Member { .. }
            | Statement::NoMember(_)
            | Statement::Entry { .. }
            | Statement::Fork { .. } => None,
        }
    }

    /// What it does not say.
    pub fn limits(&self) -> Vec<Limit> {
        let mut limits = alloc::vec![Limit::Circle];
        if let Some(rests) = &self.trust {
            limits.extend((rests.start.height > 0).then_some(Limit::Pinned));
            limits.extend((rests.witnesses == 1).then_some(Limit::SoleWitness));
        }
        match &self.statement {
            Statement::Header(_) | Statement::NoMember(_) => {}
            Statement::Member { .. } | Statement::Stamp { .. } => limits.push(Limit::Names),
            Statement::Fork { author, .. } => {
                limits.push(if author.is_some() { Limit::Names } else { Limit::NoAuthor });
            }
            Statement::Entry { content, .. } => {
                limits.extend([Limit::Names, Limit::AuthorsClock]);
                let (opens, operates) = match content {
                    Content::Sealed(lane) => (false, *lane == Lane::State),
                    Content::Unknown(lane) => (true, *lane == Lane::State),
                    Content::Talk(_) => (true, false),
                    Content::Operation(..) => (true, true),
                };
                limits.extend(opens.then_some(Limit::Reading));
                limits.extend(operates.then_some(Limit::Effect));
            }
        }
        limits
    }
}

impl ProofFile {
    /// Reads a file and checks everything in it.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn verify(bytes: &[u8]) -> Result<Proven, FileError> {
        Self::decode(bytes)?.check()
    }

    /// Checks everything in it.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn check(&self) -> Result<Proven, FileError> {
        self.genesis.check()?;
        let circle = self.genesis.id();
        let newest = if self.chain.links.is_empty() { None } else { Some(Newest::reach(self)?) };
        let statement = match (&self.claim, &newest) {
            (Claim::Header, Some(newest)) => Statement::Header(newest.header.clone()),
            (Claim::Member(proof), Some(newest)) => member(proof, newest)?,
            (Claim::Entry(claim), Some(newest)) => entry(claim, newest)?,
            (Claim::Stamp(claim), Some(newest)) => stamp(claim, newest)?,
            (Claim::Fork(claim), newest) => fork(claim, circle, newest.as_ref())?,
            (Claim::Header | Claim::Member(_) | Claim::Entry(_) | Claim::Stamp(_), None) => {
                return Err(FileError::NoHeader);
            }
        };
        if newest.is_none() && self.chain.start.is_some() {
            return Err(FileError::NoHeader);
        }
        let trust = newest.map(|newest| newest.rests);
        Ok(Proven { circle, circle_name: self.genesis.name.clone(), trust, statement })
    }
}

/// The newest header of a file, trusted.
struct Newest {
    circle: CircleId,
    trust: Trust,
    header: Header,
    rests: Rests,
}

impl Newest {
    fn reach(file: &ProofFile) -> Result<Self, FileError> {
        let ProofFile { genesis, chain, .. } = file;
        let start = chain.start.as_ref().map(super::Pinned::anchor);
        let trust = chain.check(genesis, start)?;
        let (Some(header), Some((last, before))) = (trust.header().cloned(), chain.links.split_last()) else {
            return Err(FileError::NoHeader);
        };
        let rests = Rests {
            start: start.unwrap_or(Trust::genesis(genesis).head()),
            changes: before.len(),
            newest: trust.head(),
            time: header.time,
            votes: last.checkpoint.certificate.votes.len(),
            witnesses: voters(chain),
        };
        Ok(Newest { circle: genesis.id(), trust, header, rests })
    }
}

/// How many could vote on the last link of a chain that holds.
fn voters(chain: &LightChain) -> usize {
    let Some((last, before)) = chain.links.split_last() else { return 0 };
    if last.renewal.is_some() {
        return 1;
    }
    let told = |link: &super::Link| {
        let told = link.witnesses.as_ref().map(|witnesses| witnesses.all().len());
        told.or(link.renewal.map(|_| 1))
    };
    let start = || chain.start.as_ref().map(|start| start.witnesses.all().len());
    before.iter().rev().find_map(told).or_else(start).unwrap_or(1)
}

fn member(proof: &StateProof, newest: &Newest) -> Result<Statement, FileError> {
    let StateKey::Member(id) = proof.key else { return Err(ProofError::Other.into()) };
    Ok(match proof.member(&newest.header.state_root, id)? {
        Some(member) => Statement::Member {
            id,
            name: member.name,
            joined_height: member.joined_height,
            balance: member.balance,
            removed: member.removed,
        },
        None => Statement::NoMember(id),
    })
}

impl Author {
    fn check(&self, of: DeviceId, newest: &Newest) -> Result<Person, FileError> {
        let root = &newest.header.state_root;
        let device = self.device.device(root, of)?.ok_or(FileError::NoMember)?;
        named(&self.member, device.member, of, newest)
    }
}

/// A member with a device of theirs, by the member's record.
fn named(proof: &StateProof, member: MemberId, device: DeviceId, newest: &Newest) -> Result<Person, FileError> {
    let record = proof.member(&newest.header.state_root, member)?.ok_or(FileError::NoMember)?;
    Ok(Person { device, member, name: record.name, removed: record.removed })
}

fn stamp(claim: &StampClaim, newest: &Newest) -> Result<Statement, FileError> {
    let StateKey::Stamp(document) = claim.stamp.key else { return Err(ProofError::Other.into()) };
    let record: Option<Stamped> = claim.stamp.read(&newest.header.state_root, &claim.stamp.key)?;
    let Stamped { by, device, entry, height, time, vouched } = record.ok_or(FileError::NotStamped)?;
    let (author, members) = claim.members.split_first().ok_or(FileError::NoMember)?;
    if members.len() != vouched.len().min(MAX_NAMED - 1) {
        return Err(FileError::NoMember);
    }
    let by = named(author, by, device, newest)?;
    let mut members = members.iter();
    let vouchers = vouched.into_iter().map(|Vouched { member, device, height, time }| {
        let person = match members.next() {
            Some(proof) => named(proof, member, device, newest)?,
            None => Person { device, member, name: String::new(), removed: None },
        };
        Ok(Voucher { person, height, time })
    });
    let vouchers = vouchers.collect::<Result<Vec<Voucher>, FileError>>()?;
    Ok(Statement::Stamp { document, by, entry, height, time, vouchers })
}

fn entry(claim: &EntryClaim, newest: &Newest) -> Result<Statement, FileError> {
    let entry = &claim.signed.entry;
    if entry.version != VERSION {
        return Err(ProofError::Version.into());
    }
    let id = entry.id(newest.circle);
    check_key(&entry.device.0).map_err(|_| ProofError::Signature)?;
    if !verify(&entry.device.0, &id.0, &claim.signed.signature) {
        return Err(ProofError::Signature.into());
    }
    let header = claim.settled.as_ref().map_or(&newest.header, |older| &older.header);
    newest.trust.check_older(header, claim.settled.as_ref().map(|older| &older.ancestry))?;
    claim.place.check(header, &id)?;
    Ok(Statement::Entry {
        id,
        author: claim.author.check(entry.device, newest)?,
        seq: entry.seq,
        written: entry.time,
        settled: Anchor { height: header.height, hash: header.hash() },
        settled_time: header.time,
        content: match &claim.opened {
            Some(opened) => opened.read(newest.circle, entry)?,
            None => Content::Sealed(entry.lane),
        },
    })
}

impl Opened {
    fn read(&self, circle: CircleId, entry: &Entry) -> Result<Content, FileError> {
        if self.body.len() != entry.body_len as usize || hash_body(&self.body) != entry.body_hash {
            return Err(FileError::Body);
        }
        let plain = self.key.open_body(circle, entry, &self.body).map_err(|_| FileError::Body)?;
        let content = match entry.lane {
            Lane::Talk => Talk::decode(&plain).ok().map(Content::Talk),
            Lane::State => match Operation::decode(&plain).ok() {
                Some(operation) => {
                    let reason = self.reason(circle, entry, &operation)?;
                    return Ok(Content::Operation(operation, reason));
                }
                None => None,
            },
        };
        // A key that opens nothing would say nothing, and could be any.
        if self.reason.is_some() { Err(FileError::Body) } else { Ok(content.unwrap_or(Content::Unknown(entry.lane))) }
    }

    fn reason(&self, circle: CircleId, entry: &Entry, operation: &Operation) -> Result<Option<String>, FileError> {
        let Some(key) = &self.reason else { return Ok(None) };
        let (Operation::Transfer { reason, .. } | Operation::Stamp { note: reason, .. }) = operation else {
            return Err(FileError::Body);
        };
        let plain = key.open_reason(circle, entry.device, entry.seq, reason).map_err(|_| FileError::Body)?;
        String::from_utf8(plain).map(Some).map_err(|_| FileError::Body)
    }
}

fn fork(claim: &ForkClaim, circle: CircleId, newest: Option<&Newest>) -> Result<Statement, FileError> {
    let (device, seq) = claim.fork.check(circle)?;
    let author = match (&claim.author, newest) {
        (Some(author), Some(newest)) => Some(author.check(device, newest)?),
        (None, None) => None,
        _ => return Err(FileError::NoHeader),
    };
    let entries = claim.fork.entries().map(|signed| signed.entry.id(circle));
    Ok(Statement::Fork { device, author, seq, entries })
}
