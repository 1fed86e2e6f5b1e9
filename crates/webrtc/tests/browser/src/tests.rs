//! The tests themselves.

use std::sync::Arc;

use futures::{
    AsyncReadExt, AsyncWriteExt, FutureExt,
    future::{LocalBoxFuture, join},
};
use ledgerno_webrtc::{Config, browser::Browser};

use crate::common::*;

type Test = (&'static str, fn() -> LocalBoxFuture<'static, Outcome>);

pub fn all() -> Vec<Test> {
    vec![
        // First: of peer connections that are closed before they stand Chromium itself keeps some.
        ("webrtc: 200 connects and disconnects leave nothing", || again_and_again().boxed_local()),
        ("webrtc: sizes from 1 B to 1 MB go both ways", || sizes().boxed_local()),
        ("webrtc: half of a stream closes, the other goes on", || half_close().boxed_local()),
        ("webrtc: a dropped stream is reset", || reset().boxed_local()),
        ("webrtc: a slow reader holds the writer", || slow_reader().boxed_local()),
        ("webrtc: many streams at once", || many_streams().boxed_local()),
        ("webrtc: a closed link is noticed by the other side", || closing().boxed_local()),
        ("webrtc: a dropped dial closes its peer connection", || dropped_dials().boxed_local()),
        ("webrtc: refusals say their step", || refusals().boxed_local()),
        ("webrtc: a peer without rules costs its channels and nothing else", || hostile().boxed_local()),
        ("webrtc: 8 MB in one direction", || much().boxed_local()),
    ]
}

fn node() -> Node {
    Node::start(wasm_bindgen_futures::spawn_local, Config::default(), Arc::new(Browser), true)
}

async fn pair() -> Outcome<Pair> {
    Pair::link(node(), node()).await
}

async fn sizes() -> Outcome {
    let mut pair = pair().await?;
    for len in [1, 2, 127, 128, 1_000, 16_360, 16_384, 65_536, 1_000_000] {
        let (ours, theirs) = pair.stream().await?;
        let (there, back) = (pattern(len, 1), pattern(len, 2));
        let (at_us, at_them) = join(exchange(ours, &there), exchange(theirs, &back)).await;
        ensure(at_us? == back && at_them? == there, "other bytes came")?;
    }
    Ok(())
}

async fn half_close() -> Outcome {
    let mut pair = pair().await?;
    let (mut ours, mut theirs) = pair.stream().await?;
    write_all(&mut ours, b"question").await?;
    close(&mut ours).await?;
    ensure(read_end(&mut theirs).await? == b"question", "the question")?;
    for round in 0..3 {
        write_all(&mut theirs, &pattern(20_000, round)).await?;
        ensure(read_exact(&mut ours, 20_000).await? == pattern(20_000, round), "the answer")?;
    }
    ensure(ours.write_all(b"more").await.is_err(), "a write after the close")?;
    close(&mut theirs).await?;
    ensure(read_end(&mut ours).await?.is_empty(), "the end")
}

async fn reset() -> Outcome {
    let mut pair = pair().await?;
    let (mut ours, theirs) = pair.stream().await?;
    write_all(&mut ours, b"x").await?;
    drop(theirs);
    let mut buf = [0; 8];
    ensure(within("a reset", ours.read(&mut buf)).await?.is_err(), "a read of a stream that was reset")?;
    ensure(ours.write_all(b"more").await.is_err(), "a write on a stream that was reset")
}

async fn slow_reader() -> Outcome {
    let mut pair = pair().await?;
    let (mut ours, mut theirs) = pair.stream().await?;
    let bytes = pattern(2_000_000, 3);
    let mut written = 0;
    // As much as goes while nobody reads.
    let fill = async {
        while written < bytes.len() {
            match ours.write(&bytes[written..]).await {
                Ok(len) => written += len,
                Err(error) => return Err(show(error)),
            }
        }
        Ok(())
    };
    let pause = futures_timer::Delay::new(std::time::Duration::from_millis(500));
    let stuck = matches!(futures::future::select(std::pin::pin!(fill), pause).await, futures::future::Either::Right(_));
    ensure(stuck, "all was taken though nobody reads")?;
    ensure(written <= Config::default().window as usize, &format!("{written} bytes were taken though nobody reads"))?;
    let rest = async {
        write_all(&mut ours, &bytes[written..]).await?;
        close(&mut ours).await
    };
    let (sent, read) = join(rest, read_end(&mut theirs)).await;
    sent?;
    ensure(read? == bytes, "other bytes came")
}

async fn many_streams() -> Outcome {
    let mut pair = pair().await?;
    let mut ends = Vec::new();
    for _ in 0..60 {
        ends.push(pair.stream().await?);
    }
    for (seed, (ours, theirs)) in ends.iter_mut().enumerate() {
        write_all(ours, &pattern(5_000, seed as u8)).await?;
        write_all(theirs, &pattern(5_000, seed as u8 + 100)).await?;
    }
    for (seed, (ours, theirs)) in ends.iter_mut().enumerate() {
        ensure(read_exact(theirs, 5_000).await? == pattern(5_000, seed as u8), "there")?;
        ensure(read_exact(ours, 5_000).await? == pattern(5_000, seed as u8 + 100), "back")?;
    }
    Ok(())
}

async fn closing() -> Outcome {
    let mut pair = pair().await?;
    let begin = js_sys::Date::now();
    pair.a.close(&pair.a_link);
    pair.b.lost(&pair.b_link).await?;
    web_log(&format!("the far side noticed after {} ms", js_sys::Date::now() - begin));
    pair.a.lost(&pair.a_link).await
}

async fn again_and_again() -> Outcome {
    const ROUNDS: u8 = 200;
    /// A browser makes some functions when they are first used.
    const WARM: u8 = 10;
    let hurried = || {
        let config = Config { max_offers_per_second: usize::MAX, ..Config::default() };
        Node::start(wasm_bindgen_futures::spawn_local, config, Arc::new(Browser), true)
    };
    let (a, mut b) = (hurried(), hurried());
    a.dial(b.peer, b.address.clone()).await?;
    b.connected().await?;
    ensure(left("RTCPeerConnection").await? == 0.0, "there was a peer connection before")?;
    let (mut handlers, mut begin) = (f64::NAN, f64::NAN);
    for round in 0..WARM + ROUNDS {
        if round == WARM {
            (handlers, begin) = (left("Function").await?, js_sys::Date::now());
        }
        let at_a = a.dial(b.peer, direct(b.peer)).await.map_err(|error| format!("round {round}: {error}"))?;
        let at_b = b.connected().await?;
        let mut ours = a.open(&at_a).await?;
        write_all(&mut ours, &[round]).await?;
        close(&mut ours).await?;
        ensure(read_end(&mut b.accept(&at_b).await?).await? == [round], "the round's number")?;
        if round == 0 {
            ensure(left("RTCPeerConnection").await? == 2.0, "the two that stand are not counted")?;
        }
        // Either side may be the one to close.
        if round % 2 == 0 {
            a.close(&at_a)
        } else {
            b.close(&at_b)
        }
        b.lost(&at_b).await?;
    }
    let each = (js_sys::Date::now() - begin) / f64::from(ROUNDS);
    web_log(&format!("a connect and disconnect takes {each} ms"));
    left_at_most("RTCPeerConnection", 0.0).await?;
    left_at_most("RTCDataChannel", 0.0).await?;
    // Far fewer than one in two rounds, which is what one forgotten by either side would be.
    left_at_most("Function", handlers + f64::from(ROUNDS / 10)).await
}

/// How many objects of a kind the page holds after a collection, as the browser counts them.
async fn left(kind: &str) -> Outcome<f64> {
    let failed = |_| format!("no count of {kind}");
    let count = js_sys::eval(&format!("countLeft('{kind}')")).map_err(failed)?;
    let count = wasm_bindgen_futures::JsFuture::from(js_sys::Promise::from(count));
    within("a count", count).await?.map_err(failed)?.as_f64().ok_or_else(|| format!("no count of {kind}"))
}

/// Until so many are left, or fewer.
async fn left_at_most(kind: &str, most: f64) -> Outcome {
    let mut count = f64::NAN;
    let counting = async {
        loop {
            count = left(kind).await?;
            if count <= most {
                return Ok(());
            }
        }
    };
    within("", counting).await.unwrap_or_else(|_| Err(format!("{count} of {kind} are left, and at most {most} may be")))
}

/// Peer connections that are not closed, from the first call on.
fn live() -> Outcome<f64> {
    const COUNT: &str = "
        if (!globalThis.made) {
            globalThis.made = [];
            globalThis.RTCPeerConnection = class extends RTCPeerConnection {
                constructor(...given) { super(...given); made.push(new WeakRef(this)); }
            };
        }
        made.filter((one) => ![undefined, 'closed'].includes(one.deref()?.connectionState)).length";
    let count = js_sys::eval(COUNT).map_err(|_| "no count of peer connections")?;
    count.as_f64().ok_or_else(|| "no count of peer connections".to_owned())
}

async fn dropped_dials() -> Outcome {
    live()?;
    let mut seen = 0;
    for delay in 0..30 {
        let (a, mut b) = (node(), node());
        a.dial(b.peer, b.address.clone()).await?;
        b.connected().await?;
        let dial = a.begin(b.peer, direct(b.peer));
        futures_timer::Delay::new(std::time::Duration::from_millis(delay)).await;
        seen += usize::from(live()? > 0.0);
        drop((dial, a));
    }
    ensure(seen > 10, "there was hardly one")?;
    until("all peer connections are closed", || live() == Ok(0.0)).await
}

async fn refusals() -> Outcome {
    live()?;
    let (a, mut b) = (node(), node());
    let error = a.dial(b.peer, direct(b.peer)).await.err().unwrap_or_default();
    ensure(error.contains("Carrier") && error.contains("NoConnection"), &error)?;
    let mut deaf = Node::start(wasm_bindgen_futures::spawn_local, Config::default(), Arc::new(Browser), false);
    a.dial(deaf.peer, deaf.address.clone()).await?;
    deaf.connected().await?;
    let error = a.dial(deaf.peer, direct(deaf.peer)).await.err().unwrap_or_default();
    ensure(error.contains("Interrupted"), &error)?;
    a.dial(b.peer, b.address.clone()).await?;
    b.connected().await?;
    // The browser knows no such server.
    let servers = vec![ledgerno_webrtc::IceServer::new("nonsense:")];
    let config = Config { ice_servers: servers, ..Config::default() };
    let c = Node::start(wasm_bindgen_futures::spawn_local, config, Arc::new(Browser), true);
    c.dial(b.peer, b.address.clone()).await?;
    b.connected().await?;
    let error = c.dial(b.peer, direct(b.peer)).await.err().unwrap_or_default();
    ensure(error.contains("Offer") && error.contains("Refused"), &error)?;
    until("all peer connections are closed", || live() == Ok(0.0)).await
}

async fn hostile() -> Outcome {
    live()?;
    let mut pair = pair().await?;
    let failed = |_| "the hostile peer failed".to_owned();
    let run = js_sys::eval(include_str!("hostile.js")).map_err(failed)?;
    let left =
        within("the hostile peer's end", wasm_bindgen_futures::JsFuture::from(js_sys::Promise::from(run))).await?;
    let left = left.map_err(failed)?.as_f64().unwrap_or(f64::MAX);
    ensure(left <= 64.0, &format!("{left} channels were left open"))?;
    // Both ways still work on the same link.
    let mut theirs = pair.b.open(&pair.b_link).await?;
    write_all(&mut theirs, b"alive").await?;
    ensure(read_exact(&mut pair.a.accept(&pair.a_link).await?, 5).await? == b"alive", "from b to a")?;
    let (ours, theirs) = pair.stream().await?;
    let bytes = pattern(300_000, 8);
    let (at_us, at_them) = join(exchange(ours, &bytes), exchange(theirs, &bytes)).await;
    ensure(at_us? == bytes && at_them? == bytes, "other bytes came")
}

async fn much() -> Outcome {
    let mut pair = pair().await?;
    let (mut ours, mut theirs) = pair.stream().await?;
    let bytes = pattern(8_000_000, 5);
    let begin = js_sys::Date::now();
    let send = async {
        write_all(&mut ours, &bytes).await?;
        close(&mut ours).await
    };
    let (sent, read) = join(send, read_end(&mut theirs)).await;
    sent?;
    web_log(&format!("8 MB took {} ms", js_sys::Date::now() - begin));
    ensure(read? == bytes, "other bytes came")
}

fn web_log(text: &str) {
    let console = js_sys::Reflect::get(&js_sys::global(), &"console".into());
    let log = console.and_then(|console| js_sys::Reflect::get(&console, &"log".into()));
    if let Ok(log) = log {
        use wasm_bindgen::JsCast;
        drop(log.unchecked_ref::<js_sys::Function>().call1(&wasm_bindgen::JsValue::NULL, &text.into()));
    }
}
