//! How messages travel: gossip from node to node, questions and their answers, each with a latency of its own or lost.

use super::{Happening, Shared, World};
use crate::host::Id;
use crate::liar::Said;
use crate::net::{HEARTBEAT, Message, OFFERS, SEEN, TIMEOUT};
use crate::traffic::Kind;
use ledgerno_engine::wire::{Answer, Ask, Topic};
use ledgerno_ledger::bytes::DeviceId;
use std::cell::RefCell;
use std::rc::Rc;

impl World {
    /// A node publishes: its neighbours get it, and each hands it on the first time it sees it.
    pub fn publish(&mut self, id: Id, topic: Topic, bytes: Vec<u8>) {
        let message = self.message(topic, bytes.into());
        if message.borrow_mut().see(id) {
            self.hand_on(id, id, &message);
        }
    }

    /// The message of these bytes: whoever says the same within a minute says the same message.
    pub(super) fn message(&mut self, topic: Topic, bytes: Rc<[u8]>) -> Shared {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[topic as u8]);
        hasher.update(&bytes);
        let key = *hasher.finalize().as_bytes();
        while let Some((_, old)) = self.recent_order.pop_front_if(|(at, _)| *at + SEEN < self.now) {
            self.recent.remove(&old);
        }
        let (now, nodes, order) = (self.now, self.hosts.len(), &mut self.recent_order);
        let message = self.recent.entry(key).or_insert_with(|| {
            order.push_back((now, key));
            Rc::new(RefCell::new(Message::new(topic, bytes, nodes)))
        });
        Rc::clone(message)
    }

    pub(super) fn hand_on(&mut self, id: Id, from: Id, message: &Shared) {
        for at in 0..self.links.neighbours(id).len() {
            let to = self.links.neighbours(id)[at];
            if to != from {
                self.send_gossip(id, to, Rc::clone(message), 0);
            }
        }
    }

    pub(super) fn send_gossip(&mut self, from: Id, to: Id, message: Shared, again: u8) {
        let Some(link) = self.links.standing(from, to) else { return };
        if message.borrow().topic == Topic::Witnesses && !self.hosts[to].hears_witnesses() {
            return;
        }
        let message = match self.hosts[from].liar.as_mut() {
            None => message,
            Some(liar) => {
                let (topic, bytes) = (message.borrow().topic, Rc::clone(&message.borrow().bytes));
                match liar.say(self.now, to, Said::Gossip(topic, Rc::clone(&bytes))) {
                    Some(Said::Gossip(other, said)) if other == topic && said == bytes => message,
                    Some(Said::Gossip(topic, said)) => self.message(topic, said),
                    _ => return,
                }
            }
        };
        let (kind, len) = (message.borrow().kind, message.borrow().bytes.len());
        self.sent(from, kind, len);
        let latency = self.conditions.latency(&mut self.dice);
        if self.is_lost() {
            if again < OFFERS {
                let offer = Happening::Offer { from, to, link, message, again: again + 1 };
                self.queue.plan(self.now + HEARTBEAT, offer);
            }
            return;
        }
        if self.conditions.twice > 0 && self.dice.below(1_000) < self.conditions.twice as usize {
            let late = self.conditions.latency(&mut self.dice);
            let twice = Happening::Twice { from, to, link, message: Rc::clone(&message) };
            self.queue.plan(self.now + latency + late, twice);
        }
        self.queue.plan(self.now + latency, Happening::Gossip { from, to, link, message });
    }

    fn sent(&mut self, from: Id, kind: Kind, bytes: usize) {
        self.traffic.add(kind, bytes);
        self.hosts[from].sent += bytes as u64;
    }

    fn is_lost(&mut self) -> bool {
        self.conditions.loss > 0 && self.dice.below(1_000) < self.conditions.loss as usize
    }

    pub(super) fn gossip(&mut self, from: Id, to: Id, link: u64, message: Shared) {
        if self.links.standing(from, to) != Some(link) {
            return;
        }
        if message.borrow_mut().see(to) {
            if message.borrow().topic != Topic::Witnesses || self.hosts[to].hands_votes_on() {
                self.hand_on(to, from, &message);
            }
            self.hear(from, to, link, &message);
        } else {
            self.hosts[to].received += message.borrow().bytes.len() as u64;
        }
    }

    pub(super) fn hear(&mut self, from: Id, to: Id, link: u64, message: &Shared) {
        if self.links.standing(from, to) != Some(link) {
            return;
        }
        let (topic, bytes) = (message.borrow().topic, Rc::clone(&message.borrow().bytes));
        self.hosts[to].received += bytes.len() as u64;
        self.trace.note(self.now, "gossip", to, from, &bytes);
        let peer = self.hosts[from].device;
        self.drive(to, |engine, now| engine.gossip(topic, peer, &bytes, now));
    }

    // Questions and answers

    pub(super) fn ask(&mut self, from: Id, to: DeviceId, no: u64, ask: Ask) {
        let life = self.hosts[from].life;
        let mut standing = self.by_device.get(&to).and_then(|to| Some((*to, self.links.standing(from, *to)?)));
        if standing.is_none() {
            // A copy of a device answers to its name.
            let copies = self.links.neighbours(from).iter().filter(|other| self.hosts[**other].device == to);
            standing = copies.filter_map(|other| Some((*other, self.links.standing(from, *other)?))).next();
        }
        let Some((to, link)) = standing else {
            self.queue.plan(self.now + 1, Happening::NoAnswer { at: from, life, no });
            return;
        };
        self.hosts[from].questions.insert(no, to);
        self.queue.plan(self.now + TIMEOUT, Happening::NoAnswer { at: from, life, no });
        let said = match self.hosts[from].liar.as_mut() {
            None => Some(Said::Ask(ask)),
            Some(liar) => liar.say(self.now, to, Said::Ask(ask)),
        };
        let Some(Said::Ask(ask)) = said else { return };
        let bytes: Rc<[u8]> = ask.to_bytes(self.cast.genesis.id()).into();
        self.sent(from, Kind::Question, bytes.len());
        let latency = self.conditions.latency(&mut self.dice);
        if !self.is_lost() {
            let kind = ask.kind();
            self.queue.plan(self.now + latency, Happening::Ask { from, life, to, link, no, kind, bytes });
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a question as it comes")]
    pub(super) fn asked(&mut self, from: Id, life: u32, to: Id, link: u64, no: u64, kind: u16, bytes: &[u8]) {
        if self.links.standing(from, to) != Some(link) || self.hosts[from].life != life {
            return;
        }
        self.hosts[to].received += bytes.len() as u64;
        self.trace.note(self.now, "ask", to, from, bytes);
        let Some(Ok(ask)) = ledgerno_engine::wire::circle_of(bytes).map(|(_, bytes)| Ask::from_bytes(kind, bytes))
        else {
            self.watch.fault(format!("node {from} asks what does not decode"));
            return;
        };
        let peer = self.hosts[from].device;
        if self.hosts[to].keeps {
            // A keeper meets a device when it first asks.
            self.drive(to, |engine, now| engine.met(peer, now));
        }
        self.next_reply += 1;
        let reply = self.next_reply;
        self.hosts[to].replies.insert(reply, (from, life, no));
        self.drive(to, |engine, now| engine.asked(peer, reply, ask, now));
    }

    pub(super) fn answer(&mut self, from: Id, no: u64, answer: Answer) {
        let Some((to, life, no)) = self.hosts[from].replies.remove(&no) else { return };
        let Some(link) = self.links.standing(from, to) else { return };
        let said = match self.hosts[from].liar.as_mut() {
            None => Some(Said::Answer(answer)),
            Some(liar) => liar.say(self.now, to, Said::Answer(answer)),
        };
        let Some(Said::Answer(answer)) = said else { return };
        let bytes: Rc<[u8]> = answer.to_bytes().into();
        self.sent(from, Kind::Answer, bytes.len());
        let latency = self.conditions.latency(&mut self.dice);
        if !self.is_lost() {
            self.queue.plan(self.now + latency, Happening::Answer { from, to, life, link, no, bytes });
        }
    }

    pub(super) fn answered(&mut self, at: Id, no: u64, answer: Option<Answer>) {
        if !self.hosts[at].awake || answer.is_none() && self.hosts[at].questions.remove(&no).is_none() {
            return;
        }
        self.hosts[at].questions.remove(&no);
        self.drive(at, |engine, now| engine.answered(no, answer, now));
    }
}
