//! A store that fails. Nothing that was not durable has been said to anybody, so the engine is thrown away and opened anew
//! from what is, as after a crash; again and again, each time later, while that fails too.

use super::Node;
use crate::error::NodeError;
use crate::profile::CircleRecord;
use crate::rt;
use crate::store::Store;
use ledgerno_ledger::bytes::CircleId;
use std::time::Duration;

/// The first pause after the store failed; it doubles.
const STALL: Duration = Duration::from_secs(2);

impl<S: Store> Node<S> {
    /// The store failed: start anew from what is durable, and take nothing from outside for a while.
    pub(super) async fn stalled(&self, circle: CircleId, error: NodeError) {
        tracing::warn!(%error, "the store takes nothing");
        let (space, record, pause) = {
            let mut state = self.0.state.borrow_mut();
            let Some(circle) = state.circles.get_mut(&circle) else { return };
            circle.engine = None;
            circle.queue.clear();
            circle.replies.clear();
            circle.parcels.clear();
            circle.synced.clear();
            circle.timer = None;
            circle.stalled = Some(error.clone());
            circle.pauses = true;
            circle.stalls = circle.stalls.saturating_add(1);
            for (_, waiter) in std::mem::take(&mut circle.waiters) {
                waiter.send(Err(error.clone())).ok();
            }
            (circle.space.clone(), circle.record.clone(), STALL * (1 << circle.stalls.min(5)))
        };
        self.reopen(circle, &space, &record).await;
        let node = self.clone();
        rt::spawn(async move {
            rt::sleep(pause).await;
            while !node.reopen(circle, &space, &record).await {
                rt::sleep(pause).await;
            }
            if let Some(circle) = node.0.state.borrow_mut().circles.get_mut(&circle) {
                circle.pauses = false;
            }
            node.meet(circle);
        });
    }

    /// Opens a circle's engine anew unless it is open; whether there is nothing more to try.
    async fn reopen(&self, circle: CircleId, space: &S::Space, record: &CircleRecord) -> bool {
        let is_shut = {
            let state = self.0.state.borrow();
            !state.closed && state.circles.get(&circle).is_some_and(|circle| circle.engine.is_none())
        };
        if !is_shut {
            return true;
        }
        let loaded = self.load(space, record).await;
        let is_open = loaded.is_ok();
        if let Some(circle) = self.0.state.borrow_mut().circles.get_mut(&circle) {
            circle.writing = false;
            match loaded {
                Ok(engine) => circle.engine = Some(engine),
                Err(error) => circle.stalled = Some(error),
            }
        }
        self.changed();
        is_open
    }
}
