//! Enlisting a circle's relay: by its owner's token it is given the state keys, sealed to it, and a member's word that its
//! device may vote. It offers itself then; who has the authority promotes it as any other device. It never gets a talk key.

use crate::driver::Node;
use crate::error::NodeError;
use crate::member::owner_token;
use crate::store::Store;
use ledgerno_engine::wire::{Answer, ENLIST, Enlist, Order};
use ledgerno_ledger::bytes::{BoxKey, CircleId, DeviceId};
use ledgerno_ledger::codec;

impl<S: Store> Node<S> {
    /// Enlists the circle's relay. Resolves once its offer to be a witness is durable there; may be said again.
    ///
    /// # Errors
    /// When there is no such circle or no relay of it, the relay does not answer or refuses (a wrong token), or this
    /// person's device is not in.
    pub async fn enlist(&self, circle: CircleId, token: &str) -> Result<(), NodeError> {
        let relay = self.relay_of(circle)?;
        let Answer::Parcel(key) = self.order(circle, relay, token, Order::SayKey).await? else {
            return Err(NodeError::Nonsense);
        };
        let key = BoxKey(key.try_into().map_err(|_| NodeError::Nonsense)?);
        let enlisted = self.drive(circle, |engine, _| engine.enlist(relay, key)).ok_or(NodeError::NoCircle)?;
        let (admission, keys) = enlisted?;
        self.order(circle, relay, token, Order::Vote { admission: Box::new(admission), keys }).await?;
        Ok(())
    }

    /// Has the circle's relay forget the keys that it was given, once it does not vote any more.
    ///
    /// # Errors
    /// As [`Node::enlist`]; and while the relay votes.
    pub async fn dismiss(&self, circle: CircleId, token: &str) -> Result<(), NodeError> {
        self.order(circle, self.relay_of(circle)?, token, Order::Forget).await?;
        Ok(())
    }

    fn relay_of(&self, circle: CircleId) -> Result<DeviceId, NodeError> {
        let state = self.0.state.borrow();
        let relays = &state.circles.get(&circle).ok_or(NodeError::NoCircle)?.record.relays;
        relays.first().map(|relay| relay.peer).ok_or(NodeError::Unreachable { url: String::new() })
    }

    async fn order(&self, circle: CircleId, relay: DeviceId, token: &str, order: Order) -> Result<Answer, NodeError> {
        let enlist = Enlist { token: owner_token(token)?, circle, order };
        self.question(relay, ENLIST, codec::encode(&enlist)).await
    }
}
