//! Who is to be linked, and what is done about it. No link, no clock: both come in as values.
//!
//! The rules:
//! - A friend is sought for as long as somebody says now and then that it is there ([`Overlay::seek`]).
//! - Without a link, circuits are dialled: by relays first, then by other friends, each once, and after that with back-off. A
//!   circuit that is cut soon was in vain, and the next one goes by the next carrier.
//! - With a relayed link, a direct one is dialled, again and again with back-off; the relayed one stays for as long as there
//!   is no better one.
//! - Direct links that break soon after they came about are tried again ever later too, as if they had failed.
//! - Of two friends the one with the lower peer id begins, at once. The other waits a while, and then does so as well: the
//!   first may not know of it, or may not be able to.

use std::time::Duration;

use libp2p::PeerId;
use web_time::Instant;

use crate::limits::MAX_SOUGHT;

/// How long a friend is sought after it was last heard of.
const SOUGHT: Duration = Duration::from_secs(90);
/// How long the one with the higher id waits for the other to dial by a carrier.
const DEFERENCE: Duration = Duration::from_secs(8);
/// The same for a direct link: longer than an attempt takes, so that not both try at once all the time.
const DIRECT_DEFERENCE: Duration = Duration::from_secs(30);
/// The first pause after all carriers failed, and the longest.
const REDIAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The first pause after a direct link failed, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(600));
/// A direct link that breaks sooner came about in vain; the first such is forgiven.
const LASTING: Duration = Duration::from_secs(120);
/// How long a link that stands may take to be of use.
const GREETING: Duration = Duration::from_secs(20);
/// A circuit that ends sooner was in vain.
const STANDING: Duration = Duration::from_secs(20);
/// Carriers tried one after the other before a pause.
const MAX_CARRIERS: usize = 8;
/// Friends that are dialled at one time.
const MAX_AT_ONCE: usize = 8;

/// What stands between this node and a friend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    None,
    Relayed,
    Direct,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Do {
    /// Dial a friend by a carrier.
    Dial { peer: PeerId, carrier: PeerId },
    /// Dial it directly, by what is arranged over the relayed link.
    Upgrade { peer: PeerId },
}

struct Friend {
    peer: PeerId,
    until: Instant,
    reach: Reach,
    /// An attempt is under way.
    busy: bool,
    /// When the next may begin.
    next: Instant,
    /// In a row, of what the reach asks for.
    failures: u32,
    /// Since when it is linked as it is.
    since: Instant,
    /// Direct links in a row that did not last, of one run of the friend's node.
    broke: u32,
    session: Option<u64>,
    /// Circuits in a row that did not last.
    cut: u32,
    /// Carriers that were tried, until all were; bounded by those that there are.
    tried: Vec<PeerId>,
    /// How many since the last pause.
    round: usize,
}

/// All friends that are sought.
pub(crate) struct Overlay {
    own: PeerId,
    /// Whether direct links can be dialled at all.
    direct: bool,
    friends: Vec<Friend>,
}

impl Overlay {
    pub(crate) fn new(own: PeerId, direct: bool) -> Self {
        Overlay { own, direct, friends: Vec::new() }
    }

    /// Whether nobody is sought.
    pub(crate) fn is_idle(&self) -> bool {
        self.friends.is_empty()
    }

    /// Whether a peer is sought.
    pub(crate) fn seeks(&self, peer: PeerId) -> bool {
        self.friends.iter().any(|friend| friend.peer == peer)
    }

    /// A friend is there, somewhere; `reach`: how it is linked.
    pub(crate) fn seek(&mut self, peer: PeerId, reach: Reach, now: Instant) {
        if peer == self.own {
            return;
        }
        let until = now + SOUGHT;
        if let Some(friend) = self.friend(peer) {
            friend.until = until;
        } else if self.friends.len() < MAX_SOUGHT {
            let next = now + self.deference(peer, reach);
            self.friends.push(Friend {
                peer,
                until,
                reach,
                busy: false,
                next,
                failures: 0,
                since: now,
                broke: 0,
                session: None,
                cut: 0,
                tried: Vec::new(),
                round: 0,
            });
        }
    }

    /// A friend is wanted no more.
    pub(crate) fn forget(&mut self, peer: PeerId) {
        self.friends.retain(|friend| friend.peer != peer);
    }

    /// Which run of its node a peer is. That a page was left breaks links that would have lasted.
    pub(crate) fn met(&mut self, peer: PeerId, session: Option<u64>) {
        if let Some(friend) = self.friend(peer).filter(|friend| friend.session != session) {
            (friend.session, friend.broke) = (session, 0);
            friend.forget_tries();
        }
    }

    /// How a peer is linked now.
    pub(crate) fn reached(&mut self, peer: PeerId, reach: Reach, now: Instant) {
        let deference = self.deference(peer, reach);
        let Some(friend) = self.friend(peer).filter(|friend| friend.reach != reach) else { return };
        let stood = now.saturating_duration_since(friend.since);
        let before = std::mem::replace(&mut friend.reach, reach);
        (friend.since, friend.failures) = (now, 0);
        if before == Reach::Direct {
            friend.broke = if stood >= LASTING { 0 } else { friend.broke.saturating_add(1) };
        }
        match (before, reach) {
            // Whoever carried it is not tried first again.
            (Reach::Relayed, Reach::None) if stood < STANDING => {
                friend.failures = friend.cut;
                friend.cut = friend.cut.saturating_add(1);
            }
            (_, Reach::Relayed) => {}
            (_, Reach::None | Reach::Direct) => friend.forget_tries(),
        }
        // What broke is made again by whoever notices; the other's attempt finds it already there.
        friend.next = now + deference;
        if reach == Reach::Relayed && friend.broke > 1 {
            friend.next += RETRY.0.saturating_mul(1 << (friend.broke - 1).min(16)).min(RETRY.1);
        }
    }

    /// An attempt ended. What comes of one that was successful is told by [`Overlay::reached`].
    pub(crate) fn ended(&mut self, peer: PeerId, successful: bool, now: Instant) {
        let Some(friend) = self.friend(peer) else { return };
        friend.busy = false;
        if successful {
            // The link stands, and both sides have yet to greet on it.
            friend.next = now + GREETING;
            return;
        }
        let (first, longest) = match friend.reach {
            // The next carrier, if there is one, is tried at once.
            Reach::None => return,
            _ => RETRY,
        };
        friend.pause(first, longest, now);
    }

    /// Somebody came who may carry: who could not be dialled for want of that is dialled now.
    pub(crate) fn carrier_came(&mut self, now: Instant) {
        for at in 0..self.friends.len() {
            let deference = self.deference(self.friends[at].peer, Reach::None);
            let friend = &mut self.friends[at];
            if friend.reach == Reach::None && !friend.busy {
                friend.next = friend.next.min(now + deference);
            }
        }
    }

    /// The page woke up, or the network is another one: everything is tried anew.
    pub(crate) fn hurry(&mut self, now: Instant) {
        for friend in &mut self.friends {
            (friend.failures, friend.broke, friend.next) = (0, 0, now);
            friend.forget_tries();
        }
    }

    /// A peer with a relayed link leaves it to this node to begin the direct one.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn is_waited_for(&mut self, peer: PeerId, now: Instant) {
        if let Some(friend) = self.friend(peer).filter(|friend| friend.reach == Reach::Relayed) {
            friend.next = friend.next.min(now);
        }
    }

    /// What is to be done now, by these carriers, the best first. Called again until there is nothing.
    pub(crate) fn next(&mut self, carriers: &[PeerId], now: Instant) -> Option<Do> {
        let linked = |friend: &Friend| friend.reach != Reach::None;
        self.friends.retain(|friend| friend.until > now || friend.busy || linked(friend));
        if self.is_full() {
            return None;
        }
        let direct = self.direct;
        for friend in &mut self.friends {
            if friend.busy || friend.next > now {
                continue;
            }
            match friend.reach {
                Reach::Direct => {}
                Reach::Relayed if direct => {
                    friend.busy = true;
                    return Some(Do::Upgrade { peer: friend.peer });
                }
                Reach::Relayed => {}
                Reach::None => {
                    if let Some(carrier) = friend.carrier(carriers) {
                        return Some(Do::Dial { peer: friend.peer, carrier });
                    }
                    friend.pause(REDIAL.0, REDIAL.1, now);
                }
            }
        }
        None
    }

    /// When there may be something to do again, if nothing happens before.
    pub(crate) fn due(&self) -> Option<Instant> {
        // Then what ends is what happens.
        if self.is_full() {
            return None;
        }
        let waits = |friend: &&Friend| match friend.reach {
            Reach::None => !friend.busy,
            Reach::Relayed => self.direct && !friend.busy,
            Reach::Direct => false,
        };
        self.friends.iter().filter(waits).map(|friend| friend.next).min()
    }

    fn is_full(&self) -> bool {
        self.friends.iter().filter(|friend| friend.busy).count() >= MAX_AT_ONCE
    }

    fn deference(&self, peer: PeerId, reach: Reach) -> Duration {
        match reach {
            _ if self.own < peer => Duration::ZERO,
            Reach::None => DEFERENCE,
            Reach::Relayed | Reach::Direct => DIRECT_DEFERENCE,
        }
    }

    fn friend(&mut self, peer: PeerId) -> Option<&mut Friend> {
        self.friends.iter_mut().find(|friend| friend.peer == peer)
    }
}

impl Friend {
    /// Who is to carry next. `None`: there is a pause before.
    fn carrier(&mut self, carriers: &[PeerId]) -> Option<PeerId> {
        self.tried.retain(|tried| carriers.contains(tried));
        let untried = |carrier: &&PeerId| **carrier != self.peer && !self.tried.contains(carrier);
        let Some(carrier) = carriers.iter().find(untried).copied() else {
            self.tried.clear();
            return None;
        };
        if self.round >= MAX_CARRIERS {
            return None;
        }
        self.busy = true;
        self.round += 1;
        self.tried.push(carrier);
        Some(carrier)
    }

    fn forget_tries(&mut self) {
        (self.cut, self.round) = (0, 0);
        self.tried.clear();
    }

    fn pause(&mut self, first: Duration, longest: Duration, now: Instant) {
        let pause = first.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.round = 0;
        self.next = now + pause;
    }
}

#[cfg(test)]
mod tests;
