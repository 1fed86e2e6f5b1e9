//! The two descriptions and the candidates, as `/webrtc-signaling/0.0.1` has them: messages and events in, messages and
//! commands out.
//!
//! The rules:
//! - The one who dials offers; the first message is the offer, the first of the other side the answer, and there is one of
//!   each. What else has its type is refused; types that nobody knows are skipped.
//! - A description is of data alone.
//! - Candidates may come before the description that they belong to; they are kept until then. Of each side 64 count.
//! - The stream may end once both descriptions are exchanged: the other side may be through before we are.

use libp2p::StreamProtocol;

use crate::backend::{Command, Event, Failure, MAX_CANDIDATES};
use crate::error::{Cause, Error, Step};
use crate::wire::{Fields, Splitter, Value, prefixed, put_varint};

/// What the signalling's streams are called in libp2p, for identify to tell.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/webrtc-signaling/0.0.1");
/// Messages taken of the other side, whatever they are.
const MAX_MESSAGES: usize = 256;
/// What says that there are no more candidates.
const NO_MORE: &str = "null";

const OFFER: u64 = 0;
const ANSWER: u64 = 1;
const CANDIDATE: u64 = 2;

/// Whether a description speaks of one flow of data at most, and of no sound and no picture: the browser would get ready
/// to play them.
fn is_data_only(sdp: &str) -> bool {
    let media = || sdp.split(['\n', '\r']).filter(|line| line.starts_with("m="));
    media().count() <= 1 && media().all(|line| line.starts_with("m=application "))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Offerer,
    Answerer,
}

/// What the machine wants done: commands for the backend, bytes for the other side.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) commands: Vec<Command>,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) struct Signalling {
    role: Role,
    splitter: Splitter,
    messages: usize,
    /// The own description is made, and so sent.
    described: bool,
    /// The other side's description came.
    heard: bool,
    kept: Vec<Command>,
    own_candidates: usize,
    candidates: usize,
    pub(crate) connected: bool,
    pub(crate) output: Output,
}

impl Signalling {
    pub(crate) fn new(role: Role) -> Self {
        let mut output = Output::default();
        if role == Role::Offerer {
            output.commands.push(Command::Offer);
        }
        Signalling {
            role,
            splitter: Splitter::default(),
            messages: 0,
            described: false,
            heard: false,
            kept: Vec::new(),
            own_candidates: 0,
            candidates: 0,
            connected: false,
            output,
        }
    }

    /// What is being waited for.
    pub(crate) fn step(&self) -> Step {
        let (offered, answered) = match self.role {
            Role::Offerer => (self.described, self.heard),
            Role::Answerer => (self.heard, self.described),
        };
        match (offered, answered) {
            (false, _) => Step::Offer,
            (true, false) => Step::Answer,
            (true, true) => Step::Connect,
        }
    }

    pub(crate) fn error(&self, cause: Cause) -> Error {
        Error::new(self.step(), cause)
    }

    /// Bytes of the other side.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut splitter = std::mem::take(&mut self.splitter);
        splitter.push(bytes);
        while let Some(body) = splitter.next().map_err(|_| self.error(Cause::Malformed))? {
            self.message(body).ok_or_else(|| self.error(Cause::Malformed))?;
        }
        self.splitter = splitter;
        Ok(())
    }

    /// `None`: it breaks the rules.
    fn message(&mut self, body: &[u8]) -> Option<()> {
        self.messages += 1;
        if self.messages > MAX_MESSAGES {
            return None;
        }
        let (mut kind, mut data) = (OFFER, "");
        let mut fields = Fields(body);
        while let Some(field) = fields.next().ok()? {
            match field {
                (1, Value::Number(number)) => kind = number,
                (2, Value::Bytes(bytes)) => data = str::from_utf8(bytes).ok()?,
                (1 | 2, _) => return None,
                _ => {}
            }
        }
        if kind != CANDIDATE && !is_data_only(data) {
            return None;
        }
        match (kind, self.role) {
            (OFFER, Role::Answerer) if !self.heard => self.hear(Command::Answer(data.to_owned())),
            (ANSWER, Role::Offerer) if !self.heard && self.described => self.hear(Command::TakeAnswer(data.to_owned())),
            (OFFER | ANSWER, _) => return None,
            (CANDIDATE, _) if self.candidates < MAX_CANDIDATES && !matches!(data, "" | "\"\"" | NO_MORE) => {
                self.candidates += 1;
                let list = if self.heard { &mut self.output.commands } else { &mut self.kept };
                list.push(Command::AddCandidate(data.to_owned()));
            }
            _ => {}
        }
        Some(())
    }

    fn hear(&mut self, description: Command) {
        self.heard = true;
        self.output.commands.push(description);
        self.output.commands.append(&mut self.kept);
    }

    /// The other side says nothing more, or can not.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        if self.step() == Step::Connect { Ok(()) } else { Err(self.error(Cause::Interrupted)) }
    }

    /// The backend tells something.
    pub(crate) fn event(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Description(sdp) if !self.described => {
                self.described = true;
                self.send(if self.role == Role::Offerer { OFFER } else { ANSWER }, &sdp);
            }
            Event::Candidate(None) => self.send(CANDIDATE, NO_MORE),
            Event::Candidate(Some(candidate)) if self.own_candidates < MAX_CANDIDATES => {
                self.own_candidates += 1;
                self.send(CANDIDATE, &candidate);
            }
            Event::Connected => self.connected = true,
            Event::Failed(failure) => {
                return Err(match failure {
                    Failure::Refused => self.error(Cause::Refused),
                    // It was taken for heard when it was handed over.
                    Failure::Description => Error::new(self.step().min(Step::Answer), Cause::Description),
                    Failure::Lost | Failure::Closed => self.error(Cause::NoPath),
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn send(&mut self, kind: u64, data: &str) {
        let mut body = vec![1 << 3];
        put_varint(&mut body, kind);
        body.push(2 << 3 | 2);
        put_varint(&mut body, data.len() as u64);
        body.extend_from_slice(data.as_bytes());
        self.output.bytes.extend(prefixed(&body));
    }
}
