//! Sealed bytes. What opens is sealed again with the same nonce, and must give the same bytes.

use super::samples::{CIRCLE, entry, lane_keys};
use super::{Format, Frozen};
use crate::bytes::DeviceId;
use crate::codec::encode;

use crate::hash::{context, expand};
use crate::keys::{Identity, InviteSecret};
use crate::seal::{self, BodyContext, LaneKey, LaneKeys, NONCE, SealError};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

pub fn sealing() -> Vec<Format> {
    let key = LaneKey::from_secret([23; 32]);
    let secret = InviteSecret::from_secret([20; 32]);
    let at = BodyContext::of(CIRCLE, &entry());
    let body = |plain: &[u8]| seal::seal_body(&at, &key, [24; NONCE], plain).unwrap_or_default();
    let reason = seal::seal_reason(CIRCLE, DeviceId([10; 32]), 300, &key, [25; NONCE], b"thanks").unwrap_or_default();
    let parcel = secret.seal([27; NONCE], b"parcel").unwrap_or_default();
    let elsewhere = BodyContext { seq: 301, ..at };
    let elsewhere = seal::seal_body(&elsewhere, &key, [24; NONCE], b"body").unwrap_or_default();
    let other_key = seal::seal_body(&at, &LaneKey::from_secret([22; 32]), [24; NONCE], b"body").unwrap_or_default();
    let flipped = |bytes: Vec<u8>, place: usize| flip(bytes, place);
    let end = body(b"body").len() - 1;
    let classes: Vec<usize> = (0..=65_536).filter(|len| seal::size_class(*len) == Some(*len)).collect();
    let lengths = [0, 55, 56, 951, 952, 1_207, 1_208, 3_000, 65_463];
    let sizes = lengths.iter().fold(Format::values("sealed length", Frozen(1)), |format, len| {
        format.value(&format!("of a text of {len} bytes"), (body(&vec![0; *len]).len() as u32).to_be_bytes())
    });
    vec![
        Format::new("body", Frozen(1), open_body)
            .accepts("\"body\" by talk key 17 and nonce 18, of the entry of the topic entry", body(b"body"))
            .accepts("an empty text", body(b""))
            .refuses("for another seq", elsewhere)
            .refuses("by another key", other_key)
            .refuses("a bit of the nonce changed", flipped(body(b"body"), 0))
            .refuses("a bit of the commitment changed", flipped(body(b"body"), NONCE))
            .refuses("a bit of the text changed", flipped(body(b"body"), NONCE + 32))
            .refuses("a bit of the tag changed", flipped(body(b"body"), end))
            .refuses("not padded by 80 and zeros", wrongly_padded(&at)),
        Format::values("associated data", Frozen(1)).value("of that body", encode(&at)),
        Format::new("reason", Frozen(1), open_reason)
            .accepts("\"thanks\" by talk key 17 and nonce 19, of device 0a, seq 300", reason),
        Format::values("associated data of a reason", Frozen(1))
            .value("of that reason", encode(&(CIRCLE, DeviceId([10; 32]), 300_u64))),
        Format::new("parcel", Frozen(1), open_parcel)
            .accepts("\"parcel\" by the invite's secret 14 and nonce 1b", parcel),
        Format::new("keybox", Frozen(1), open_keybox)
            .accepts("\"circles\" by the identity's secret 1c and nonce 1d", keybox(28))
            .refuses("of another member", keybox(30)),
        Format::values("keybox claim", Frozen(1)).value(
            "that member's signature: keeper 0a may give it to device 03",
            Identity::from_secret([28; 32]).claim_keybox(DeviceId([10; 32]), DeviceId([3; 32])).0,
        ),
        Format::plain::<LaneKeys>("lane keys", Frozen(1), 128)
            .accepts("a member's: epoch 01, state 16, talk 17", encode(&lane_keys()))
            .accepts("a witness's that is no member", encode(&LaneKeys { talk: None, ..lane_keys() })),
        classes.iter().fold(Format::values("size class", Frozen(1)), |format, class| {
            format.value(&format!("{class}"), (*class as u32).to_be_bytes())
        }),
        sizes,
    ]
}

fn flip(mut bytes: Vec<u8>, place: usize) -> Vec<u8> {
    bytes[place] ^= 1;
    bytes
}

fn nonce_of(sealed: &[u8]) -> Result<[u8; NONCE], String> {
    sealed.first_chunk().copied().ok_or("cut".to_string())
}

fn why(error: SealError) -> String {
    format!("{error:?}")
}

fn open_body(sealed: &[u8]) -> Result<Vec<u8>, String> {
    let key = LaneKey::from_secret([23; 32]);
    let plain = seal::open_body(CIRCLE, &entry(), &key, sealed).map_err(why)?;
    seal::seal_body(&BodyContext::of(CIRCLE, &entry()), &key, nonce_of(sealed)?, &plain).map_err(why)
}

fn open_reason(sealed: &[u8]) -> Result<Vec<u8>, String> {
    let (key, device) = (LaneKey::from_secret([23; 32]), DeviceId([10; 32]));
    let plain = seal::open_reason(CIRCLE, device, 300, &key, sealed).map_err(why)?;
    seal::seal_reason(CIRCLE, device, 300, &key, nonce_of(sealed)?, &plain).map_err(why)
}

fn keybox(secret: u8) -> Vec<u8> {
    Identity::from_secret([secret; 32]).seal_keybox([29; NONCE], b"circles").unwrap_or_default()
}

fn open_keybox(sealed: &[u8]) -> Result<Vec<u8>, String> {
    let identity = Identity::from_secret([28; 32]);
    let plain = identity.open_keybox(sealed).map_err(why)?;
    identity.seal_keybox(nonce_of(sealed)?, &plain).map_err(why)
}

fn open_parcel(sealed: &[u8]) -> Result<Vec<u8>, String> {
    let secret = InviteSecret::from_secret([20; 32]);
    let plain = secret.open(sealed).map_err(why)?;
    secret.seal(nonce_of(sealed)?, &plain).map_err(why)
}

/// All zeros in place of text and padding: it authenticates, and a text could not have given it.
fn wrongly_padded(at: &BodyContext) -> Vec<u8> {
    let (nonce, mut keys, mut text) = ([24; NONCE], [0; 64], vec![0; 128 - NONCE - 32 - 16]);
    expand(context::SEAL, &[&[23; 32], &nonce], &mut keys);
    let (encryption, commitment) = keys.split_at(32);
    let Ok(cipher) = XChaCha20Poly1305::new_from_slice(encryption) else { return Vec::new() };
    let buffer = text.as_mut_slice().into();
    match cipher.encrypt_inout_detached(&nonce.into(), &encode(at), buffer) {
        Ok(tag) => [&nonce[..], commitment, &text, &tag].concat(),
        Err(_) => Vec::new(),
    }
}
