//! An engine comes to rest and is opened anew over the same log: a relay's that gets lane keys, or leaves them; a device's
//! that gives up what it settled.

use super::Node;
use crate::error::NodeError;
use crate::profile::{self, CircleRecord};
use crate::rt;
use crate::store::{Batch, Space, Store};
use ledgerno_engine::Engine;
use ledgerno_engine::store::goes_with_keys;
use ledgerno_engine::wire::No;
use ledgerno_ledger::bytes::CircleId;
use std::time::Duration;

/// How often it is looked whether all is written.
const LOOK: Duration = Duration::from_millis(5);

impl<S: Store> Node<S> {
    /// Opens a circle's engine over another record, which is durable from then on; if that fails, over the one before.
    ///
    /// # Errors
    /// [`No::Busy`] while the engine is being opened already or the store fails; when the log does not replay with the new
    /// keys; when the store takes nothing.
    pub(crate) async fn reseat(&self, circle: CircleId, record: CircleRecord) -> Result<(), NodeError> {
        let (space, before) = self.rest(circle).await?;
        let (engine, record, done) = match self.seat(circle, &space, &record).await {
            Ok(engine) => (Ok(engine), record, Ok(())),
            Err(why) => (self.load(&space, &before).await, before, Err(why)),
        };
        {
            let mut state = self.0.state.borrow_mut();
            let Some(opened) = state.circles.get_mut(&circle) else { return Err(NodeError::Closed) };
            match engine {
                Ok(engine) => opened.engine = Some(engine),
                Err(error) => opened.stalled = Some(error),
            }
            opened.pauses = false;
            opened.record = record.clone();
            state.profile.circles.insert(circle, record);
        }
        self.pump(circle);
        self.meet(circle);
        self.changed();
        done
    }

    /// Takes nothing more from outside, waits until all is written, and takes the engine away.
    async fn rest(&self, circle: CircleId) -> Result<(S::Space, CircleRecord), NodeError> {
        loop {
            {
                let mut state = self.0.state.borrow_mut();
                let opened = state.circles.get_mut(&circle).ok_or(No::UnknownCircle)?;
                if opened.engine.is_none() || opened.stalled.is_some() {
                    return Err(No::Busy.into());
                }
                opened.pauses = true;
                if !opened.writing {
                    opened.engine = None;
                    // Whoever asked asks again.
                    opened.replies.clear();
                    opened.waiters.clear();
                    opened.timer = None;
                    return Ok((opened.space.clone(), opened.record.clone()));
                }
            }
            rt::sleep(LOOK).await;
        }
    }

    /// An engine over a record that is durable.
    async fn seat(&self, circle: CircleId, space: &S::Space, record: &CircleRecord) -> Result<Engine, NodeError> {
        if record.keys.is_none() {
            let names = space.load().await?.records.into_keys().filter(|name| goes_with_keys(name));
            let records = names.map(|name| (name, None)).collect();
            space.write(Batch { records, ..Batch::default() }).await?;
        }
        let engine = self.load(space, record).await?;
        let profile_space = self.0.state.borrow().profile_space.clone();
        profile_space.write(profile::circle_batch(circle, record)).await?;
        Ok(engine)
    }
}
