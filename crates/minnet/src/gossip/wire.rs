//! GossipSub's RPC, as far as it is used: <https://github.com/libp2p/specs/blob/master/pubsub/gossipsub/gossipsub-v1.1.md>.
//! Messages are anonymous (`StrictNoSign`): whoever wrote something says so within it. Topics are 32 bytes, in hex.

use bytes::Bytes;

use super::Id;
use crate::{
    Topic, from_hex,
    proto::{Fields, Malformed, Value, put_bytes, put_number, put_varint},
    to_hex,
};

/// What a peer says at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rpc {
    /// True: subscribed; false: unsubscribed.
    pub(super) subscriptions: Vec<(Topic, bool)>,
    pub(super) messages: Vec<(Topic, Bytes)>,
    pub(super) have: Vec<(Topic, Vec<Id>)>,
    pub(super) want: Vec<Id>,
    pub(super) graft: Vec<Topic>,
    /// With the seconds during which no graft is welcome.
    pub(super) prune: Vec<(Topic, u64)>,
    /// Parts that are not as they must be: topics that are none of ours, messages that are signed.
    pub(super) wrong: usize,
}

const SUBSCRIPTION: u64 = 1;
const MESSAGE: u64 = 2;
const CONTROL: u64 = 3;

impl Rpc {
    /// Reads an RPC of which at most `most` ids are kept.
    pub(super) fn read(bytes: &Bytes, most: usize) -> Result<Rpc, Malformed> {
        let mut rpc = Rpc::default();
        for field in Fields(bytes) {
            match field? {
                (SUBSCRIPTION, Value::Bytes(part)) => {
                    let (mut subscribed, mut topic) = (false, None);
                    for field in Fields(part) {
                        match field? {
                            (1, Value::Number(number)) => subscribed = number != 0,
                            (2, Value::Bytes(name)) => topic = topic_of(name),
                            _ => {}
                        }
                    }
                    match topic {
                        Some(topic) => rpc.subscriptions.push((topic, subscribed)),
                        None => rpc.wrong += 1,
                    }
                }
                (MESSAGE, Value::Bytes(part)) => match message(part)? {
                    // Who keeps a small part of a frame would keep all of it.
                    Some((topic, data)) if data.len() < bytes.len() / 2 => {
                        rpc.messages.push((topic, Bytes::copy_from_slice(data)));
                    }
                    Some((topic, data)) => rpc.messages.push((topic, bytes.slice_ref(data))),
                    None => rpc.wrong += 1,
                },
                (CONTROL, Value::Bytes(part)) => rpc.read_control(part, most)?,
                _ => {}
            }
        }
        Ok(rpc)
    }

    fn read_control(&mut self, control: &[u8], most: usize) -> Result<(), Malformed> {
        for field in Fields(control) {
            let (kind, Value::Bytes(part)) = field? else { continue };
            let (mut topic, mut ids, mut backoff) = (None, Vec::new(), 0);
            for field in Fields(part) {
                match (kind, field?) {
                    (1, (2, Value::Bytes(id))) | (2, (1, Value::Bytes(id))) => {
                        // Others' ids have other lengths; none of them is one of ours.
                        if let Ok(id) = Id::try_from(id)
                            && ids.len() < most
                        {
                            ids.push(id);
                        }
                    }
                    (1 | 3 | 4, (1, Value::Bytes(name))) => topic = topic_of(name),
                    (4, (3, Value::Number(seconds))) => backoff = seconds,
                    _ => {}
                }
            }
            match (kind, topic) {
                (1, Some(topic)) => self.have.push((topic, ids)),
                (2, _) => {
                    ids.truncate(most.saturating_sub(self.want.len()));
                    self.want.append(&mut ids);
                }
                (3, Some(topic)) => self.graft.push(topic),
                (4, Some(topic)) => self.prune.push((topic, backoff)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The frame: the RPC with its length before it.
    pub(super) fn frame(&self) -> Bytes {
        let mut rpc = Vec::new();
        for (topic, subscribed) in &self.subscriptions {
            let mut part = Vec::new();
            put_number(&mut part, 1, u64::from(*subscribed));
            put_topic(&mut part, 2, topic);
            put_bytes(&mut rpc, SUBSCRIPTION as u8, &part);
        }
        for (topic, data) in &self.messages {
            let mut part = Vec::with_capacity(data.len() + 80);
            put_bytes(&mut part, 2, data);
            put_topic(&mut part, 4, topic);
            put_bytes(&mut rpc, MESSAGE as u8, &part);
        }
        let control = self.control();
        if !control.is_empty() {
            put_bytes(&mut rpc, CONTROL as u8, &control);
        }
        let mut frame = Vec::with_capacity(rpc.len() + 4);
        put_varint(&mut frame, rpc.len() as u64);
        frame.extend_from_slice(&rpc);
        frame.into()
    }

    fn control(&self) -> Vec<u8> {
        let mut control = Vec::new();
        for (topic, ids) in &self.have {
            let mut part = Vec::new();
            put_topic(&mut part, 1, topic);
            ids.iter().for_each(|id| put_bytes(&mut part, 2, id));
            put_bytes(&mut control, 1, &part);
        }
        if !self.want.is_empty() {
            let mut part = Vec::new();
            self.want.iter().for_each(|id| put_bytes(&mut part, 1, id));
            put_bytes(&mut control, 2, &part);
        }
        for topic in &self.graft {
            let mut part = Vec::new();
            put_topic(&mut part, 1, topic);
            put_bytes(&mut control, 3, &part);
        }
        for (topic, backoff) in &self.prune {
            let mut part = Vec::new();
            put_topic(&mut part, 1, topic);
            put_number(&mut part, 3, *backoff);
            put_bytes(&mut control, 4, &part);
        }
        control
    }
}

/// A message's topic and what it says; `None`: it is of another topic, or signed.
fn message(part: &[u8]) -> Result<Option<(Topic, &[u8])>, Malformed> {
    let (mut topic, mut data, mut anonymous) = (None, &[][..], true);
    for field in Fields(part) {
        match field? {
            (2, Value::Bytes(bytes)) => data = bytes,
            (4, Value::Bytes(name)) => topic = topic_of(name),
            (1 | 3 | 5 | 6, _) => anonymous = false,
            _ => {}
        }
    }
    Ok(topic.filter(|_| anonymous).map(|topic| (topic, data)))
}

fn topic_of(name: &[u8]) -> Option<Topic> {
    std::str::from_utf8(name).ok().and_then(from_hex).map(Topic)
}

fn put_topic(message: &mut Vec<u8>, field: u8, topic: &Topic) {
    put_bytes(message, field, &to_hex(&topic.0));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    /// Frames are long, and messages are kept.
    #[test]
    fn a_small_part_of_a_frame_does_not_keep_the_whole() {
        let message = Rpc { messages: vec![(Topic([7; 32]), Bytes::from_static(b"x"))], ..Rpc::default() };
        // Without its length.
        let mut frame = message.frame()[1..].to_vec();
        put_bytes(&mut frame, 9, &[0; 70_000]);
        let frame = Bytes::from(frame);
        let read = Rpc::read(&frame, 0).unwrap();
        assert_eq!(read.messages, message.messages);
        assert!(frame.is_unique());
    }
}
