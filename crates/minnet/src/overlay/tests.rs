#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

/// Peer ids in ascending order.
fn peers(count: u8) -> Vec<PeerId> {
    let mut peers: Vec<PeerId> = (0..count).map(|_| PeerId::random()).collect();
    peers.sort();
    peers
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_lower_id_dials_by_the_first_carrier_and_then_goes_direct() {
    let (peers, now) = (peers(4), Instant::now());
    let carriers = [peers[2], peers[3]];
    let mut low = Overlay::new(peers[0], true);
    let mut high = Overlay::new(peers[1], true);
    low.seek(peers[1], Reach::None, now);
    high.seek(peers[0], Reach::None, now);
    assert_eq!(high.next(&carriers, now), None);
    assert_eq!(low.next(&carriers, now), Some(Do::Dial { peer: peers[1], carrier: peers[2] }));
    assert_eq!(low.next(&carriers, now), None, "one attempt at a time");
    low.ended(peers[1], true, now);
    assert_eq!(low.next(&carriers, now), None, "it is being greeted");
    low.reached(peers[1], Reach::Relayed, now);
    high.reached(peers[0], Reach::Relayed, now);
    assert_eq!(high.next(&carriers, now), None);
    assert_eq!(low.next(&carriers, now), Some(Do::Upgrade { peer: peers[1] }));
    low.ended(peers[1], true, now);
    low.reached(peers[1], Reach::Direct, now);
    assert_eq!((low.next(&carriers, now + secs(1_000)), low.due()), (None, None));
}

#[test]
fn the_higher_id_begins_if_the_lower_does_not() {
    let (peers, now) = (peers(3), Instant::now());
    let mut high = Overlay::new(peers[1], true);
    high.seek(peers[0], Reach::None, now);
    assert_eq!(high.due(), Some(now + DEFERENCE));
    let later = now + DEFERENCE;
    assert_eq!(high.next(&[peers[2]], later), Some(Do::Dial { peer: peers[0], carrier: peers[2] }));
}

#[test]
fn each_carrier_is_tried_once_and_then_with_growing_pauses() {
    let (peers, mut now) = (peers(5), Instant::now());
    let carriers = &peers[2..];
    let mut overlay = Overlay::new(peers[0], true);
    overlay.seek(peers[1], Reach::None, now);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        for carrier in carriers {
            assert_eq!(overlay.next(carriers, now), Some(Do::Dial { peer: peers[1], carrier: *carrier }));
            overlay.ended(peers[1], false, now);
        }
        assert_eq!(overlay.next(carriers, now), None);
        let due = overlay.due().unwrap();
        pauses.push((due - now).as_secs());
        now = due;
        overlay.seek(peers[1], Reach::None, now);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert!(overlay.next(carriers, now).is_some());
    overlay.ended(peers[1], false, now);
    overlay.hurry(now);
    assert_eq!(overlay.next(carriers, now), Some(Do::Dial { peer: peers[1], carrier: carriers[0] }));
}

/// A circuit is dialled by the carrier, stands, and is cut.
fn cut_by(overlay: &mut Overlay, friend: PeerId, carriers: &[PeerId], now: Instant) -> PeerId {
    let Some(Do::Dial { carrier, .. }) = overlay.next(carriers, now) else { panic!("nothing is dialled") };
    overlay.ended(friend, true, now);
    overlay.reached(friend, Reach::Relayed, now);
    assert_eq!(overlay.next(carriers, now), Some(Do::Upgrade { peer: friend }));
    overlay.ended(friend, false, now + secs(1));
    overlay.reached(friend, Reach::None, now + secs(1));
    carrier
}

/// Else one that cuts what it carries keeps all others out, and the friend bans who comes again and again.
#[test]
fn who_cuts_circuits_is_passed_over_for_the_next_carrier_and_then_there_are_growing_pauses() {
    let (peers, mut now) = (peers(4), Instant::now());
    let carriers = &peers[2..];
    let mut overlay = Overlay::new(peers[0], true);
    overlay.seek(peers[1], Reach::None, now);
    let mut pauses = Vec::new();
    for _ in 0..5 {
        for carrier in carriers {
            assert_eq!(cut_by(&mut overlay, peers[1], carriers, now), *carrier);
            now += secs(1);
        }
        assert_eq!(overlay.next(carriers, now), None);
        pauses.push((overlay.due().unwrap() - now).as_secs());
        now = overlay.due().unwrap();
        overlay.seek(peers[1], Reach::None, now);
    }
    assert_eq!(pauses, [2, 8, 32, 60, 60]);
    // One that stands makes up for them.
    assert!(overlay.next(carriers, now).is_some());
    overlay.ended(peers[1], true, now);
    overlay.reached(peers[1], Reach::Relayed, now);
    now += STANDING;
    overlay.reached(peers[1], Reach::None, now);
    assert_eq!(overlay.next(carriers, now), Some(Do::Dial { peer: peers[1], carrier: carriers[0] }));
}

/// Else eight that are linked with somebody else keep the ninth from its turn.
#[test]
fn every_carrier_has_its_turn() {
    let (peers, mut now) = (peers(2 + 3 * MAX_CARRIERS as u8), Instant::now());
    let carriers = &peers[2..];
    let mut overlay = Overlay::new(peers[0], true);
    let mut tried = Vec::new();
    for _ in 0..2 * 3 {
        overlay.seek(peers[1], Reach::None, now);
        for _ in 0..MAX_CARRIERS {
            let Some(Do::Dial { carrier, .. }) = overlay.next(carriers, now) else { panic!("nothing is dialled") };
            tried.push(carrier);
            overlay.ended(peers[1], false, now);
        }
        assert_eq!(overlay.next(carriers, now), None);
        now = overlay.due().unwrap();
    }
    assert_eq!(tried, [carriers, carriers].concat());
}

#[test]
fn a_friend_is_no_carrier_to_itself() {
    let (peers, now) = (peers(2), Instant::now());
    let mut overlay = Overlay::new(peers[0], true);
    overlay.seek(peers[1], Reach::None, now);
    assert_eq!(overlay.next(&[peers[1]], now), None);
}

#[test]
fn a_failed_upgrade_is_tried_again_ever_later_and_leaves_the_link() {
    let (peers, mut now) = (peers(2), Instant::now());
    let mut overlay = Overlay::new(peers[0], true);
    overlay.seek(peers[1], Reach::Relayed, now);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        assert_eq!(overlay.next(&[], now), Some(Do::Upgrade { peer: peers[1] }));
        overlay.ended(peers[1], false, now);
        assert_eq!(overlay.next(&[], now), None);
        pauses.push((overlay.due().unwrap() - now).as_secs());
        now = overlay.due().unwrap();
    }
    assert_eq!(pauses, [4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
}

#[test]
fn without_direct_links_a_relayed_one_is_enough() {
    let (peers, now) = (peers(2), Instant::now());
    let mut overlay = Overlay::new(peers[0], false);
    overlay.seek(peers[1], Reach::Relayed, now);
    assert_eq!((overlay.next(&[], now), overlay.due()), (None, None));
}

#[test]
fn who_is_heard_of_no_more_is_forgotten() {
    let (peers, now) = (peers(3), Instant::now());
    let mut overlay = Overlay::new(peers[0], true);
    overlay.seek(peers[1], Reach::None, now);
    assert_eq!(overlay.next(&[peers[2]], now + SOUGHT), None);
    assert_eq!(overlay.due(), None);
}

#[test]
fn the_sought_are_bounded() {
    let now = Instant::now();
    let mut overlay = Overlay::new(PeerId::random(), true);
    for _ in 0..2 * MAX_SOUGHT {
        overlay.seek(PeerId::random(), Reach::None, now);
    }
    assert_eq!(overlay.friends.len(), MAX_SOUGHT);
}

#[test]
fn who_comes_and_may_carry_is_tried_at_once() {
    let (peers, now) = (peers(3), Instant::now());
    let mut overlay = Overlay::new(peers[0], true);
    overlay.seek(peers[1], Reach::None, now);
    assert_eq!(overlay.next(&[], now), None);
    assert_eq!(overlay.next(&[peers[2]], now), None, "it pauses");
    overlay.carrier_came(now);
    assert_eq!(overlay.next(&[peers[2]], now), Some(Do::Dial { peer: peers[1], carrier: peers[2] }));
}

/// An attempt at a direct link takes up to 20 s; meanwhile the other side makes none.
#[test]
fn the_higher_id_waits_longer_before_it_dials_directly() {
    let (peers, now) = (peers(2), Instant::now());
    let mut high = Overlay::new(peers[1], true);
    high.seek(peers[0], Reach::None, now);
    high.reached(peers[0], Reach::Relayed, now);
    assert_eq!(high.next(&[], now + secs(29)), None);
    high.seek(peers[0], Reach::Relayed, now + secs(29));
    assert_eq!(high.next(&[], now + secs(30)), Some(Do::Upgrade { peer: peers[0] }));
}

/// As behind a firewall that ends what it let through a while before.
#[test]
fn direct_links_that_do_not_last_are_made_ever_later_until_one_does() {
    let (peers, mut now) = (peers(2), Instant::now());
    let mut overlay = Overlay::new(peers[0], true);
    overlay.seek(peers[1], Reach::Relayed, now);
    overlay.met(peers[1], Some(1));
    let mut pause_after = |overlay: &mut Overlay, lasted: Duration| {
        overlay.reached(peers[1], Reach::Direct, now);
        now += lasted;
        for reach in [Reach::None, Reach::Relayed] {
            overlay.reached(peers[1], reach, now);
        }
        (overlay.due().unwrap() - now).as_secs()
    };
    let pauses = [30, 30, 30, 30, 1_000, 30].map(|seconds| pause_after(&mut overlay, secs(seconds)));
    assert_eq!(pauses, [0, 8, 16, 32, 0, 0]);
    assert_eq!(pause_after(&mut overlay, secs(30)), 8);
    // Its page was loaded anew, or this node has hung up, which is told as no run at all.
    for session in [Some(2), None] {
        overlay.met(peers[1], session);
        assert_eq!(pause_after(&mut overlay, secs(30)), 0);
    }
}

#[test]
fn while_as_many_are_dialled_as_may_be_nothing_is_due() {
    let (peers, now) = (peers(MAX_AT_ONCE as u8 + 3), Instant::now());
    let (own, carrier) = (peers[0], peers[1]);
    let mut overlay = Overlay::new(own, true);
    for friend in &peers[2..] {
        overlay.seek(*friend, Reach::None, now);
    }
    let dialled: Vec<Do> = std::iter::from_fn(|| overlay.next(&[carrier], now)).collect();
    assert_eq!(dialled.len(), MAX_AT_ONCE);
    assert_eq!(overlay.due(), None);
    let Do::Dial { peer, .. } = dialled[0] else { panic!("{dialled:?}") };
    overlay.ended(peer, true, now);
    assert_eq!(overlay.due(), Some(now));
    assert!(overlay.next(&[carrier], now).is_some());
}
