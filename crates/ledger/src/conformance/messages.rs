//! Direct messages.

use super::samples::CIRCLE;
use super::{Format, Frozen};
use crate::bytes::{BoxKey, DeviceId, MemberId};
use crate::keys::DeviceKey;
use crate::message::{Chance, DirectMessage, Place};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

pub fn messages() -> Vec<Format> {
    let at = Place { circle: CIRCLE, device: DeviceId([10; 32]), seq: 300 };
    let chance = Chance { sealer: [60; 32], key: [61; 32], nonce: [62; 24] };
    let devices: Vec<_> = [28, 29].map(|secret| DeviceKey::from_secret([secret; 32])).into();
    let to: Vec<_> = devices.iter().map(|device| (device.id(), device.box_key())).collect();
    let sealed = |at| DirectMessage::seal(at, MemberId([15; 32]), &to, &chance, "see you at eight");
    let Ok(message) = sealed(at) else { return Vec::new() };
    let elsewhere = sealed(Place { seq: 301, ..at }).map(|message| message.encode()).unwrap_or_default();
    let mut unsorted = message.clone();
    unsorted.keys.reverse();
    let read = move |bytes: &[u8]| {
        let message = DirectMessage::decode(bytes).map_err(|error| format!("{error:?}"))?;
        for device in &devices {
            message.open(at, device).map_err(|error| format!("{error:?}"))?;
        }
        Ok(message.encode())
    };
    vec![
        Format::new("direct message", Frozen(1), read)
            .accepts(
                "\"see you at eight\" in circle 01, device 0a, seq 300, to member 0f, for devices of the secrets 1c, 1d; \
                 sealer's secret 3c, key 3d, nonces 3e",
                message.encode(),
            )
            .refuses("for another seq", elsewhere)
            .refuses("of version 2", DirectMessage { version: 2, ..message.clone() }.encode())
            .refuses("for no device", DirectMessage { keys: Vec::new(), ..message.clone() }.encode())
            .refuses("devices not sorted", unsorted.encode())
            .refuses("a sealer of small order", DirectMessage { sealer: BoxKey([0; 32]), ..message }.encode()),
    ]
}
