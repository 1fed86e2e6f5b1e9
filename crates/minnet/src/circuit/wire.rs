//! The messages of circuit relay v2, as far as they are used: <https://github.com/libp2p/specs/blob/master/relay/circuit-v2.md>.

use std::{fmt, io};

use libp2p::PeerId;

use crate::{
    proto::{Fields, Malformed, Value, put_bytes, put_number},
    streams::OpenError,
};

const TYPE: u8 = 1;
const PEER: u8 = 2;
const PEER_ID: u8 = 1;
const RESERVE: u64 = 0;
const CONNECT: u64 = 1;
const STATUS: u64 = 2;
const RESERVATION: u8 = 3;
const HOP_STATUS: u8 = 5;
const STOP_CONNECT: u64 = 0;
const STOP_STATUS: u64 = 1;
const STOP_STATUS_FIELD: u8 = 4;

/// How a request for a circuit ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u64);

impl Status {
    pub(crate) const OK: Status = Status(100);
    pub(crate) const RESERVATION_REFUSED: Status = Status(200);
    pub(crate) const RESOURCE_LIMIT_EXCEEDED: Status = Status(201);
    pub(crate) const PERMISSION_DENIED: Status = Status(202);
    pub(crate) const CONNECTION_FAILED: Status = Status(203);
    pub(crate) const NO_RESERVATION: Status = Status(204);
    pub(crate) const MALFORMED: Status = Status(400);
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Status::OK => "OK",
            Status::RESERVATION_REFUSED => "no reservations are given",
            Status::RESOURCE_LIMIT_EXCEEDED => "the carrier carries as much as it may",
            Status::PERMISSION_DENIED => "the carrier does not know this node",
            Status::CONNECTION_FAILED => "the peer did not answer the carrier",
            Status::NO_RESERVATION => "the peer is not linked to the carrier",
            Status::MALFORMED => "the carrier found the request malformed",
            _ => "the carrier refused",
        })
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why there is no circuit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CircuitError {
    #[error("{0}")]
    Refused(Status),
    #[error("no answer in time")]
    Timeout,
    #[error("a malformed message")]
    Malformed,
    #[error(transparent)]
    NoStream(#[from] OpenError),
    #[error("the stream broke: {0}")]
    Broken(#[from] io::Error),
}

impl From<Malformed> for CircuitError {
    fn from(_: Malformed) -> Self {
        CircuitError::Malformed
    }
}

/// What is said on a hop stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    Reserve,
    Connect(PeerId),
    Status(Status),
}

/// A message's type, its peer, and its status, which is in another field of each message.
fn parts(message: &[u8], status_field: u8) -> Result<(Option<u64>, Option<PeerId>, Status), Malformed> {
    let (mut kind, mut peer, mut status) = (None, None, Status(0));
    for field in Fields(message) {
        match field? {
            (field, Value::Number(number)) if field == u64::from(TYPE) => kind = Some(number),
            (field, Value::Number(number)) if field == u64::from(status_field) => status = Status(number),
            (field, Value::Bytes(bytes)) if field == u64::from(PEER) => peer = Some(peer_of(bytes)?),
            _ => {}
        }
    }
    Ok((kind, peer, status))
}

fn peer_of(message: &[u8]) -> Result<PeerId, Malformed> {
    let mut id = None;
    for field in Fields(message) {
        if let (field, Value::Bytes(bytes)) = field?
            && field == u64::from(PEER_ID)
        {
            id = Some(PeerId::from_bytes(bytes).map_err(|_| Malformed)?);
        }
    }
    id.ok_or(Malformed)
}

fn peer(id: PeerId) -> Vec<u8> {
    let mut peer = Vec::new();
    put_bytes(&mut peer, PEER_ID, &id.to_bytes());
    peer
}

pub(super) fn read_hop(message: &[u8]) -> Result<Hop, CircuitError> {
    match parts(message, HOP_STATUS)? {
        (Some(RESERVE), ..) => Ok(Hop::Reserve),
        (Some(CONNECT), Some(peer), _) => Ok(Hop::Connect(peer)),
        (Some(STATUS), _, status) => Ok(Hop::Status(status)),
        _ => Err(CircuitError::Malformed),
    }
}

pub(super) fn read_stop_connect(message: &[u8]) -> Result<PeerId, CircuitError> {
    match parts(message, STOP_STATUS_FIELD)? {
        (Some(STOP_CONNECT), Some(peer), _) => Ok(peer),
        _ => Err(CircuitError::Malformed),
    }
}

pub(super) fn read_stop_status(message: &[u8]) -> Result<Status, CircuitError> {
    match parts(message, STOP_STATUS_FIELD)? {
        (Some(STOP_STATUS), _, status) => Ok(status),
        _ => Err(CircuitError::Malformed),
    }
}

pub(super) fn connect(to: PeerId) -> Vec<u8> {
    let mut message = Vec::new();
    put_number(&mut message, TYPE, CONNECT);
    put_bytes(&mut message, PEER, &peer(to));
    message
}

pub(super) fn stop_connect(from: PeerId) -> Vec<u8> {
    let mut message = Vec::new();
    put_number(&mut message, TYPE, STOP_CONNECT);
    put_bytes(&mut message, PEER, &peer(from));
    message
}

pub(super) fn hop_status(status: Status, reserved: Option<(u64, &[Vec<u8>])>) -> Vec<u8> {
    let mut message = Vec::new();
    put_number(&mut message, TYPE, STATUS);
    if let Some((until, addresses)) = reserved {
        let mut reservation = Vec::new();
        put_number(&mut reservation, 1, until);
        for address in addresses {
            put_bytes(&mut reservation, 2, address);
        }
        put_bytes(&mut message, RESERVATION, &reservation);
    }
    put_number(&mut message, HOP_STATUS, status.0);
    message
}

pub(super) fn stop_status(status: Status) -> Vec<u8> {
    let mut message = Vec::new();
    put_number(&mut message, TYPE, STOP_STATUS);
    put_number(&mut message, STOP_STATUS_FIELD, status.0);
    message
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever comes is read or refused, and what is read is a message of its kind.
        #[test]
        fn changed_messages_are_read_soundly(at in any::<prop::sample::Index>(), bits in 1u8.., cut in any::<prop::sample::Index>()) {
            let id = PeerId::random();
            for message in [connect(id), stop_connect(id), hop_status(Status::OK, Some((7, &[vec![1, 2]]))), stop_status(Status::OK)] {
                let mut changed = message.clone();
                let at = at.index(changed.len());
                changed[at] ^= bits;
                for bytes in [&changed[..], &message[..cut.index(message.len())]] {
                    drop((read_hop(bytes), read_stop_connect(bytes), read_stop_status(bytes)));
                }
            }
        }
    }

    #[test]
    fn messages_come_back() {
        let id = PeerId::random();
        assert_eq!(read_hop(&connect(id)).unwrap(), Hop::Connect(id));
        assert_eq!(read_hop(&[0x08, 0x00]).unwrap(), Hop::Reserve);
        assert_eq!(read_stop_connect(&stop_connect(id)).unwrap(), id);
        let reserved = hop_status(Status::OK, Some((7, &[vec![1, 2]])));
        assert_eq!(read_hop(&reserved).unwrap(), Hop::Status(Status::OK));
        assert_eq!(read_stop_status(&stop_status(Status::PERMISSION_DENIED)).unwrap(), Status::PERMISSION_DENIED);
        assert!(read_hop(&[0x08, 0x01]).is_err(), "no peer");
    }
}
