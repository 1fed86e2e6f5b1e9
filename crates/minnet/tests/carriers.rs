//! Carriers that lie. Who carries a circuit may cut it or delay it, and nothing more: it can not put itself or somebody else
//! in a friend's place, change a byte, or say again what was said before.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    io,
    sync::{Arc, Mutex, OnceLock},
};

use bytes::Bytes;
use common::{Node, PATIENCE, config, node};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, future::try_join};
use ledgerno_minnet::{Event, Net, Others, Path, Peer, Topic, Way, Why};
use libp2p::{Stream, StreamProtocol};
use tokio::time::timeout;

/// <https://github.com/libp2p/specs/blob/master/relay/circuit-v2.md>
const HOP: StreamProtocol = StreamProtocol::new("/libp2p/circuit/relay/0.2.0/hop");
const HOPS: &[StreamProtocol] = &[HOP];
const STOP: StreamProtocol = StreamProtocol::new("/libp2p/circuit/relay/0.2.0/stop");
/// `{ type: STATUS, status: OK }`, with its length.
const HOP_OK: [u8; 5] = [4, 0x08, 2, 0x28, 100];
const TOPIC: Topic = Topic([7; 32]);

/// What a carrier does with circuits that one peer asks for; it is honest to everybody else.
enum Lie {
    /// It leads them to somebody else.
    Swap(Peer),
    /// It changes one byte of what goes there, of each circuit another one.
    Change(Mutex<usize>),
    /// It keeps what was said on them.
    Keep(Arc<Mutex<Vec<u8>>>),
}

struct Plan {
    net: Net,
    victim: Peer,
    lie: Lie,
}

/// A libp2p peer id of an Ed25519 key.
fn id(peer: Peer) -> Vec<u8> {
    [&[0x00, 0x24, 0x08, 0x01, 0x12, 0x20][..], &peer.0].concat()
}

/// Reads a message with its length, which is below 128.
async fn read(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut len = [0];
    stream.read_exact(&mut len).await?;
    let mut message = vec![0; usize::from(len[0])];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// A circuit's far end, asked for in somebody's name.
async fn stop(net: &Net, to: Peer, from: Peer) -> io::Result<Stream> {
    let mut stop = net.open(to, STOP).await.map_err(io::Error::other)?;
    let id = id(from);
    // `{ type: CONNECT, peer: { id } }`
    let mut message = vec![0x08, 0, 0x12, id.len() as u8 + 2, 0x0a, id.len() as u8];
    message.extend(id);
    message.insert(0, message.len() as u8);
    stop.write_all(&message).await?;
    stop.flush().await?;
    read(&mut stop).await?;
    Ok(stop)
}

/// Copies what comes, as `change` leaves it.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut change: impl FnMut(&mut [u8]),
) -> io::Result<()> {
    let mut chunk = [0; 4_096];
    loop {
        let len = from.read(&mut chunk).await?;
        if len == 0 {
            return to.close().await;
        }
        change(&mut chunk[..len]);
        to.write_all(&chunk[..len]).await?;
        to.flush().await?;
    }
}

async fn carry(plan: &Plan, from: Peer, mut hop: Stream) -> io::Result<()> {
    let wish = read(&mut hop).await?;
    let asked = wish.windows(6).position(|part| part == &id(from)[..6]).map(|at| &wish[at + 6..at + 38]);
    let asked = Peer(asked.and_then(|key| key.try_into().ok()).ok_or(io::ErrorKind::InvalidData)?);
    let lie = Some(&plan.lie).filter(|_| from == plan.victim);
    let to = if let Some(Lie::Swap(other)) = lie { *other } else { asked };
    let far = stop(&plan.net, to, from).await?;
    hop.write_all(&HOP_OK).await?;
    hop.flush().await?;
    let (near_in, near_out) = hop.split();
    let (far_in, far_out) = far.split();
    let mut left = match lie {
        Some(Lie::Change(next)) => {
            let mut next = next.lock().unwrap();
            *next += 41;
            Some(*next)
        }
        _ => None,
    };
    let there = copy(near_in, far_out, |bytes| {
        if let Some(at) = left {
            match bytes.get_mut(at) {
                Some(byte) => (*byte, left) = (*byte ^ 1, None),
                None => left = Some(at - bytes.len()),
            }
        }
        if let Some(Lie::Keep(kept)) = lie {
            kept.lock().unwrap().extend_from_slice(bytes);
        }
    });
    try_join(there, copy(far_in, near_out, |_| {})).await.map(drop)
}

fn lied(plan: &'static OnceLock<Plan>, from: Peer, hop: Stream) {
    let plan = plan.get().expect("a plan");
    tokio::spawn(async move {
        if let Err(error) = carry(plan, from, hop).await {
            eprintln!("a circuit ended: {error}");
        }
    });
}

/// A carrier with a plan, which comes after it.
fn carrier(take: fn(Peer, StreamProtocol, Stream)) -> Node {
    let mut config = config(1);
    config.hub = true;
    config.others = Some(Others { protocols: HOPS, take });
    node(config)
}

async fn guest(name: u8, carrier: &mut Node, url: &str) -> Node {
    let mut guest = node(config(name));
    guest.net.dial(url, carrier.peer()).unwrap();
    guest.connected(carrier.peer()).await;
    carrier.connected(guest.peer()).await;
    carrier.net.admit(guest.peer()).unwrap();
    guest
}

/// Waits until a friend was dialled by the carrier in vain; nobody may come meanwhile.
async fn tried_in_vain(node: &mut Node, friend: Peer) -> Why {
    node.until(|event| match event {
        Event::Tried { peer, way: Way::Circuit { .. }, why } => (peer == friend).then_some(why),
        Event::Connected { peer, .. } => panic!("{peer} came"),
        _ => None,
    })
    .await
}

/// Until the carrier's word comes nobody else may have come.
async fn nobody_came(node: &mut Node, carrier: &Node) {
    node.net.subscribe(TOPIC).unwrap();
    let heard = node.until(|event| match event {
        Event::Message { from, .. } => Some(from),
        Event::Connected { peer, .. } => panic!("{peer} came"),
        _ => None,
    });
    let says = async {
        for word in 0u32.. {
            carrier.net.publish(&TOPIC, Bytes::copy_from_slice(&word.to_be_bytes())).unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        from = heard => assert_eq!(from, carrier.peer()),
        () = says => unreachable!("it ends with the other"),
    }
}

#[tokio::test]
async fn a_carrier_that_leads_to_somebody_else_is_found_out_and_honest_friends_do_not_notice() {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    let mut carrier = carrier(|from, _, hop| lied(&PLAN, from, hop));
    let url = carrier.listen().await;
    let mut guests = Vec::new();
    for name in 2..7 {
        guests.push(guest(name, &mut carrier, &url).await);
    }
    let [mut ann, ben, mut cid, mut dan, mut eve] = guests.try_into().ok().unwrap();
    let plan = Plan { net: carrier.net.clone(), victim: ann.peer(), lie: Lie::Swap(cid.peer()) };
    assert!(PLAN.set(plan).is_ok());
    ann.net.seek(ben.peer()).unwrap();
    dan.net.seek(eve.peer()).unwrap();
    eve.net.seek(dan.peer()).unwrap();
    assert_eq!(tried_in_vain(&mut ann, ben.peer()).await, Why::Broken);
    nobody_came(&mut cid, &carrier).await;
    dan.connected(eve.peer()).await;
    eve.connected(dan.peer()).await;
    let (_net, peer) = (eve.net.clone(), eve.peer());
    eve.serve(|_, bytes| Some(bytes));
    assert_eq!(dan.net.request(peer, 5, Bytes::from_static(b"as ever")).await.unwrap(), "as ever");
}

#[tokio::test]
async fn a_carrier_that_changes_a_byte_gets_no_link_or_breaks_it() {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    let mut carrier = carrier(|from, _, hop| lied(&PLAN, from, hop));
    let url = carrier.listen().await;
    let mut ann = guest(2, &mut carrier, &url).await;
    let ben = guest(3, &mut carrier, &url).await;
    let plan = Plan { net: carrier.net.clone(), victim: ann.peer(), lie: Lie::Change(Mutex::new(0)) };
    assert!(PLAN.set(plan).is_ok());
    let (net, peer) = (ben.net.clone(), ben.peer());
    ben.serve(|_, bytes| Some(bytes));
    let mut said = Vec::new();
    // Of each circuit a later byte: of the negotiation, of Noise's handshake, of what is said under it.
    for _ in 0..8 {
        ann.net.seek(peer).unwrap();
        ann.net.hurry().unwrap();
        let net = ann.net.clone();
        ann.until(|event| match event {
            Event::Tried { .. } | Event::Disconnected { .. } => Some(()),
            Event::Connected { path: Path::Circuit { .. }, .. } => {
                // Whatever was said and heard is true or does not come.
                let net = net.clone();
                said.push(tokio::spawn(async move { net.request(peer, 5, Bytes::from_static(b"true")).await }));
                None
            }
            _ => None,
        })
        .await;
    }
    for answer in said {
        if let Ok(answer) = timeout(PATIENCE, answer).await.unwrap().unwrap() {
            assert_eq!(answer, "true");
        }
    }
    drop(net);
}

#[tokio::test]
async fn a_carrier_that_says_again_what_it_heard_is_nobody() {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    let mut carrier = carrier(|from, _, hop| lied(&PLAN, from, hop));
    let url = carrier.listen().await;
    let mut ann = guest(2, &mut carrier, &url).await;
    let mut ben = guest(3, &mut carrier, &url).await;
    let kept = Arc::new(Mutex::new(Vec::new()));
    let plan = Plan { net: carrier.net.clone(), victim: ann.peer(), lie: Lie::Keep(Arc::clone(&kept)) };
    assert!(PLAN.set(plan).is_ok());
    ann.net.seek(ben.peer()).unwrap();
    ann.connected(ben.peer()).await;
    ben.connected(ann.peer()).await;
    let gone = ann.peer();
    drop(ann);
    ben.disconnected(gone).await;
    let said = std::mem::take(&mut *kept.lock().unwrap());
    assert!(said.len() > 200, "a handshake and more was heard");
    let mut again = stop(&carrier.net, ben.peer(), gone).await.unwrap();
    // Ben may end it before all of it is said.
    let told = again.write_all(&said).await.is_ok() && again.flush().await.is_ok();
    let mut answer = Vec::new();
    let ended = again.read_to_end(&mut answer).await;
    eprintln!("told all of it: {told}, {} bytes came, {ended:?}", answer.len());
    nobody_came(&mut ben, &carrier).await;
}
