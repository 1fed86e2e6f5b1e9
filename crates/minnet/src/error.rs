//! What may go wrong, as the caller is told.

use crate::{CodecError, Peer, UrlError};

/// Why a network could not start.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    /// The secret gives no key pair.
    #[error("the secret is no Ed25519 secret")]
    Secret,
    /// A part refused its configuration.
    #[error("the configuration of {part} is not possible: {reason}")]
    Config {
        /// Which part.
        part: &'static str,
        /// What it said.
        reason: String,
    },
}

/// Why a call was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// Too much waits already; try again later.
    #[error("the network has too much to do")]
    Busy,
    /// The network has ended.
    #[error("the network has ended")]
    Closed,
    /// Over the bound of a message.
    #[error("a message of {len} bytes, at most {max} are sent")]
    TooLong {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Over 900 topics.
    #[error("subscribed to as many topics as is possible")]
    TooManyTopics,
    /// Not a URL to dial.
    #[error("not a URL to dial: {0}")]
    Url(#[from] UrlError),
}

/// Why a request has no answer. Unless it is said otherwise, the peer may have acted on it all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no link to the peer. It has not seen the request.
    #[error("no link to the peer")]
    NotConnected,
    /// The link ended before the answer.
    #[error("the link ended before the answer")]
    Disconnected,
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The peer has had too many requests of ours. It has not acted on this one.
    #[error("the peer is busy")]
    Busy,
    /// Too many requests of our own are under way. It was not sent.
    #[error("too many requests are under way")]
    Overloaded,
    /// The peer does not answer this.
    #[error("the peer refused")]
    Refused,
    /// Our request is over our bound (it was not sent), or an answer over it.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The request or its answer is over the peer's bounds.
    #[error("over the peer's bounds")]
    OverPeersBounds,
    /// The peer says that it could not read the request.
    #[error("the peer found the request malformed")]
    Malformed,
    /// The peer has no such protocol.
    #[error("the peer takes no requests")]
    Unsupported,
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Broken(String),
    /// The network has ended.
    #[error("the network has ended")]
    Closed,
}

/// Why a dial came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// Nobody answers there, or nobody who speaks our protocols.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Not done within [`Config::timeout`].
    #[error("no answer in time")]
    Timeout,
    /// Somebody else answered.
    #[error("somebody else answered: {obtained:?}")]
    WrongPeer {
        /// Who answered. `None`: somebody whose key is no Ed25519 key.
        obtained: Option<Peer>,
    },
    /// It is this node itself.
    #[error("this is the node itself")]
    Itself,
    /// There is a link to the peer, or a dial, already.
    #[error("linked or dialling already")]
    Already,
    /// Too many links or dials.
    #[error("too many links")]
    TooMany,
    /// The link stood, and ended before versions were told. A full peer does this too.
    #[error("the peer ended the link at once")]
    Dropped,
}

/// Why a friend was not linked, or not as well as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The carrier is not linked with it.
    #[error("the friend is not linked with the carrier")]
    NotThere,
    /// The carrier does not carry for this node.
    #[error("the carrier does not know this node")]
    NotAdmitted,
    /// Somebody has too much to do.
    #[error("somebody has too much to do")]
    Busy,
    /// No answer in time.
    #[error("no answer in time")]
    NoAnswer,
    /// The friend makes no direct links.
    #[error("the friend makes no direct links")]
    Unsupported,
    /// The browser makes no direct links, though it knows them.
    #[error("the browser refuses direct links")]
    Refused,
    /// No way was found between the two: their networks let none through.
    #[error("no way was found between the two networks")]
    NoWay,
    /// The friend had begun, and gave it up without saying why.
    #[error("the friend gave it up")]
    GivenUp,
    /// It broke off.
    #[error("it broke off")]
    Broken,
}

impl Why {
    /// Its name, for those who have sentences of their own.
    pub fn code(self) -> &'static str {
        match self {
            Why::NotThere => "not-there",
            Why::NotAdmitted => "not-admitted",
            Why::Busy => "busy",
            Why::NoAnswer => "no-answer",
            Why::Unsupported => "unsupported",
            Why::Refused => "refused",
            Why::NoWay => "no-way",
            Why::GivenUp => "given-up",
            Why::Broken => "broken",
        }
    }
}
