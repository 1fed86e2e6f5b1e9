//! Contexts, keys and signatures.

use super::samples::lane_keys;
use super::{Format, Frozen};
use crate::bytes::{BoxKey, Signature};
use crate::hash::{context, hash};
use crate::keys::{DeviceKey, Identity, InviteSecret, VoteSecret, check_box_key, check_key};
use crate::vectors;
use crate::verify::verify;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use curve25519_dalek::constants::EIGHT_TORSION;

pub fn contexts() -> Vec<Format> {
    let all = context::ALL.iter();
    vec![
        all.fold(Format::values("context", Frozen(1)), |format, context| {
            format.value(context.text, hash(context, &[]))
        }),
    ]
}

pub fn keys() -> Vec<Format> {
    let identity = Identity::from_secret([28; 32]);
    let device = DeviceKey::from_secret([28; 32]);
    let secret = InviteSecret::from_secret([20; 32]);
    let key = Format::new("public key", Frozen(1), |bytes| {
        let key = bytes.try_into().map_err(|_| "not 32 bytes".to_string())?;
        check_key(key).map_err(|error| error.to_string()).map(|()| bytes.to_vec())
    });
    let box_key = Format::new("box key", Frozen(1), |bytes| {
        let key = bytes.try_into().map(BoxKey).map_err(|_| "not 32 bytes".to_string())?;
        check_box_key(&key).map_err(|error| error.to_string()).map(|()| bytes.to_vec())
    });
    let words = Format::new("words", Frozen(1), |bytes| {
        let text = core::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let identity = Identity::from_words(text).map_err(|error| error.to_string())?;
        // A person's typing is read with more patience than a format has.
        let written = identity.words().as_bytes().to_vec();
        if written == bytes { Ok(written) } else { Err("typed otherwise".to_string()) }
    });
    let mut wrong_word = identity.words().to_string();
    wrong_word.replace_range(..wrong_word.find(' ').unwrap_or(0), "zoo");
    let of_order_eight = curve25519_dalek::edwards::CompressedEdwardsY(device.id().0).decompress();
    let mixed = of_order_eight.map(|point| (point + EIGHT_TORSION[1]).compress().0).unwrap_or_default();
    let points = EIGHT_TORSION.iter().map(|point| point.compress().0).chain(vectors::written_otherwise());
    let key = key.accepts_alone("of the secret 28, 32 times", device.id().0.to_vec());
    let key = points.fold(key, |key, point| key.refuses("of small order", point.to_vec()));
    vec![
        key.refuses("the first, with a part of small order", mixed.to_vec())
            .refuses("no point of the curve", [&[2][..], &[0; 31]].concat())
            .refuses("the first, without its last byte", device.id().0[..31].to_vec()),
        box_key
            .accepts_alone("of the device whose secret is 28, 32 times", device.box_key().0.to_vec())
            .refuses("nothing comes of an agreement with it", vec![0; 32])
            .refuses("not below 2^255 - 19", vec![0xff; 32]),
        words
            .accepts_alone(
                "of the identity whose secret is 28, 32 times, in UTF-8",
                identity.words().as_bytes().to_vec(),
            )
            .refuses("another first word", wrong_word.into_bytes()),
        Format::values("derived", Frozen(1))
            .value("public key of an identity, its secret 28, 32 times", identity.member().0)
            .value("public key of a vote secret, 28, 32 times", VoteSecret::from_secret([28; 32]).key().0)
            .value("box key of a device, its secret 28, 32 times", device.box_key().0)
            .value("public key of an invite, its secret 20, 32 times", secret.key().0)
            .value("mailbox address of that invite", secret.address().0)
            .value("circle's salt, the state key of epoch 0 being 22, 32 times", lane_keys().state.circle_salt()),
    ]
}

pub fn signatures() -> Vec<Format> {
    let format = Format::new("signature", Frozen(1), |bytes| {
        let (key, rest) = bytes.split_first_chunk::<32>().ok_or("cut")?;
        let (signature, message) = rest.split_first_chunk::<64>().ok_or("cut")?;
        let holds = verify(key, message, &Signature(*signature));
        holds.then(|| bytes.to_vec()).ok_or("it does not hold".to_string())
    });
    let published = vectors::published().unwrap_or_default();
    let all = published.into_iter().fold(format, |format, vector| {
        let bytes = [&vector.key[..], &vector.signature.0, &vector.message].concat();
        let told = vector.name.split(" key").next().unwrap_or_default();
        if vector.holds { format.accepts_alone(told, bytes) } else { format.refuses(told, bytes) }
    });
    let device = DeviceKey::from_secret([28; 32]);
    let ours = device.sign(b"message");
    let mut changed = ours;
    changed.0[40] ^= 1;
    vec![
        all.accepts_alone("by the secret 28, 32 times", [&device.id().0[..], &ours.0, b"message"].concat())
            .refuses("the same, a bit of it changed", [&device.id().0[..], &changed.0, b"message"].concat()),
    ]
}
