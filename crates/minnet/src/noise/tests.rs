#![allow(clippy::unwrap_used)]

use std::{
    cell::RefCell,
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use futures::{
    AsyncReadExt, AsyncWriteExt,
    executor::{LocalPool, block_on},
    future::join,
    task::LocalSpawnExt,
};
use libp2p::noise as upstream;
use proptest::prelude::*;

use super::{handshake::Role, *};

/// The bytes of the first message's length.
const LENGTH: usize = 2;

/// One direction of a pipe that moves at most `step` bytes at a time, and changes the byte at `flip`.
#[derive(Default)]
struct Flow {
    bytes: VecDeque<u8>,
    step: usize,
    flip: Option<usize>,
    moved: usize,
    closed: bool,
    waiting: Option<Waker>,
}

/// One end of a pipe.
struct End {
    inward: Arc<Mutex<Flow>>,
    out: Arc<Mutex<Flow>>,
}

fn pipe(step: usize, flip: Option<usize>) -> (End, End) {
    let flow = |flip| Arc::new(Mutex::new(Flow { step, flip, ..Flow::default() }));
    let (there, back) = (flow(flip), flow(None));
    (End { inward: back.clone(), out: there.clone() }, End { inward: there, out: back })
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut flow = self.inward.lock().unwrap();
        let taken = into.len().min(flow.step).min(flow.bytes.len());
        if taken == 0 && !flow.closed {
            flow.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for (place, byte) in into.iter_mut().zip(flow.bytes.drain(..taken)) {
            *place = byte;
        }
        Poll::Ready(Ok(taken))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut flow = self.out.lock().unwrap();
        let taken = bytes.len().min(flow.step);
        for byte in &bytes[..taken] {
            let flipped = flow.flip == Some(flow.moved);
            flow.moved += 1;
            flow.bytes.push_back(if flipped { byte ^ 1 } else { *byte });
        }
        if let Some(waker) = flow.waiting.take() {
            waker.wake();
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut flow = self.out.lock().unwrap();
        flow.closed = true;
        if let Some(waker) = flow.waiting.take() {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }
}

/// A dropped end hangs up, so that the other one does not wait for ever.
impl Drop for End {
    fn drop(&mut self) {
        for flow in [&self.out, &self.inward] {
            let mut flow = flow.lock().unwrap();
            flow.closed = true;
            if let Some(waker) = flow.waiting.take() {
                waker.wake();
            }
        }
    }
}

fn key(name: u8) -> Keypair {
    Keypair::ed25519_from_bytes([name; 32]).unwrap()
}

fn noise(name: u8) -> Noise {
    Noise::new(&key(name)).unwrap()
}

/// Sends `texts`, flushed one by one, and a close; and reads until the other side's close.
async fn talk<L: AsyncRead + AsyncWrite + Unpin>(mut link: L, texts: &[Vec<u8>]) -> io::Result<Vec<u8>> {
    for text in texts {
        link.write_all(text).await?;
        link.flush().await?;
    }
    link.close().await?;
    let mut heard = Vec::new();
    link.read_to_end(&mut heard).await?;
    Ok(heard)
}

fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let length = prop_oneof![0usize..200, 65_000usize..66_000, 0usize..200_000];
    prop::collection::vec(length.prop_map(|length| (0..length).map(|at| (at * 31 + at / 251) as u8).collect()), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// libp2p's Noise and ours understand each other, whoever dials, however the bytes are cut.
    #[test]
    fn links_to_libp2p(ours in texts(), theirs in texts(), step in 1usize..70_000, dials: bool) {
        let (here, there) = pipe(step, None);
        let other = upstream::Config::new(&key(2)).unwrap();
        let us = async {
            let (peer, link) = if dials {
                noise(1).upgrade_outbound(here, "/noise").await.unwrap()
            } else {
                noise(1).upgrade_inbound(here, "/noise").await.unwrap()
            };
            (peer, talk(link, &ours).await.unwrap())
        };
        let them = async {
            let (peer, link) = if dials {
                other.upgrade_inbound(there, "/noise").await.unwrap()
            } else {
                other.upgrade_outbound(there, "/noise").await.unwrap()
            };
            (peer, talk(link, &theirs).await.unwrap())
        };
        let ((their_id, heard), (our_id, told)) = block_on(join(us, them));
        prop_assert_eq!(their_id, key(2).public().to_peer_id());
        prop_assert_eq!(our_id, key(1).public().to_peer_id());
        prop_assert!(heard == theirs.concat());
        prop_assert!(told == ours.concat());
    }

    /// Any byte that the dialler says, changed, ends the link; nothing but what was said before it is read. One length is an
    /// exception: with a first message that says it is longer, each waits for the other, till an upgrade's time is over.
    #[test]
    fn a_changed_byte_ends_the_link(flip in 0usize..1_200, step in 1usize..400) {
        let (here, there) = pipe(step, Some(flip));
        let said: Vec<Vec<u8>> = (0..6).map(|at| vec![at; 150]).collect();
        let texts = said.clone();
        let us = async move {
            let (_, link) = noise(1).upgrade_outbound(here, "/noise").await?;
            talk(link, &texts).await
        };
        let them = async move {
            let (_, mut link) = noise(2).upgrade_inbound(there, "/noise").await?;
            let mut heard = Vec::new();
            let end = link.read_to_end(&mut heard).await;
            Ok::<_, io::Error>((heard, end))
        };
        let ended = Rc::new(RefCell::new(None));
        let told = ended.clone();
        let mut pool = LocalPool::new();
        pool.spawner().spawn_local(async move { *told.borrow_mut() = Some(join(us, them).await.1) }).unwrap();
        pool.run_until_stalled();
        match ended.take() {
            Some(Ok((heard, end))) => {
                prop_assert!(end.is_err());
                prop_assert!(heard.len() < 900 && said.concat().starts_with(&heard));
            }
            Some(Err(_)) => {}
            None => prop_assert!(flip < LENGTH, "they wait for each other"),
        }
    }

    /// Whatever a stranger says instead of a handshake, it is refused.
    #[test]
    fn noise_that_is_none_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), dials: bool) {
        let (here, mut there) = pipe(1_000, None);
        let role = if dials { Role::Initiator } else { Role::Responder };
        let local = noise(1).0;
        let stranger = async {
            there.write_all(&bytes).await.unwrap();
            there.close().await.unwrap();
        };
        let (ended, ()) = block_on(join(handshake::run(&local, here, role), stranger));
        prop_assert!(ended.is_err());
    }

    #[test]
    fn payloads_of_strangers_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(payload::verify(&bytes, &[7; 32]).is_err());
    }
}

#[test]
fn a_payload_is_good_for_its_static_key_only() {
    let local = noise(1).0;
    let peer = payload::verify(&local.payload, local.public.as_bytes());
    assert_eq!(peer, Ok(key(1).public().to_peer_id()));
    assert_eq!(payload::verify(&local.payload, noise(1).0.public.as_bytes()), Err(NoiseError::Signature));
    // Another identity over the same signature, and unknown fields before and behind.
    let other = payload::write(&noise_key(2), &local.payload[40..]);
    assert_eq!(payload::verify(&other, local.public.as_bytes()), Err(NoiseError::Signature));
    let extended = [&[0x22, 2, 9, 9][..], &local.payload, &[0x32, 0]].concat();
    assert_eq!(payload::verify(&extended, local.public.as_bytes()), peer);
    assert_eq!(payload::verify(&local.payload[..90], local.public.as_bytes()), Err(NoiseError::Malformed));
}

fn noise_key(name: u8) -> [u8; 32] {
    key(name).public().try_into_ed25519().unwrap().to_bytes()
}

#[test]
fn a_key_of_small_order_is_refused() {
    let (here, mut there) = pipe(1_000, None);
    let local = noise(1).0;
    let stranger = async {
        there.write_all(&[&[0, 32][..], &[0; 32]].concat()).await.unwrap();
        there.close().await.unwrap();
    };
    let (ended, ()) = block_on(join(handshake::run(&local, here, Role::Responder), stranger));
    let error = ended.err().and_then(|error| error.into_inner()).unwrap();
    assert_eq!(error.downcast_ref(), Some(&NoiseError::SmallOrder));
}
