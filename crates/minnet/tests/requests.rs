//! Requests between real sockets that come to nothing: one too many, or its link ends.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{PATIENCE, config, pair};
use futures::future::join_all;
use ledgerno_minnet::{Event, Rate, RequestError};
use tokio::time::timeout;

#[tokio::test]
async fn requests_over_the_rate_are_answered_with_busy() {
    let mut strict = config(1);
    strict.requests = Rate { burst: 6, per_second: 0 };
    let (hub, guest) = pair(strict, config(2)).await;
    let peer = hub.peer();
    hub.serve(|_, bytes| Some(bytes));
    // The hello took one.
    for _ in 0..5 {
        assert_eq!(guest.net.request(peer, 1, Bytes::from_static(b"a")).await.unwrap(), "a");
    }
    assert_eq!(guest.net.request(peer, 1, Bytes::new()).await, Err(RequestError::Busy));
}

#[tokio::test]
async fn own_requests_are_bounded() {
    let (hub, guest) = pair(config(1), config(2)).await;
    // The hub's events are not taken, so nothing is answered.
    let asked =
        join_all((0..9).map(|_| async {
            timeout(Duration::from_millis(500), guest.net.request(hub.peer(), 1, Bytes::new())).await
        }));
    let refused = asked.await.into_iter().filter(|asked| *asked == Ok(Err(RequestError::Overloaded))).count();
    assert_eq!(refused, 1);
}

/// Whoever ends it, and long before the request's own time is over.
#[tokio::test]
async fn a_request_under_way_ends_with_its_link() {
    for asker_ends in [false, true] {
        let mut patient = config(2);
        patient.timeout = 10 * PATIENCE;
        let (mut hub, guest) = pair(config(1), patient).await;
        let (hub_peer, guest_peer) = (hub.peer(), guest.peer());
        let asked = tokio::spawn({
            let net = guest.net.clone();
            async move { net.request(hub_peer, 1, Bytes::new()).await }
        });
        let asking = |event| match event {
            Event::Request { reply, .. } => Some(reply),
            _ => None,
        };
        let unanswered = hub.until(asking).await;
        if asker_ends {
            guest.net.disconnect(hub_peer).unwrap();
        } else {
            hub.net.disconnect(guest_peer).unwrap();
        }
        let ended = timeout(PATIENCE, asked).await.unwrap().unwrap();
        assert!(matches!(ended, Err(RequestError::Disconnected | RequestError::Broken(_))), "{ended:?}");
        drop(unanswered);
    }
}
