//! Why a link did not come about: how far it got, and what happened there.

use std::fmt;

/// The steps to a link, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// To find, or to make, a connection that carries the signalling.
    Carrier,
    /// To open the signalling stream on it.
    Stream,
    /// To make the offer, or to receive it.
    Offer,
    /// To receive the answer, or to make it.
    Answer,
    /// To find a way between the two, and to prove the keys.
    Connect,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no connection to the peer, and the address names no relay to reach it by.
    NoConnection,
    /// The peer could not be reached through the relay of the address.
    RelayFailed,
    /// The peer does not speak the signalling protocol.
    Unsupported,
    /// Too much is under way already.
    Busy,
    /// It took too long.
    TimedOut,
    /// The other side, or what carried the signalling, gave up.
    Interrupted,
    /// The other side broke the rules of the signalling.
    Malformed,
    /// The browser made no peer connection or no description of it.
    Refused,
    /// The browser did not take the other side's description.
    Description,
    /// No way was found between the two.
    NoPath,
    /// This node is shutting down.
    Stopped,
}

/// A failed dial or answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// How far it got.
    pub step: Step,
    /// What happened there.
    pub cause: Cause,
}

impl Error {
    pub(crate) fn new(step: Step, cause: Cause) -> Self {
        Error { step, cause }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.step {
            Step::Carrier => "no carrier for the signalling: ",
            Step::Stream => "no signalling stream: ",
            Step::Offer => "no offer: ",
            Step::Answer => "no answer: ",
            Step::Connect => "no direct link: ",
        })?;
        f.write_str(match self.cause {
            Cause::NoConnection => "not connected, and no relay is named",
            Cause::RelayFailed => "not reached through the relay",
            Cause::Unsupported => "the peer does not speak WebRTC",
            Cause::Busy => "too much is under way",
            Cause::TimedOut => "it took too long",
            Cause::Interrupted => "broken off",
            Cause::Malformed => "the peer broke the rules",
            Cause::Refused => "the browser refused",
            Cause::Description => "the browser did not take the description",
            Cause::NoPath => "no way was found",
            Cause::Stopped => "the node stops",
        })
    }
}

impl std::error::Error for Error {}
