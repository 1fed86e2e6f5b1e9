//! What the driver does about friends: the overlay says what, and here it is done.

use libp2p::{
    Multiaddr, PeerId,
    multiaddr::Protocol,
    swarm::dial_opts::{DialOpts, PeerCondition},
};
use web_time::Instant;

use crate::{
    DialError, Event, Path, Peer, Way,
    calls::why,
    links::Dial,
    overlay::{Do, Reach},
    swarm::Driver,
    transport::circuit_address,
};

impl Driver {
    pub(crate) fn reach(&self, id: &PeerId) -> Reach {
        self.linked.get(id).map_or(Reach::None, |linked| linked.reach())
    }

    pub(crate) fn look_after_friends(&mut self) {
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

    /// Who may carry: relays first, then friends with a link of their own.
    fn carriers(&self) -> Vec<PeerId> {
        let of = |relay: bool| {
            self.linked.iter().filter(move |(_, linked)| match linked.path() {
                Some(Path::Relay { .. }) => relay,
                Some(Path::Direct | Path::Accepted { .. }) => !relay,
                Some(Path::Circuit { .. }) | None => false,
            })
        };
        of(true).chain(of(false)).map(|(id, _)| *id).collect()
    }

    fn dial_friend(&mut self, id: PeerId, carrier: Option<PeerId>) {
        let address = match carrier {
            Some(carrier) => circuit_address(carrier),
            // With the peer: libp2p dials no address that it listens on.
            None => Multiaddr::from_iter([Protocol::WebRTC, Protocol::P2p(id)]),
        };
        let dial = DialOpts::peer_id(id).condition(PeerCondition::Always).addresses(vec![address]).build();
        let link = dial.connection_id();
        match self.swarm.dial(dial) {
            Ok(()) => {
                self.dials.insert(link, Dial::Friend { id, carrier });
            }
            Err(error) => self.friend_dial_failed(id, carrier, why(error)),
        }
    }

    pub(crate) fn friend_dial_failed(&mut self, id: PeerId, carrier: Option<PeerId>, reason: DialError) {
        self.overlay.ended(id, false, Instant::now());
        if let Some(peer) = Peer::from_id(id) {
            let way = match carrier.and_then(Peer::from_id) {
                Some(carrier) => Way::Circuit { carrier },
                None => Way::Direct,
            };
            self.events.push_back(Event::Tried { peer, way, reason });
        }
    }
}
