//! Every BLAKE3 hash of the ledger, and the one table of their contexts.
//!
//! Each kind of thing is hashed under a context of its own (`derive_key` mode), so that no bytes of one kind are ever
//! taken for another. The strings are frozen: to change one is to start another ledger.

mod many;

pub(crate) use many::hash_each;

use blake3::hazmat::{ContextKey, HasherExt};

/// What a kind of thing is hashed under.
#[derive(Debug, PartialEq, Eq)]
pub struct Context {
    /// What it is known by.
    pub text: &'static str,
    /// BLAKE3 hashes a context to a key before it hashes anything under it, which for short parts is half the work. Those
    /// used by the thousand bring theirs. None is secret, and a test works each out again.
    key: Option<&'static ContextKey>,
}

/// One context for each kind of thing. No two are equal.
pub mod context {
    use super::{Context, key};

    macro_rules! brings {
        () => {
            None
        };
        ($key:literal) => {
            Some(&key($key))
        };
    }
    macro_rules! contexts {
        ($($(#[$doc:meta])* $name:ident = $text:literal $(, $key:literal)?;)*) => {
            $($(#[$doc])* pub const $name: &Context =
                &Context { text: concat!("ledgerno v1 ", $text), key: brings!($($key)?) };)*
            /// All of them, for the test that no two are equal.
            pub const ALL: &[&Context] = &[$($name),*];
        };
    }

    contexts! {
        /// A circle's id: canonical genesis.
        GENESIS = "genesis";
        /// An entry's id: circle ‖ canonical entry.
        ENTRY = "entry", "3ab2c3fd2f61058801e98cbb35b356c5d2486e343fe71df27d611232ff143c06";
        /// A sealed body.
        BODY = "body", "7b9e6a8d10852dd8af53d4d21f985efd17497e50ecfee91d1207d2ed15973c9a";
        /// What an author signs to erase an entry's body: circle ‖ entry.
        ERASURE = "erasure";
        /// What a member signs to admit a device: circle ‖ (device, box key, role).
        ADMISSION = "admission";
        /// What an issuer signs to give an invite: circle ‖ (key, issuer, uses, expiry).
        INVITE = "invite";
        /// What an invite's key signs to let a newcomer in: circle ‖ member ‖ device.
        INVITED = "invited";
        /// An invite's signing key, from its secret.
        INVITE_SIGN = "invite signing key";
        /// An invite's sealing key, from its secret.
        INVITE_SEAL = "invite sealing key";
        /// An invite's mailbox address, from its secret.
        INVITE_ADDRESS = "invite mailbox address";
        /// The checksum of an invite's token.
        INVITE_TOKEN = "invite token";
        /// A device's X25519 secret, from its signing secret.
        DEVICE_BOX = "device box key";
        /// Encryption key and commitment of a body: lane key ‖ nonce.
        SEAL = "seal body";
        /// Encryption key and commitment of a transfer's reason: talk key ‖ nonce.
        SEAL_REASON = "seal reason";
        /// Encryption key and commitment of a parcel: sealing key ‖ nonce.
        SEAL_PARCEL = "seal parcel";
        /// By which an epoch's keys are known before they are held: lane key.
        EPOCH_KEY = "epoch key";
        /// The key that a sealer and a device share: X25519 secret ‖ sealer's key ‖ device's key.
        AGREED = "agreed key";
        /// Encryption key and commitment of lane keys for a device: agreed key ‖ nonce.
        SEAL_KEYS = "seal lane keys";
        /// A keybox's sealing key, from the identity's secret.
        KEYBOX = "keybox key";
        /// Encryption key and commitment of a keybox: its sealing key ‖ nonce.
        SEAL_KEYBOX = "seal keybox";
        /// What a member signs to have a keybox given to a device: keeper ‖ device.
        KEYBOX_CLAIM = "keybox claim";
        /// A readable circle's lane keys, which anyone can compute: circle ‖ epoch ‖ lane.
        READABLE = "readable lane key";
        /// A circle's salt for its state, from epoch 0's state key.
        CIRCLE_SALT = "circle salt";
        /// Where a record stands in the state tree: its canonical key.
        STATE_KEY = "state key", "71c9a6f18d9e139d4c918da5b95eee93258c48b18e409c2852729a88fa600bfb";
        /// What hides one record of the state: circle's salt ‖ hashed key.
        STATE_SALT = "state salt", "b1c1a8d44f9d7af72745dbd00b7a72f5ba60a889cc8f4fcd32ee3f66200cfcb9";
        /// A record of the state: its salt ‖ canonical value.
        STATE_VALUE = "state value", "d137681f2dd9ecbcf71ad02266872615b2426cbfacd2d1dfc54cb60dd4ad3677";
        /// What stands in the state tree: hashed key ‖ hashed value.
        STATE_PAIR = "state pair", "1a6f5a2569cf214bf30ed72feb5ebe219548323bd24f7800772a155e01749c48";
        /// A leaf of the state tree.
        STATE_LEAF = "state leaf", "4bd385d3d3e3d0faa1c420f5de917f8d9df79af14dd2bcfe50f26204919eaa61";
        /// A node of the state tree: left ‖ right.
        STATE_NODE = "state node", "3666e54318912e84c742c0fcc2bdbe1a1c1f08e7922cee359caa88deedaeab84";
        /// The root of the state tree: number of leaves ‖ top.
        STATE_ROOT = "state root";
        /// A leaf of the mountain range over headers.
        MMR_LEAF = "history leaf";
        /// A node of the mountain range: left ‖ right.
        MMR_NODE = "history node";
        /// The root of the mountain range: number of headers ‖ bagged peaks.
        MMR_ROOT = "history root";
        /// A leaf of the tree over a checkpoint's entries.
        ENTRIES_LEAF = "entries leaf", "0588d86e951771cdb166f7493917a388cf416aba6c13af359e4eed3112c61b00";
        /// A node of the tree over a checkpoint's entries: left ‖ right.
        ENTRIES_NODE = "entries node", "2327f0968a40397e8b0f97ce4662e6f976d5ef673dc63d4691f9d4993fe73164";
        /// The root of the tree over a checkpoint's entries: their number ‖ top.
        ENTRIES_ROOT = "entries root";
        /// Encryption key and commitment of a direct message: its key ‖ nonce.
        SEAL_MESSAGE = "seal direct message";
        /// Encryption key and commitment of a direct message's key for a device: agreed key ‖ nonce.
        SEAL_MESSAGE_KEY = "seal direct message key";
        /// A sealed chunk of a blob.
        CHUNK = "blob chunk";
        /// Encryption key and commitment of a chunk: blob's key ‖ nonce.
        SEAL_CHUNK = "seal blob chunk";
        /// A leaf of the tree over a blob's chunks.
        BLOB_LEAF = "blob leaf";
        /// A node of the tree over a blob's chunks: left ‖ right.
        BLOB_NODE = "blob node";
        /// The root of the tree over a blob's chunks: their number ‖ top.
        BLOB_ROOT = "blob root";
        /// A header's hash.
        HEADER = "header";
        /// A cut's hash.
        CUT = "cut";
        /// A witness set with its B.
        WITNESSES = "witnesses";
        /// What a witness signs: a vote.
        VOTE = "vote";
        /// What a founder signs to name another sole witness: circle ‖ (header, witness).
        RENEWAL = "renewal";
        /// The checksum of a proof file: all before it.
        PROOF_FILE = "proof file";
        /// A GossipSub topic: circle ‖ topic number as two bytes, big end first.
        TOPIC = "topic";
        /// A GossipSub message's id.
        MESSAGE = "message";
        /// A digest of a frontier.
        DIGEST = "frontier digest";
        /// A digest of a bucket of devices.
        DIGEST_BUCKET = "frontier bucket";
        /// One device's sorted branch heads: session nonce ‖ heads.
        DIGEST_DEVICE = "frontier device";
        /// Which bucket a device is in.
        BUCKET = "device bucket";
        /// What a device signs to say that it is there: circle ‖ device ‖ time.
        PRESENCE = "presence";
        /// A mailbox's address for a device or a member.
        MAILBOX = "mailbox";
        /// A node's random numbers, from its seed.
        RANDOM = "random";
        /// The coefficients of a batch of signature checks.
        BATCH = "signature batch";
    }
}

/// BLAKE3 in `derive_key` mode over the parts, one after the other. The parts carry no lengths: all but the last must
/// be of fixed length, or say their own (as postcard does).
pub fn hash(context: &Context, parts: &[&[u8]]) -> [u8; 32] {
    *hasher(context, parts).finalize().as_bytes()
}

/// As [`hash`], with as many bytes as `out` holds.
pub(crate) fn expand(context: &Context, parts: &[&[u8]], out: &mut [u8]) {
    hasher(context, parts).finalize_xof().fill(out);
}

/// A key from its hexadecimal digits.
const fn key(hex: &str) -> ContextKey {
    const fn digit(digit: u8) -> u8 {
        if digit <= b'9' { digit - b'0' } else { digit - b'a' + 10 }
    }
    let (hex, mut key, mut at) = (hex.as_bytes(), [0; 32], 0);
    while at < 32 {
        key[at] = digit(hex[2 * at]) << 4 | digit(hex[2 * at + 1]);
        at += 1;
    }
    key
}

/// Hashes many things under one context: what is made for the first serves all.
pub(crate) struct Hashing(blake3::Hasher);

impl Hashing {
    /// Under a context.
    pub fn new(context: &Context) -> Self {
        Hashing(hasher(context, &[]))
    }

    /// As [`hash`].
    #[cfg_attr(page, optimize(speed))]
    pub fn hash(&mut self, parts: &[&[u8]]) -> [u8; 32] {
        self.0.reset();
        for part in parts {
            self.0.update(part);
        }
        *self.0.finalize().as_bytes()
    }
}

/// The hasher under a context, having taken the parts.
pub fn hasher(context: &Context, parts: &[&[u8]]) -> blake3::Hasher {
    let mut hasher = match context.key {
        Some(key) => blake3::Hasher::new_from_context_key(key),
        None => blake3::Hasher::new_derive_key(context.text),
    };
    for part in parts {
        hasher.update(part);
    }
    hasher
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Hash;
    use alloc::collections::BTreeSet;
    use blake3::hazmat::hash_derive_key_context;

    #[test]
    fn no_two_contexts_are_equal() {
        let distinct: BTreeSet<&str> = context::ALL.iter().map(|context| context.text).collect();
        assert_eq!(distinct.len(), context::ALL.len());
    }

    #[test]
    fn the_keys_are_those_of_their_contexts() {
        let mut keys = 0;
        for context in context::ALL {
            if let Some(key) = context.key {
                assert_eq!(Hash(*key), Hash(hash_derive_key_context(context.text)), "{}", context.text);
                keys += 1;
            }
            assert_eq!(hash(context, &[b"ab", b"c"]), blake3::derive_key(context.text, b"abc"));
            let mut again = Hashing::new(context);
            again.hash(&[&[1; 5_000]]);
            assert_eq!(again.hash(&[b"ab", b"c"]), blake3::derive_key(context.text, b"abc"));
        }
        assert!(keys > 0);
    }

    #[test]
    fn parts_are_one_after_the_other() {
        assert_eq!(hash(context::ENTRY, &[b"ab", b"c"]), blake3::derive_key(context::ENTRY.text, b"abc"));
        assert_ne!(hash(context::ENTRY, &[b"abc"]), hash(context::BODY, &[b"abc"]));
    }
}
