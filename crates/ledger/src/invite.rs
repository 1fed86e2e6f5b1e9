//! Invites, and the token that a link carries after its `#`.
//!
//! The token is base64url without padding over: version (one byte) ‖ canonical link ‖ four bytes of BLAKE3 over both. The
//! checksum tells a link that was cut or mistyped from one that never was ours; it holds for every later version too, so
//! that a newer link is told from a broken one.

use crate::bytes::{CircleId, DeviceId, fixed};
use crate::codec::{self, encode};
use crate::entry::{Anchor, Invite};
use crate::hash::{context, hash};
use crate::keys::{DeviceKey, InviteSecret, check_key};
use crate::verify::verify;
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64UrlUnpadded, Encoding};
use core::fmt;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The version of the token's format.
pub const VERSION: u8 = 1;
/// The most relays that a link names.
pub const MAX_RELAYS: usize = 4;
/// The most bytes of a relay's URL.
pub const MAX_URL: usize = 200;
/// The most bytes of a token before base64.
const MAX_LINK: usize = 1_200;
/// The most characters of a token.
pub const MAX_TOKEN: usize = MAX_LINK.div_ceil(3) * 4;
const CHECKSUM: usize = 4;

impl Invite {
    /// What the issuer signs.
    pub fn message(&self, circle: CircleId) -> [u8; 32] {
        hash(context::INVITE, &[&circle.0, &encode(&(self.key, self.issuer, self.uses, self.expiry))])
    }

    /// Gives an invite for `uses` newcomers until `expiry` (milliseconds since 1970).
    pub fn issue(circle: CircleId, secret: &InviteSecret, issuer: &DeviceKey, uses: u32, expiry: u64) -> Self {
        let signature = crate::bytes::Signature([0; 64]);
        let mut invite = Invite { key: secret.key(), issuer: issuer.id(), uses, expiry, signature };
        invite.signature = issuer.sign(&invite.message(circle));
        invite
    }

    /// Whether it is for at least one newcomer, its key is a proper one and its issuer signed it. Whether the issuer
    /// may give invites, and whether it is used up or expired, the state says.
    pub fn check(&self, circle: CircleId) -> bool {
        self.uses > 0
            && check_key(&self.issuer.0).is_ok()
            && check_key(&self.key.0).is_ok()
            && verify(&self.issuer.0, &self.message(circle), &self.signature)
    }
}

/// A relay, as a link names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayAddress {
    /// `ws://host:port/` or `wss://…`; at most [`MAX_URL`] bytes.
    pub url: String,
    /// Its key, without which the address would be anybody's.
    pub peer: DeviceId,
}

/// What an invite's link carries.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteLink {
    /// [`VERSION`].
    pub version: u8,
    /// The invite's secret: see [`InviteSecret`].
    #[serde(with = "fixed")]
    pub secret: [u8; 32],
    /// The circle.
    pub circle: CircleId,
    /// Where the circle's parcels wait; at most [`MAX_RELAYS`].
    pub relays: Vec<RelayAddress>,
    /// A recent certified header, against a history that was made up later.
    pub pinned: Anchor,
}

/// Why a text is no invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// It could be a piece of one: cut, or mistyped.
    #[error("the link is cut or mistyped")]
    Cut,
    /// It never was one of ours.
    #[error("the link is no invite")]
    Malformed,
    /// Whole, but of a format that this code does not know.
    #[error("the link is of version {0}, which is unknown here")]
    Version(u8),
}

impl InviteLink {
    /// The token. A link that breaks the bounds (relays, URL lengths) gives a token that does not read back.
    pub fn to_token(&self) -> String {
        let mut bytes = encode(self);
        let checksum = hash(context::INVITE_TOKEN, &[&bytes]);
        bytes.extend_from_slice(&checksum[..CHECKSUM]);
        Base64UrlUnpadded::encode_string(&bytes)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn from_token(token: &str) -> Result<Self, LinkError> {
        let ours = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if token.len() > MAX_TOKEN || !token.bytes().all(ours) {
            return Err(LinkError::Malformed);
        }
        let bytes = Base64UrlUnpadded::decode_vec(token).map_err(|_| LinkError::Cut)?;
        let (link, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(LinkError::Cut)?;
        if hash(context::INVITE_TOKEN, &[link])[..CHECKSUM] != *checksum {
            return Err(LinkError::Cut);
        }
        match link.first() {
            Some(&VERSION) => {}
            Some(other) => return Err(LinkError::Version(*other)),
            None => return Err(LinkError::Malformed),
        }
        let link: Self = codec::decode(link, MAX_LINK).map_err(|_| LinkError::Malformed)?;
        let bounded = link.relays.len() <= MAX_RELAYS && link.relays.iter().all(|relay| relay.url.len() <= MAX_URL);
        bounded.then_some(link).ok_or(LinkError::Malformed)
    }

    /// The secret with its keys.
    pub fn invite_secret(&self) -> InviteSecret {
        InviteSecret::from_secret(self.secret)
    }
}

impl fmt::Debug for InviteLink {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let InviteLink { version, circle, relays, pinned, .. } = self;
        f.debug_struct("InviteLink")
            .field("version", version)
            .field("circle", circle)
            .field("relays", relays)
            .field("pinned", pinned)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::bytes::{HeaderHash, InviteKey, Signature};
    use crate::hostile::Circle;
    use alloc::string::ToString;
    use proptest::prelude::*;

    prop_compose! {
        fn links()(
            secret: [u8; 32],
            circle: [u8; 32],
            relays in proptest::collection::vec(("[ -~]{0,200}", any::<[u8; 32]>()), 0..=MAX_RELAYS),
            height: u64,
            hash: [u8; 32],
        ) -> InviteLink {
            let relays = relays.into_iter().map(|(url, peer)| RelayAddress { url, peer: DeviceId(peer) }).collect();
            let pinned = Anchor { height, hash: HeaderHash(hash) };
            InviteLink { version: VERSION, secret, circle: CircleId(circle), relays, pinned }
        }
    }

    fn token_of(bytes: &[u8]) -> String {
        let checksum = hash(context::INVITE_TOKEN, &[bytes]);
        Base64UrlUnpadded::encode_string(&[bytes, &checksum[..CHECKSUM]].concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_token_reads_back_and_no_cut_of_it_does(link in links()) {
            let token = link.to_token();
            prop_assert!(token.len() <= MAX_TOKEN);
            prop_assert_eq!(InviteLink::from_token(&token).unwrap(), link);
            for len in 0..token.len() {
                prop_assert_eq!(InviteLink::from_token(&token[..len]), Err(LinkError::Cut));
            }
        }
    }

    #[test]
    fn foreign_newer_and_overlong_links_are_told_apart() {
        assert_eq!(InviteLink::from_token("https://example.org/"), Err(LinkError::Malformed));
        assert_eq!(InviteLink::from_token(&"A".repeat(MAX_TOKEN + 1)), Err(LinkError::Malformed));
        assert_eq!(InviteLink::from_token(&token_of(&[2, 3, 4])), Err(LinkError::Version(2)));
        assert_eq!(InviteLink::from_token(&token_of(&[VERSION, 3, 4])), Err(LinkError::Malformed));
        assert_eq!(InviteLink::from_token(&token_of(&[])), Err(LinkError::Malformed));
    }

    #[test]
    fn relays_are_bounded() {
        let relay = |len| RelayAddress { url: "a".repeat(len), peer: DeviceId([1; 32]) };
        let pinned = Anchor { height: 0, hash: HeaderHash([1; 32]) };
        let link = |relays| InviteLink { version: VERSION, secret: [1; 32], circle: CircleId([1; 32]), relays, pinned };
        let read = |relays: Vec<_>| InviteLink::from_token(&link(relays).to_token()).map(|_| ());
        assert_eq!(read(alloc::vec![relay(MAX_URL); MAX_RELAYS]), Ok(()));
        assert_eq!(read(alloc::vec![relay(MAX_URL + 1)]), Err(LinkError::Malformed));
        assert_eq!(read(alloc::vec![relay(1); MAX_RELAYS + 1]), Err(LinkError::Malformed));
    }

    #[test]
    fn an_invite_holds_in_its_circle_as_it_was_given() {
        let (_, invite, _) = Circle::new(1).invite(2);
        let circle = Circle::new(1).id;
        assert!(invite.check(circle));
        assert!(!invite.check(Circle::new(2).id));
        assert!(!Invite { uses: 11, ..invite }.check(circle));
        assert!(!Invite { uses: 0, ..invite }.check(circle));
        assert!(!Invite { expiry: invite.expiry + 1, ..invite }.check(circle));
        // Of small order: whoever holds no secret comes by such a key, and such an issuer "signs" anything.
        let issuer = DeviceKey::from_secret([3; 32]);
        let given = |key| {
            let mut invite = Invite { key, issuer: issuer.id(), ..invite };
            invite.signature = issuer.sign(&invite.message(circle));
            invite.check(circle)
        };
        assert!(given(invite.key) && !given(InviteKey([0; 32])));
        assert!(!Invite { issuer: DeviceId([0; 32]), signature: Signature([0; 64]), ..invite }.check(circle));
    }

    #[test]
    fn a_links_secret_is_not_shown() {
        let pinned = Anchor { height: 0, hash: HeaderHash([1; 32]) };
        let link = InviteLink { version: 1, secret: [0xab; 32], circle: CircleId([1; 32]), relays: Vec::new(), pinned };
        assert!(!alloc::format!("{link:?}").to_string().contains("171"));
    }
}
