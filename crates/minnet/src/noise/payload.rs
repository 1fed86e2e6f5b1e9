//! The payload by which a side says who it is: libp2p's protobuf `NoiseHandshakePayload`, of which two fields are used.

use libp2p::{PeerId, identity::ed25519};

use super::NoiseError;

/// Field 1, a byte string: the identity key. Field 2: its signature.
const IDENTITY_KEY: u8 = 0x0a;
const IDENTITY_SIG: u8 = 0x12;
/// A protobuf `PublicKey` of an Ed25519 key: field 1 is 1, field 2 has 32 bytes.
const ED25519_KEY: [u8; 4] = [0x08, 0x01, 0x12, 0x20];

/// What an identity signs.
pub(super) fn signed(public: &[u8; 32]) -> Vec<u8> {
    [&b"noise-libp2p-static-key:"[..], public].concat()
}

/// An identity's payload.
pub(super) fn write(key: &[u8; 32], signature: &[u8]) -> Vec<u8> {
    let key_field = [IDENTITY_KEY, (ED25519_KEY.len() + key.len()) as u8];
    let signature_field = [IDENTITY_SIG, signature.len() as u8];
    [&key_field[..], &ED25519_KEY, key, &signature_field, signature].concat()
}

/// Whose payload it is, if its identity signed the static key.
pub(super) fn verify(payload: &[u8], public: &[u8; 32]) -> Result<PeerId, NoiseError> {
    let (mut identity, mut signature) = (&[][..], &[][..]);
    let mut rest = payload;
    while let Some((&tag, after)) = rest.split_first() {
        // Every field of the message is a byte string, and its number below 16.
        if tag & 0b1000_0111 != 2 {
            return Err(NoiseError::Malformed);
        }
        let (len, after) = length(after)?;
        let (value, after) = after.split_at_checked(len).ok_or(NoiseError::Malformed)?;
        match tag {
            IDENTITY_KEY => identity = value,
            IDENTITY_SIG => signature = value,
            _ => {}
        }
        rest = after;
    }
    let key = identity.strip_prefix(&ED25519_KEY).ok_or(NoiseError::OtherKey)?;
    let key = ed25519::PublicKey::try_from_bytes(key).map_err(|_| NoiseError::OtherKey)?;
    if !key.verify(&signed(public), signature) {
        return Err(NoiseError::Signature);
    }
    Ok(PeerId::from_public_key(&key.into()))
}

/// A varint of at most two bytes: no handshake is longer.
fn length(bytes: &[u8]) -> Result<(usize, &[u8]), NoiseError> {
    match bytes {
        [one @ 0..0x80, rest @ ..] => Ok((usize::from(*one), rest)),
        [low, high @ 0..0x80, rest @ ..] => Ok((usize::from(low & 0x7f) | usize::from(*high) << 7, rest)),
        _ => Err(NoiseError::Malformed),
    }
}
