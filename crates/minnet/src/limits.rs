//! Every number that bounds this module, and the token bucket that paces a peer.
//!
//! The rule: nothing that a peer can make us hold grows without one of these.

use std::time::Duration;

use web_time::Instant;

/// Streams of one link, all protocols together. Each may buffer [`STREAM_WINDOW`] bytes.
pub(crate) const MAX_STREAMS: usize = 48;
/// What yamux grants every stream at least.
pub(crate) const STREAM_WINDOW: usize = 256 * 1024;
/// Received and not yet read bytes of one link.
pub(crate) const LINK_WINDOW: usize = MAX_STREAMS * STREAM_WINDOW;
/// Inbound streams of one link that still negotiate their protocol.
pub(crate) const MAX_NEGOTIATING: usize = 32;
/// How long a stream may negotiate its protocol.
pub(crate) const NEGOTIATION: Duration = Duration::from_secs(10);
/// A peer's requests that are under way; further ones are dropped.
pub(crate) const MAX_REQUEST_STREAMS: usize = 24;
/// How long a relay promises to take circuits for a peer that is linked.
pub(crate) const RESERVATION: Duration = Duration::from_secs(60 * 60);
/// Addresses told with a reservation.
pub(crate) const MAX_RESERVED_AT: usize = 8;
/// For each step of a circuit's setup.
pub(crate) const CIRCUIT_SETUP: Duration = Duration::from_secs(10);
/// How long an older link stays beside the one that takes over, for what is under way on it.
pub(crate) const DRAIN: Duration = Duration::from_secs(2);
/// Friends that are sought at one time.
pub(crate) const MAX_SOUGHT: usize = 64;
/// What tasks report and the driver has not taken yet; the tasks wait.
pub(crate) const REPORTS: usize = 8;
/// Own requests to one peer under way; further ones wait for nothing and are refused as `Overloaded`.
pub(crate) const MAX_IN_FLIGHT_PER_PEER: usize = 8;
/// Links to one peer: the living one and those that are still closing.
pub(crate) const MAX_LINKS_PER_PEER: usize = 4;
/// Dials under way.
pub(crate) const MAX_DIALS: usize = 16;
/// Sockets at which a native node listens.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) const MAX_LISTENS: usize = 8;
/// Addresses that a node listens at, one for each of the machine's own.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) const MAX_LISTENING: usize = 32;
/// Addresses of one name, and of one peer behind a NAT, that are tried.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) const MAX_CANDIDATES: usize = 8;
/// Hubs that a hub asks.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) const MAX_HUBS: usize = 16;
/// What hubs are asked at one time, for all who want to know something.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) const MAX_PASSED_ON: usize = 16;
/// The same for one who wants to know.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) const MAX_PASSED_ON_PER_PEER: usize = 4;
/// What is passed on, of all who want to know: far below what the other hub takes of this one, or it would ban it for them.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) const PASSING: Rate = Rate { burst: 40, per_second: 20 };
/// After a friend began to open a hole, it begins no other for so long: longer than an attempt takes.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) const PUNCH_PAUSE: Duration = Duration::from_secs(20);
/// Links by TCP and QUIC from one address.
pub(crate) const MAX_PER_ADDRESS: usize = 64;
/// Inbound links whose handshake is under way.
pub(crate) const MAX_ACCEPTING: usize = 256;
/// Of them from one address.
pub(crate) const MAX_ACCEPTING_PER_ADDRESS: usize = 16;
/// GossipSub messages that wait for one peer; over it they are dropped (sync heals).
pub(crate) const GOSSIP_QUEUE: usize = 128;
/// Bytes of them.
pub(crate) const GOSSIP_QUEUE_BYTES: usize = 1024 * 1024;
/// Frames of a peer for each message that it may send: what it says besides.
pub(crate) const FRAMES_PER_MESSAGE: u32 = 2;
/// Topics of one node, own and announced by a peer alike. So many still fit one announcement.
pub(crate) const MAX_TOPICS: usize = 900;
/// What one GossipSub frame may have whatever the bound of messages: an announcement of all topics.
pub(crate) const MIN_TRANSMIT: usize = 72 * 1024;
/// Bytes that GossipSub adds around a message at most.
pub(crate) const GOSSIP_OVERHEAD: usize = 256;
/// How often a peer may come; who comes more often is banned. A page that is loaded anew makes two or three links with each.
pub(crate) const COMING: Rate = Rate { burst: 60, per_second: 1 };
/// Peers whose coming is counted.
pub(crate) const MAX_COMERS: usize = 1_024;
/// Messages and requests over their rates that are passed over; with more a peer is banned.
pub(crate) const FLOODING: Rate = Rate { burst: 1_000, per_second: 10 };
/// A relay hands on what many say: it may say so many times what a peer may.
pub(crate) const RELAY_FACTOR: u32 = 8;
/// Of what a node may say, this part for what others say, so that the rest is for its own.
pub(crate) const HANDED_ON: u32 = 2;
/// Of what one peer may say, this part is handed on, so that one who says all it may leaves room for others.
pub(crate) const HANDED_ON_OF_ONE: u32 = 4;
/// Inbound links, from [`Net::accept`](crate::Net::accept) or by circuits, that wait for the driver.
pub(crate) const ACCEPT_QUEUE: usize = 64;
/// Time for a close handshake before a link is dropped as it is.
pub(crate) const CLOSE_DEADLINE: Duration = Duration::from_secs(3);
/// How long a refused link stays, for the refusal to reach the other side.
pub(crate) const REFUSAL_GRACE: Duration = Duration::from_secs(2);
/// One WebSocket message of ours; the largest that we take is [`MAX_WS_MESSAGE`].
pub(crate) const WS_WRITE: usize = 64 * 1024;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) const MAX_WS_MESSAGE: usize = 1024 * 1024;

/// How often something may happen: `burst` at once, `per_second` in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many may come at once.
    pub burst: u32,
    /// How many may come each second, in the long run.
    pub per_second: u32,
}

impl Rate {
    /// So many times as often.
    pub(crate) fn times(self, factor: u32) -> Rate {
        Rate { burst: self.burst.saturating_mul(factor), per_second: self.per_second.saturating_mul(factor) }
    }

    /// A part of it.
    pub(crate) fn part(self, divisor: u32) -> Rate {
        Rate { burst: self.burst.div_ceil(divisor), per_second: self.per_second.div_ceil(divisor) }
    }
}

/// A token bucket. Time comes in as a value.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    /// Thousandths of a token, so that short intervals are not rounded away.
    tokens: u64,
    filled: Instant,
}

impl Bucket {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Bucket { rate, tokens: u64::from(rate.burst) * 1_000, filled: now }
    }

    /// Takes a token; `false`: there is none.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let millis = u64::try_from(now.saturating_duration_since(self.filled).as_millis()).unwrap_or(u64::MAX);
        if millis > 0 {
            let gained = millis.saturating_mul(u64::from(self.rate.per_second));
            self.tokens = self.tokens.saturating_add(gained).min(u64::from(self.rate.burst) * 1_000);
            self.filled = now;
        }
        let Some(left) = self.tokens.checked_sub(1_000) else { return false };
        self.tokens = left;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Over any span, no more than the burst and what the span's time gives gets through, and never nothing.
        #[test]
        fn a_bucket_keeps_its_rate(burst in 1u32..50, per_second in 0u32..1_000, steps in prop::collection::vec(0u64..40, 1..400)) {
            let start = Instant::now();
            let mut bucket = Bucket::new(Rate { burst, per_second }, start);
            let (mut now, mut passed) = (start, 0u64);
            for step in &steps {
                now += Duration::from_millis(*step);
                passed += u64::from(bucket.take(now));
            }
            let span = steps.iter().sum::<u64>();
            prop_assert!(passed * 1_000 <= u64::from(burst) * 1_000 + span * u64::from(per_second));
            prop_assert!(passed >= u64::from(burst).min(steps.len() as u64));
        }
    }
}
