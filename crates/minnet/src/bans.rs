//! Who behaved so badly that nothing is taken of it for a while. Time comes in as a value, in milliseconds since 1970, for the
//! caller keeps bans across restarts.
//!
//! The first ban is a minute; each further one within a day of the last is twice as long, up to a day.

use libp2p::PeerId;

use crate::{Ban, Peer};

const FIRST_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * 60_000;
/// Peers remembered; the one whose ban ended first is forgotten for the next.
const MAX_BANS: usize = 256;

#[derive(Default)]
pub(crate) struct Bans(Vec<Ban>);

impl Bans {
    pub(crate) fn new(known: &[Ban]) -> Self {
        Bans(known.iter().take(MAX_BANS).copied().collect())
    }

    /// Bans a peer.
    pub(crate) fn ban(&mut self, peer: Peer, now_ms: u64) -> Ban {
        self.0.retain(|ban| ban.until_ms.saturating_add(DAY_MS) > now_ms);
        let times = match self.0.iter().position(|ban| ban.peer == peer) {
            Some(at) => self.0.swap_remove(at).times.saturating_add(1),
            None => 1,
        };
        if self.0.len() >= MAX_BANS
            && let Some((first, _)) = self.0.iter().enumerate().min_by_key(|(_, ban)| ban.until_ms)
        {
            self.0.swap_remove(first);
        }
        let length = FIRST_MS.saturating_mul(1 << (times - 1).min(20)).min(DAY_MS);
        let ban = Ban { peer, until_ms: now_ms.saturating_add(length), times };
        self.0.push(ban);
        ban
    }

    pub(crate) fn is_banned(&self, id: &PeerId, now_ms: u64) -> bool {
        // A clock that was set back bans nobody for longer than a day.
        let holds = |ban: &Ban| (now_ms..=now_ms.saturating_add(DAY_MS)).contains(&ban.until_ms);
        self.0.iter().any(|ban| holds(ban) && ban.peer.to_id().as_ref() == Some(id))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn peer(number: u16) -> (Peer, PeerId) {
        let secret = [number.to_be_bytes()[0], number.to_be_bytes()[1]].repeat(16).try_into().unwrap();
        let (net, ..) = crate::start(crate::Config::new(secret, "test/0")).unwrap();
        (net.peer(), net.peer().to_id().unwrap())
    }

    #[test]
    fn a_ban_ends_and_the_next_is_longer() {
        let (peer, id) = peer(1);
        let mut bans = Bans::default();
        let mut now = 1_000_000;
        for minutes in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 1_440, 1_440] {
            let ban = bans.ban(peer, now);
            assert_eq!(ban.until_ms - now, minutes * 60_000);
            assert!(bans.is_banned(&id, now) && bans.is_banned(&id, ban.until_ms));
            now = ban.until_ms + 1;
            assert!(!bans.is_banned(&id, now));
        }
        assert_eq!(bans.ban(peer, now + DAY_MS + 1).times, 1, "a day of good conduct");
    }

    #[test]
    fn bans_are_known_after_a_restart_and_bounded() {
        let now = 10 * DAY_MS;
        let mut bans = Bans::default();
        let all: Vec<_> = (0..300).map(peer).collect();
        let told: Vec<Ban> = all.iter().enumerate().map(|(at, (peer, _))| bans.ban(*peer, now + at as u64)).collect();
        let bans = Bans::new(&told[44..]);
        assert!(bans.0.len() <= MAX_BANS);
        assert!(bans.is_banned(&all[299].1, now + 300) && !bans.is_banned(&all[0].1, now + 300));
        assert!(!bans.is_banned(&all[299].1, 5), "the clock was set back by far");
    }
}
