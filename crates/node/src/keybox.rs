//! Coming back with 24 words: the own keybox is brought to each relay of each circle whenever it has changed, and a fresh
//! device claims it from a relay.

use crate::driver::Node;
use crate::error::NodeError;
use crate::profile::CircleRecord;
use crate::rt;
use crate::store::Store;
use bytes::Bytes;
use ledgerno_engine::wire::{Answer, Ask, ClaimKeybox, KEYBOX, MAX_KEYBOX, No};
use ledgerno_ledger::bytes::{CircleId, DeviceId};
use ledgerno_ledger::codec;
use ledgerno_ledger::invite::RelayAddress;
use ledgerno_ledger::keybox::may_have_keybox;
use ledgerno_ledger::keys::Identity;
use ledgerno_minnet::Responder;

/// The most bytes of a claim.
const MAX_CLAIM: usize = 128;

impl<S: Store> Node<S> {
    /// Who this person is.
    pub fn identity(&self) -> Identity {
        self.0.state.borrow().profile.identity()
    }

    /// The 24 words that bring this person back. Who has them, is this person.
    pub fn words(&self) -> String {
        self.identity().words().to_string()
    }

    /// As [`Node::return_as`], by the 24 words.
    ///
    /// # Errors
    /// When the words are none; as [`Node::return_as`].
    pub async fn restore(&self, words: &str, relay: RelayAddress) -> Result<Vec<CircleId>, NodeError> {
        self.return_as(Identity::from_words(words)?, relay).await
    }

    /// Becomes this person, on this device: fetches the keybox from a relay, and enrols this device in the
    /// person's circles as their relays are reached.
    ///
    /// # Errors
    /// When somebody is in a circle here already, or the relay keeps no keybox of theirs.
    pub async fn return_as(&self, identity: Identity, relay: RelayAddress) -> Result<Vec<CircleId>, NodeError> {
        let device = {
            let state = self.0.state.borrow();
            if !state.profile.circles.is_empty() {
                return Err(NodeError::Occupied);
            }
            state.profile.device().id()
        };
        self.link(&relay).await?;
        let claim = identity.claim_keybox(relay.peer, device);
        let claim = ClaimKeybox { member: identity.member(), claim };
        let Answer::Parcel(sealed) = self.question(relay.peer, KEYBOX, codec::encode(&claim)).await? else {
            return Err(NodeError::Nonsense);
        };
        let plain = identity.open_keybox(&sealed).map_err(|_| NodeError::Nonsense)?;
        let circles: Vec<CircleRecord> = codec::decode(&plain, MAX_KEYBOX).map_err(|_| NodeError::Nonsense)?;
        self.become_person(*identity.secret(), circles).await
    }

    /// Brings the own keybox to a relay of a circle, if it has changed since it was brought there.
    pub(crate) fn bring_keybox(&self, circle: CircleId, to: DeviceId) {
        if !self.is_member_node() {
            return;
        }
        let plain = codec::encode(&self.taken_along());
        let digest = *blake3::hash(&plain).as_bytes();
        let identity = {
            let state = self.0.state.borrow();
            let Some(of) = state.circles.get(&circle) else { return };
            let is_relay = of.record.relays.iter().any(|relay| relay.peer == to);
            if !is_relay || of.keybox_at.get(&to) == Some(&digest) {
                return;
            }
            state.profile.identity()
        };
        let node = self.clone();
        rt::spawn(async move {
            let Ok(nonce) = rt::random::<24>() else { return };
            let Ok(sealed) = identity.seal_keybox(nonce, &plain) else { return };
            let ask = Ask::PutKeybox { sealed };
            match node.question(to, ask.kind(), ask.to_bytes(circle)).await {
                Ok(_) => {
                    if let Some(circle) = node.0.state.borrow_mut().circles.get_mut(&circle) {
                        circle.keybox_at.insert(to, digest);
                    }
                }
                // It is brought when the relay and this node are at one the next time.
                Err(error) => tracing::debug!(%error, "the keybox was not kept"),
            }
        });
    }

    /// Somebody comes back.
    pub(crate) fn keybox_claimed(&self, peer: DeviceId, bytes: &Bytes, reply: Responder) {
        let answer = self.keybox_for(peer, bytes).map_or_else(Answer::No, Answer::Parcel);
        reply.send(answer.to_bytes().into());
    }

    fn keybox_for(&self, peer: DeviceId, bytes: &[u8]) -> Result<Vec<u8>, No> {
        let ClaimKeybox { member, claim } = codec::decode(bytes, MAX_CLAIM).map_err(|_| No::Malformed)?;
        let state = self.0.state.borrow();
        if !may_have_keybox(member, state.profile.device().id(), peer, &claim) {
            return Err(No::NotAdmitted);
        }
        let engines = state.circles.values().filter_map(|circle| circle.engine.as_ref());
        let newest = engines.filter_map(|engine| engine.keybox(&member)).max_by_key(|kept| kept.at);
        newest.map(|kept| kept.sealed.clone()).ok_or(No::NoParcel)
    }
}
