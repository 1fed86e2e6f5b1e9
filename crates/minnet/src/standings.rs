//! What is remembered of peers that behaved badly, over links and over restarts: faults that fade, and bans. Time comes in as
//! a value, in milliseconds since 1970, for the caller keeps standings across restarts.
//!
//! The rules:
//! - Who comes anew begins with the faults that it left with, less what has faded since.
//! - While a ban holds nothing is taken of a peer. The first is a minute; each further one within a day of the last is twice
//!   as long, up to a day. A ban pays for the faults that led to it; that it was is remembered.
//! - So many are remembered; the mildest is forgotten for the next, and one without a ban is milder than any with one.

use libp2p::PeerId;
use serde::{Deserialize, Serialize};

use crate::{Faults, Peer, Standing};

const FIRST_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * 60_000;
/// Peers remembered.
pub const MAX_STANDINGS: usize = 256;

/// What is remembered of peers, of each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standings(Vec<Standing>);

impl Standing {
    /// A clock that was set back bans nobody for longer than a day.
    fn is_banned(&self, now_ms: u64) -> bool {
        (now_ms..=now_ms.saturating_add(DAY_MS)).contains(&self.until_ms)
    }

    /// What is left of its faults. A clock that was set back keeps nobody's for longer than a day and what they take to fade.
    fn faults(&self, now_ms: u64) -> Faults {
        if self.at_ms > now_ms.saturating_add(DAY_MS) {
            return Faults::default();
        }
        self.faults.after(now_ms.saturating_sub(self.at_ms))
    }

    fn is_over(&self, now_ms: u64) -> bool {
        (self.times == 0 || self.until_ms.saturating_add(DAY_MS) <= now_ms) && self.faults(now_ms).is_forgotten()
    }

    /// Until when it is banned, if ever, and then its faults.
    fn weight(&self, now_ms: u64) -> (u64, u64) {
        (self.until_ms, self.faults(now_ms).sum())
    }
}

impl Standings {
    /// Remembers a peer's standing in place of what was known of it. Of other peers, what is over is forgotten.
    pub fn put(&mut self, standing: Standing, now_ms: u64) {
        self.0.retain(|one| one.peer != standing.peer && !one.is_over(now_ms));
        self.0.push(standing);
        while self.0.len() > MAX_STANDINGS
            && let Some((mildest, _)) = self.0.iter().enumerate().min_by_key(|(_, one)| one.weight(now_ms))
        {
            self.0.swap_remove(mildest);
        }
    }

    fn of(&self, peer: Peer, now_ms: u64) -> Standing {
        let known = self.0.iter().find(|one| one.peer == peer && !one.is_over(now_ms));
        known.copied().unwrap_or(Standing { peer, until_ms: 0, times: 0, faults: Faults::default(), at_ms: now_ms })
    }

    /// Bans a peer.
    pub(crate) fn ban(&mut self, peer: Peer, now_ms: u64) -> Standing {
        let before = self.of(peer, now_ms);
        let since = if before.until_ms.saturating_add(DAY_MS) > now_ms { before.times } else { 0 };
        let times = since.saturating_add(1);
        let length = FIRST_MS.saturating_mul(1 << (times - 1).min(20)).min(DAY_MS);
        let until_ms = now_ms.saturating_add(length);
        let ban = Standing { peer, until_ms, times, faults: Faults::default(), at_ms: now_ms };
        self.put(ban, now_ms);
        ban
    }

    /// A peer's faults are these now.
    pub(crate) fn note(&mut self, peer: Peer, faults: Faults, now_ms: u64) -> Standing {
        let standing = Standing { faults, at_ms: now_ms, ..self.of(peer, now_ms) };
        self.put(standing, now_ms);
        standing
    }

    /// The faults that a peer comes with.
    pub(crate) fn faults(&self, peer: Peer, now_ms: u64) -> Faults {
        self.of(peer, now_ms).faults(now_ms)
    }

    pub(crate) fn is_banned(&self, id: &PeerId, now_ms: u64) -> bool {
        Peer::from_id(*id).is_some_and(|peer| self.0.iter().any(|one| one.peer == peer && one.is_banned(now_ms)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    const MINUTE: u64 = 60_000;

    fn peer(number: u16) -> (Peer, PeerId) {
        let secret = [number.to_be_bytes()[0], number.to_be_bytes()[1]].repeat(16).try_into().unwrap();
        let (net, ..) = crate::start(crate::Config::new(secret, "test/0")).unwrap();
        (net.peer(), net.peer().to_id().unwrap())
    }

    fn wrong(wrong: u32) -> Faults {
        Faults { wrong, misbehaviour: 0 }
    }

    #[test]
    fn a_ban_ends_and_the_next_is_longer() {
        let (peer, id) = peer(1);
        let mut standings = Standings::default();
        let mut now = 1_000_000;
        for minutes in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 1_440, 1_440] {
            let ban = standings.ban(peer, now);
            assert_eq!(ban.until_ms - now, minutes * MINUTE);
            assert!(standings.is_banned(&id, now) && standings.is_banned(&id, ban.until_ms));
            now = ban.until_ms + 1;
            assert!(!standings.is_banned(&id, now));
        }
        assert_eq!(standings.ban(peer, now + DAY_MS + 1).times, 1, "a day of good conduct");
    }

    #[test]
    fn bans_are_known_after_a_restart_and_bounded() {
        let now = 10 * DAY_MS;
        let mut standings = Standings::default();
        let all: Vec<_> = (0..300).map(peer).collect();
        let told: Vec<Standing> =
            all.iter().enumerate().map(|(at, (peer, _))| standings.ban(*peer, now + at as u64)).collect();
        assert_eq!(standings.0.len(), MAX_STANDINGS);
        // As they were read, there may be more.
        let mut standings = Standings(told);
        standings.put(standings.0[299], now + 300);
        assert_eq!(standings.0.len(), MAX_STANDINGS);
        assert!(standings.is_banned(&all[299].1, now + 300) && !standings.is_banned(&all[0].1, now + 300));
        assert!(!standings.is_banned(&all[299].1, 5), "the clock was set back by far");
    }

    #[test]
    fn faults_fade_while_a_peer_is_away_and_are_forgotten() {
        let now = 10 * DAY_MS;
        let (peer, _) = peer(1);
        let mut standings = Standings::default();
        let told = standings.note(peer, wrong(6_000), now);
        for mut standings in [standings, Standings(vec![told])] {
            assert_eq!(standings.faults(peer, now).wrong, 6_000);
            assert_eq!(standings.faults(peer, now - MINUTE).wrong, 6_000, "the clock was set back");
            let halved = standings.faults(peer, now + 10 * MINUTE).wrong;
            assert!((2_900..3_100).contains(&halved), "{halved} are left of 6000 after ten minutes");
            assert_eq!(standings.faults(peer, 5), Faults::default(), "the clock was set back by far");
            standings.note(self::peer(2).0, wrong(1_000), now + DAY_MS);
            assert_eq!(standings.0.len(), 1, "they are forgotten");
        }
    }

    #[test]
    fn a_ban_pays_for_faults_and_is_remembered_through_new_ones() {
        let now = 10 * DAY_MS;
        let (peer, id) = peer(1);
        let mut standings = Standings::default();
        standings.note(peer, wrong(8_000), now);
        standings.ban(peer, now);
        assert_eq!(standings.faults(peer, now), Faults::default());
        let later = now + 2 * MINUTE;
        let told = standings.note(peer, wrong(1_000), later);
        assert!(!standings.is_banned(&id, later) && (told.times, told.is_banned(later)) == (1, false));
        assert_eq!(standings.ban(peer, later).times, 2);
    }

    /// Many who do little wrong push nobody out who was banned, or did more.
    #[test]
    fn the_mildest_is_forgotten_first() {
        let now = 10 * DAY_MS;
        let mut standings = Standings::default();
        let ((banned, id), (bad, _)) = (peer(1), peer(2));
        standings.ban(banned, now);
        standings.note(bad, wrong(5_000), now);
        for number in 3..400 {
            standings.note(peer(number).0, wrong(1_000), now);
        }
        assert_eq!(standings.0.len(), MAX_STANDINGS);
        assert!(standings.is_banned(&id, now));
        assert_eq!(standings.faults(bad, now), wrong(5_000));
    }
}
