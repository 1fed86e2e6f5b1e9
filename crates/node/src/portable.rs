//! Taking one's identity along: a file with the member's secret, the circles, their relays and lane keys. Never a device's
//! or a vote's key: whoever reads the file elsewhere enrols a new device.

use crate::driver::Node;
use crate::error::NodeError;
use crate::profile::{self, CircleRecord, Profile};
use crate::store::{Space, Store};
use ledgerno_ledger::bytes::CircleId;
use ledgerno_ledger::codec;
use ledgerno_ledger::invite::MAX_RELAYS;
use serde::{Deserialize, Serialize};

/// What the file's text begins with.
const MARK: &str = "ledgerno-identity-1:";
/// The most bytes of a file that is looked at.
const MAX_FILE: usize = 1024 * 1024;
// What a file brings in is read back at the next start.
const _: () = assert!(MAX_FILE <= profile::MAX_RECORD);
/// The most circles of a file.
const MAX_CIRCLES: usize = 64;

/// What a file holds.
#[derive(Serialize, Deserialize)]
pub(crate) struct Exported {
    /// The member's secret.
    pub identity: [u8; 32],
    /// Their circles.
    pub circles: Vec<CircleRecord>,
}

impl<S: Store> Node<S> {
    /// The file's text. Who has it, is this person.
    pub fn export_identity(&self) -> String {
        let state = self.0.state.borrow();
        let circles = self.taken_along();
        text(&Exported { identity: state.profile.identity, circles })
    }

    /// The circles' records as another device of this person needs them, with the keys of all epochs.
    pub(crate) fn taken_along(&self) -> Vec<CircleRecord> {
        let state = self.0.state.borrow();
        let later = |id: &CircleId| {
            let engine = state.circles.get(id).and_then(|circle| circle.engine.as_ref());
            engine.and_then(|engine| engine.lane_keys().get(1..)).map(<[_]>::to_vec)
        };
        let along = |(id, record): (&CircleId, &CircleRecord)| CircleRecord {
            later: later(id).unwrap_or_else(|| record.later.clone()),
            vote: None,
            pinned: None,
            ..record.clone()
        };
        state.profile.circles.iter().map(along).collect()
    }

    /// Becomes the person of the file, on this device, and enrols it in the person's circles as their relays are reached.
    ///
    /// # Errors
    /// When the file is none, or somebody is in a circle here already.
    pub async fn import_identity(&self, text: &str) -> Result<Vec<CircleId>, NodeError> {
        let exported = read(text)?;
        self.become_person(exported.identity, exported.circles).await
    }

    /// Becomes a person who has nothing here yet.
    pub(crate) async fn become_person(
        &self,
        identity: [u8; 32],
        records: Vec<CircleRecord>,
    ) -> Result<Vec<CircleId>, NodeError> {
        let (space, profile) = {
            let state = self.0.state.borrow();
            if !state.profile.circles.is_empty() {
                return Err(NodeError::Occupied);
            }
            (state.profile_space.clone(), Profile { identity, ..state.profile.clone() })
        };
        // All at once: half a person would be nobody.
        let mut batch = profile.batch();
        for record in &records {
            batch.records.extend(profile::circle_batch(record.genesis()?.id(), record).records);
        }
        space.write(batch).await?;
        {
            let mut state = self.0.state.borrow_mut();
            state.profile = profile;
            for record in &records {
                state.profile.circles.insert(record.genesis()?.id(), record.clone());
            }
        }
        let mut circles = Vec::new();
        for record in records {
            circles.push(self.open_circle(record).await?);
        }
        Ok(circles)
    }
}

/// A file's text.
pub(crate) fn text(exported: &Exported) -> String {
    let bytes = codec::encode(exported);
    format!("{MARK}{}.{}\n", hex(&bytes), hex(&blake3::hash(&bytes).as_bytes()[..4]))
}

/// What a file's text says.
///
/// # Errors
/// [`NodeError::Import`], with the reason.
pub(crate) fn read(text: &str) -> Result<Exported, NodeError> {
    let wrong = |why: &str| NodeError::Import(why.to_owned());
    if text.len() > MAX_FILE {
        return Err(wrong("it is too long"));
    }
    let text = text.trim().strip_prefix(MARK).ok_or_else(|| wrong("it does not begin like one"))?;
    let (body, checksum) = text.split_once('.').ok_or_else(|| wrong("it is cut"))?;
    let bytes = unhex(body).ok_or_else(|| wrong("it is cut"))?;
    if unhex(checksum).is_none_or(|checksum| checksum != blake3::hash(&bytes).as_bytes()[..4]) {
        return Err(wrong("it was changed"));
    }
    let exported: Exported = codec::decode(&bytes, MAX_FILE).map_err(|_| wrong("it is of another version"))?;
    let fits =
        |record: &CircleRecord| record.genesis().is_ok() && record.keys.is_some() && record.relays.len() <= MAX_RELAYS;
    let whole = exported.circles.len() <= MAX_CIRCLES && exported.circles.iter().all(fits);
    if whole { Ok(exported) } else { Err(wrong("a circle in it is damaged")) }
}

fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    base16ct::lower::decode_vec(text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use ledgerno_ledger::hostile::{Circle, besiege};

    #[test]
    fn a_key_file_is_read_back_and_nothing_else_is() {
        let Circle { genesis, keys, .. } = Circle::new(7);
        let record = CircleRecord {
            genesis: genesis.encode(),
            keys: Some(keys),
            later: vec![],
            vote: None,
            relays: vec![],
            pinned: None,
        };
        let file = text(&Exported { identity: [3; 32], circles: vec![record.clone()] });
        assert_eq!(read(&file).unwrap().identity, [3; 32]);
        let bytes = codec::encode(&Exported { identity: [3; 32], circles: vec![record] });
        besiege(&[file.into_bytes()], 20_000, |bytes| {
            read(&String::from_utf8_lossy(bytes)).ok();
        });
        // With a right checksum too: the decoder itself.
        besiege(&[bytes], 20_000, |bytes| {
            let file = format!("{MARK}{}.{}", hex(bytes), hex(&blake3::hash(bytes).as_bytes()[..4]));
            read(&file).ok();
        });
        assert!(read(&"x".repeat(MAX_FILE + 1)).is_err());
    }
}
