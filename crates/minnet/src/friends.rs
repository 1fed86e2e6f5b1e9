//! What the driver does about friends: the overlay says what, and here it is done.

use ledgerno_webrtc::{Cause, Step};
use libp2p::{
    Multiaddr, PeerId,
    core::transport::TransportError,
    multiaddr::Protocol,
    swarm::{
        DialError, ListenError,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use web_time::Instant;

use crate::{
    Event, Path, Peer, Way, Why,
    calls::{cause, timed_out},
    circuit::{CircuitError, Status},
    links::Dial,
    overlay::{Do, Reach},
    swarm::Driver,
    transport::circuit_address,
};

impl Driver {
    pub(crate) fn reach(&self, id: &PeerId) -> Reach {
        self.linked.get(id).map_or(Reach::None, |linked| linked.reach())
    }

    /// Whether a peer is somebody's friend here. Then its offers of a direct link are answered, which tells it this node's
    /// addresses, and it takes part in the gossip.
    pub(crate) fn is_welcome(&self, id: &PeerId) -> bool {
        let known = self.overlay.seeks(*id) || self.linked.get(id).is_some_and(|linked| linked.admitted);
        known && !self.is_banned(id)
    }

    /// A peer may have become a friend.
    pub(crate) fn welcome(&mut self, id: PeerId) {
        self.look_at_guest(id);
        if self.is_welcome(&id)
            && let Some(direct) = self.swarm.behaviour_mut().direct.as_mut()
        {
            direct.welcome(id);
        }
    }

    /// Who is welcome no longer is answered no longer.
    fn see_off(&mut self) {
        let welcomed = self.swarm.behaviour().direct.as_ref().map_or(&[][..], |direct| direct.welcomed());
        let gone: Vec<PeerId> = welcomed.iter().filter(|id| !self.is_welcome(id)).copied().collect();
        for id in gone {
            if let Some(direct) = self.swarm.behaviour_mut().direct.as_mut() {
                direct.unwelcome(id);
            }
        }
    }

    pub(crate) fn look_after_friends(&mut self) {
        self.see_off();
        if self.overlay.is_idle() {
            return;
        }
        let now = Instant::now();
        let carriers = self.carriers();
        while let Some(todo) = self.overlay.next(&carriers, now) {
            match todo {
                Do::Dial { peer, carrier } => self.dial_friend(peer, Some(carrier)),
                Do::Upgrade { peer } => self.dial_friend(peer, None),
            }
        }
        self.ring_at(self.overlay.due());
    }

    /// Who may carry: relays, and friends with a link of their own.
    fn carriers(&self) -> Vec<PeerId> {
        let carriers = self.linked.iter().filter_map(|(id, linked)| {
            let link = linked.link(linked.current?)?;
            let relay = matches!(link.path, Path::Relay { .. });
            let may = relay || matches!(link.path, Path::Direct | Path::Accepted { .. });
            may.then(|| (*id, relay, link.rtt.millis()))
        });
        nearest_first(carriers.collect())
    }

    fn dial_friend(&mut self, id: PeerId, carrier: Option<PeerId>) {
        #[cfg(not(target_arch = "wasm32"))]
        if carrier.is_none() && self.config.direct.is_none() {
            return self.punch(id);
        }
        let address = match carrier {
            Some(carrier) => circuit_address(carrier),
            // With the peer: libp2p dials no address that it listens on.
            None => Multiaddr::from_iter([Protocol::WebRTC, Protocol::P2p(id)]),
        };
        let dial = DialOpts::peer_id(id).condition(PeerCondition::Always).addresses(vec![address]).build();
        let link = dial.connection_id();
        match self.swarm.dial(dial) {
            Ok(()) => {
                self.dials.insert(link, Dial::Friend { id, carrier, began: true });
            }
            Err(error) => self.friend_dial_failed(id, carrier, true, &error),
        }
    }

    pub(crate) fn friend_dial_failed(&mut self, id: PeerId, carrier: Option<PeerId>, began: bool, error: &DialError) {
        let why = match error {
            // By whatever it was tried, nothing came through.
            DialError::Transport(_) if carrier.is_none() && self.config.direct.is_none() => Why::NoWay,
            error => why(error),
        };
        self.friend_failed(id, carrier, began, why);
    }

    pub(crate) fn friend_failed(&mut self, id: PeerId, carrier: Option<PeerId>, began: bool, why: Why) {
        // What a friend begins is no attempt of ours, and puts off none.
        if began {
            self.overlay.ended(id, false, Instant::now());
        }
        // Both dialled, and one of the two links stands.
        if carrier.is_none() && self.reach(&id) == Reach::Direct {
            return;
        }
        if let Some(peer) = Peer::from_id(id) {
            let way = match carrier.and_then(Peer::from_id) {
                Some(carrier) => Way::Circuit { carrier },
                None => Way::Direct,
            };
            self.events.push_back(Event::Tried { peer, way, why });
        }
    }

    /// A friend that began a direct link, and did not come through: the one who answered does not wonder in silence.
    pub(crate) fn friend_answer_failed(&mut self, from: &Multiaddr, error: &ListenError) {
        let mut parts = from.iter();
        let (Some(Protocol::WebRTC), Some(Protocol::P2p(id))) = (parts.next(), parts.next()) else { return };
        let ListenError::Transport(TransportError::Other(error)) = error else { return };
        if !self.overlay.seeks(id) {
            return;
        }
        let why = match cause::<ledgerno_webrtc::Error>(error) {
            Some(error) if error.cause == Cause::Interrupted => Why::GivenUp,
            Some(error) => why_not_direct(error),
            None => Why::Broken,
        };
        if let Some(peer) = Peer::from_id(id) {
            self.events.push_back(Event::Tried { peer, way: Way::Direct, why });
        }
    }
}

/// Peers, whether they are relays, and their round trips in milliseconds: relays first, each kind the nearest first.
fn nearest_first(mut carriers: Vec<(PeerId, bool, Option<u32>)>) -> Vec<PeerId> {
    carriers.sort_unstable_by_key(|(id, relay, rtt)| (!relay, rtt.unwrap_or(u32::MAX), *id));
    carriers.into_iter().map(|(id, ..)| id).collect()
}

fn why_not_direct(error: &ledgerno_webrtc::Error) -> Why {
    match error.cause {
        Cause::NoConnection | Cause::RelayFailed => Why::NotThere,
        Cause::Unsupported => Why::Unsupported,
        Cause::Busy => Why::Busy,
        // Both had agreed to look for a way.
        Cause::TimedOut if error.step == Step::Connect => Why::NoWay,
        Cause::TimedOut => Why::NoAnswer,
        Cause::Refused | Cause::Description => Why::Refused,
        Cause::NoPath => Why::NoWay,
        Cause::Interrupted | Cause::Malformed | Cause::Stopped => Why::Broken,
    }
}

/// What a person can make something of.
fn why(error: &DialError) -> Why {
    let errors = match error {
        DialError::Transport(errors) => errors,
        // Whoever carried it led to somebody else.
        DialError::WrongPeerId { .. } => return Why::Broken,
        _ => return Why::Busy,
    };
    let Some((_, TransportError::Other(error))) = errors.first() else { return Why::Broken };
    if let Some(error) = cause::<ledgerno_webrtc::Error>(error) {
        return why_not_direct(error);
    }
    match cause::<CircuitError>(error) {
        Some(CircuitError::Refused(Status::NO_RESERVATION | Status::CONNECTION_FAILED)) => Why::NotThere,
        Some(CircuitError::Refused(Status::PERMISSION_DENIED)) => Why::NotAdmitted,
        Some(CircuitError::Refused(Status::RESOURCE_LIMIT_EXCEEDED)) => Why::Busy,
        Some(CircuitError::Timeout) => Why::NoAnswer,
        _ if timed_out(error) => Why::NoAnswer,
        _ => Why::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_relay_carries_first_and_friends_after_all_relays() {
        let [near, far, new, friend, neighbour] = [(); 5].map(|()| PeerId::random());
        let carriers = vec![
            (friend, false, Some(3)),
            (new, true, None),
            (far, true, Some(200)),
            (neighbour, false, Some(1)),
            (near, true, Some(20)),
        ];
        assert_eq!(nearest_first(carriers), [near, far, new, neighbour, friend]);
    }
}
