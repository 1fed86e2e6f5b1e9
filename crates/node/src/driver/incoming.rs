//! What comes in from the network, and which circle it is for. A circle whose store is behind takes nothing.

use super::{MAX_QUEUE, MAX_REPLIES, Node};
use crate::links::Path;
use crate::store::Store;
use bytes::Bytes;
use futures::StreamExt;
use ledgerno_engine::wire::{self, Answer, Ask, No, Topic};
use ledgerno_ledger::bytes::{CircleId, DeviceId};
use ledgerno_minnet::{self as minnet, Responder};

impl<S: Store> Node<S> {
    pub(super) async fn listen(self, mut events: minnet::Events) {
        while let Some(event) = events.next().await {
            match event {
                minnet::Event::Connected { peer, path } => self.linked(DeviceId(peer.0), Path::from(&path)),
                minnet::Event::Moved { peer, path } => self.moved(DeviceId(peer.0), Path::from(&path)),
                minnet::Event::Tried { peer, way, why } => self.tried(DeviceId(peer.0), way, why),
                minnet::Event::Found { key, peer, .. } => self.friend_found(&key, DeviceId(peer.0)),
                minnet::Event::Judged(standing) => self.judged(standing),
                minnet::Event::Disconnected { peer } => self.unlinked(DeviceId(peer.0)),
                minnet::Event::DialFailed { peer, reason, .. } => {
                    self.dial_failed(DeviceId(peer.0), &reason);
                }
                minnet::Event::Refused { peer, theirs, ours } => self.version_refused(DeviceId(peer.0), theirs, ours),
                minnet::Event::Subscribed { peer, topic } => self.subscribed(DeviceId(peer.0), topic),
                minnet::Event::Unsubscribed { .. } => {}
                #[cfg(not(target_arch = "wasm32"))]
                minnet::Event::Listening { url } => tracing::info!(url, "takes links of native nodes"),
                #[cfg(not(target_arch = "wasm32"))]
                minnet::Event::NotListening { at, why } => tracing::error!(?at, why, "takes no links there"),
                minnet::Event::Message { topic, from, bytes } => self.message(topic, DeviceId(from.0), &bytes),
                minnet::Event::Request { peer, kind, bytes, reply } => {
                    self.request(DeviceId(peer.0), kind, bytes, reply)
                }
            }
        }
    }

    /// Joins the witnesses' topic, or leaves it, as who votes changes; and hands on what comes there, or not, as relays are
    /// linked.
    pub(super) fn hear_witnesses(&self, circle: CircleId) {
        let (heard, hears, hands_on) = {
            let mut state = self.0.state.borrow_mut();
            let Some(opened) = state.circles.get_mut(&circle) else { return };
            let Some(engine) = &opened.engine else { return };
            let listens = (engine.hears_witnesses(), engine.hands_votes_on() || !engine.hears_witnesses());
            let (heard, handed_on) = std::mem::replace(&mut opened.listens, listens);
            if (heard, handed_on) == listens {
                return;
            }
            (heard, listens.0, listens.1)
        };
        let (net, topic) = (&self.0.net, minnet::Topic(Topic::Witnesses.id(circle)));
        let mut told = Ok(());
        if heard != hears {
            told = if hears { net.subscribe(topic) } else { net.unsubscribe(topic) };
        }
        if let Err(error) = told.and_then(|()| net.hand_on(topic, hands_on)) {
            tracing::warn!(%error, "the network takes no subscription");
        }
    }

    /// A peer hears a circle's gossip only now: what was said before it is found by another sync.
    fn subscribed(&self, peer: DeviceId, topic: minnet::Topic) {
        let circle = self.0.state.borrow().topics.get(&topic.0).copied();
        match circle {
            Some((circle, Topic::Entries)) if self.is_member_node() => {
                self.drive(circle, |engine, now| engine.sync(peer, now));
            }
            Some((circle, Topic::Presence)) if self.is_member_node() => self.say_there(circle),
            _ => {}
        }
    }

    fn message(&self, topic: minnet::Topic, from: DeviceId, bytes: &[u8]) {
        let known = self.0.state.borrow().topics.get(&topic.0).copied();
        let Some((circle, topic)) = known else { return };
        if topic == Topic::Presence {
            if self.is_member_node() {
                self.hear_there(circle, bytes);
            }
            return;
        }
        if self.has_room(circle) {
            self.drive(circle, |engine, now| engine.gossip(topic, from, bytes, now));
        }
    }

    fn has_room(&self, circle: CircleId) -> bool {
        self.0.state.borrow().circles.get(&circle).is_some_and(|circle| {
            circle.queue.len() < MAX_QUEUE && !circle.pauses && circle.replies.len() < MAX_REPLIES
        })
    }

    fn request(&self, peer: DeviceId, kind: u16, bytes: Bytes, reply: Responder) {
        let say = |reply: Responder, no: No| reply.send(Answer::No(no).to_bytes().into());
        if kind == wire::KEYBOX {
            return self.keybox_claimed(peer, &bytes, reply);
        }
        #[cfg(not(target_arch = "wasm32"))]
        if matches!(kind, wire::REGISTER | wire::ENLIST) {
            crate::rt::spawn(self.clone().ordered(peer, kind, bytes, reply));
            return;
        }
        let Some((circle, question)) = wire::circle_of(&bytes) else { return say(reply, No::Malformed) };
        if !self.0.state.borrow().circles.contains_key(&circle) {
            return say(reply, No::UnknownCircle);
        }
        let Ok(ask) = Ask::from_bytes(kind, question) else { return say(reply, No::Malformed) };
        // A relay meets a device when it first asks, and what is said in the circle goes on while the circle is busy.
        let is_relay = !self.is_member_node();
        if is_relay {
            self.admit(peer);
        }
        if !self.has_room(circle) {
            return say(reply, No::Busy);
        }
        if is_relay {
            self.drive(circle, |engine, now| engine.met(peer, now));
        }
        let no = {
            let mut state = self.0.state.borrow_mut();
            let Some(circle) = state.circles.get_mut(&circle) else { return };
            circle.next_reply += 1;
            circle.replies.insert(circle.next_reply, reply);
            circle.next_reply
        };
        self.drive(circle, |engine, now| engine.asked(peer, no, ask, now));
    }
}
