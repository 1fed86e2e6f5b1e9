//! Conformance fixtures of what a node keeps of itself and what a person takes along: one topic more beside the ledger's and
//! the engine's, in the same folder. Who changes these bytes locks people out of their circles.

use crate::portable::{self, Exported};
use crate::profile::{CircleRecord, MAX_RECORD, MAX_STANDINGS_BYTES};
use ledgerno_ledger::bytes::{DeviceId, EntryId, HeaderHash};
use ledgerno_ledger::codec::encode;
use ledgerno_ledger::conformance::{Format, Frozen, Topic};
use ledgerno_ledger::entry::Anchor;
use ledgerno_ledger::hostile::Circle;
use ledgerno_ledger::invite::RelayAddress;
use ledgerno_ledger::seal::{LaneKey, LaneKeys};
use ledgerno_minnet::{Faults, Peer, Standing, Standings};

/// The topic.
pub const TOPICS: &[Topic] = &[Topic {
    name: "node",
    text: include_str!("../../ledger/conformance/node.txt"),
    about: "What a node keeps of itself, and the key file, as its text's bytes.",
    formats,
}];

fn formats() -> Vec<Format> {
    let Circle { genesis, .. } = Circle::new(1);
    let keys = |epoch: EntryId, seed: u8| LaneKeys {
        epoch,
        state: LaneKey::from_secret([seed; 32]),
        talk: Some(LaneKey::from_secret([seed + 1; 32])),
    };
    let relay = RelayAddress { url: "wss://relay.example/".to_owned(), peer: DeviceId([10; 32]) };
    let member = CircleRecord {
        genesis: genesis.encode(),
        keys: Some(keys(genesis.id().into(), 21)),
        later: vec![keys(EntryId([12; 32]), 23)],
        vote: Some([61; 32]),
        relays: vec![relay],
        pinned: Some(Anchor { height: 300, hash: HeaderHash([44; 32]) }),
    };
    let keeper =
        CircleRecord { keys: None, later: Vec::new(), vote: None, relays: Vec::new(), pinned: None, ..member.clone() };
    let mut standings = Standings::default();
    let faulty = |wrong: u32, misbehaviour: u32| Faults { wrong, misbehaviour };
    let banned = Standing { peer: Peer([71; 32]), until_ms: 900, times: 2, faults: faulty(0, 0), at_ms: 800 };
    let faulty = Standing { peer: Peer([72; 32]), until_ms: 0, times: 0, faults: faulty(2_998, 1_000), at_ms: 850 };
    standings.put(banned, 850);
    standings.put(faulty, 850);
    let file = portable::text(&Exported { identity: [3; 32], circles: vec![member.clone()] });
    let changed = file.replacen("0303", "0304", 1);
    vec![
        Format::plain::<CircleRecord>("circle", Frozen(1), MAX_RECORD)
            .accepts("of a member who votes", encode(&member))
            .accepts("of a relay without keys", encode(&keeper)),
        Format::plain::<Standings>("standings", Frozen(1), MAX_STANDINGS_BYTES)
            .accepts("47, banned twice, and 48, with faults", encode(&standings))
            .accepts("of nobody", encode(&Standings::default())),
        Format::new("key file", Frozen(1), key_file)
            .accepts_alone("identity 03, one circle", file.clone().into_bytes())
            .refuses("a digit changed", changed.into_bytes())
            .refuses("cut", file.as_bytes()[..file.len() / 2].to_vec())
            .refuses("of another version", file.replacen("identity-1", "identity-2", 1).into_bytes()),
    ]
}

fn key_file(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let exported = portable::read(text).map_err(|error| error.to_string())?;
    let written = portable::text(&exported);
    // Spaces around it are left out: a person may have copied it.
    Ok(if written.trim() == text.trim() { bytes.to_vec() } else { written.into_bytes() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use ledgerno_ledger::conformance;
    use ledgerno_ledger::hostile::besiege;

    #[test]
    fn the_fixtures_hold() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../ledger/conformance");
        conformance::check_or_write(TOPICS, folder).unwrap();
    }

    #[test]
    fn a_record_that_was_damaged_is_refused_or_reads_the_same() {
        for format in formats() {
            let seeds: Vec<Vec<u8>> = format.accepted().map(<[u8]>::to_vec).collect();
            besiege(&seeds, 20_000, |bytes| {
                if let Ok(again) = format.read(bytes) {
                    assert_eq!(again, bytes, "what is read is written otherwise");
                }
            });
        }
    }
}
