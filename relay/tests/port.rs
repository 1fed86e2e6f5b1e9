//! The port under load and ill will: upgrades, limits, slow clients, TLS, the end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Answer, Served, With, get, serve};
use futures::{AsyncReadExt as _, AsyncWriteExt as _, SinkExt, StreamExt};
use ledgerno_relay::limits::{Full, Gate, Limits};
use ledgerno_relay::tls::{self, TlsFiles};
use ledgerno_relay::ws::MAX_MESSAGE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn short() -> Limits {
    Limits { header: Duration::from_millis(200), lifetime: Duration::from_millis(400), ..Limits::default() }
}

async fn open(served: &Served) -> Client {
    connect_async(format!("ws://{}/", served.address)).await.unwrap().0
}

async fn open_for(served: &Served, forwarded: &str) -> Result<Client, Error> {
    let mut request = format!("ws://{}/", served.address).into_client_request().unwrap();
    request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
    Ok(connect_async(request).await?.0)
}

/// Reads until the other side ends the connection, in order or not.
async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    match stream.read_to_end(&mut read).await {
        Ok(_) => read,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => read,
        Err(error) => panic!("{error}"),
    }
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_websocket_is_a_stream_of_bytes_both_ways() {
    let mut served = serve(With::default()).await;
    let mut client = open(&served).await;
    let (mut stream, from) = served.accepted.recv().await.unwrap();
    assert!(from.ip().is_loopback());

    client.send(Message::binary(&b"hello"[..])).await.unwrap();
    client.send(Message::binary(&b""[..])).await.unwrap();
    client.send(Message::binary(&b" relay"[..])).await.unwrap();
    let mut read = [0; 11];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"hello relay");

    // Written and not flushed: it leaves at once all the same.
    stream.write_all(b"hello page").await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::binary(&b"hello page"[..]));

    client.send(Message::Ping("are you there".into())).await.unwrap();
    client.send(Message::binary(&b"."[..])).await.unwrap();
    stream.read_exact(&mut read[..1]).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong("are you there".into()));

    client.close(None).await.unwrap();
    assert_eq!(stream.read(&mut read).await.unwrap(), 0);
    drop(stream);
    until(|| served.gate.connections() == 0).await;
}

#[tokio::test]
async fn a_megabyte_passes_while_neither_side_reads_ahead() {
    let mut served = serve(With::default()).await;
    let client = open(&served).await;
    let (stream, _) = served.accepted.recv().await.unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let (mut reader, mut writer) = stream.split();
    let echo = tokio::spawn(async move { futures::io::copy(&mut reader, &mut writer).await });
    let (mut sink, mut source) = client.split();
    let chunks: Vec<Message> = sent.chunks(50_000).map(|chunk| Message::binary(chunk.to_vec())).collect();
    let sending = tokio::spawn(async move {
        for chunk in chunks {
            sink.send(chunk).await.unwrap();
        }
        sink
    });
    let mut got = Vec::new();
    while got.len() < sent.len() {
        let message = source.next().await.unwrap().unwrap();
        got.extend_from_slice(&message.into_data());
    }
    assert!(got == sent);
    sending.await.unwrap().close().await.unwrap();
    echo.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_message_too_large_or_of_text_ends_the_stream_with_an_error() {
    for bad in [Message::binary(vec![0; MAX_MESSAGE + 1]), Message::text("hello")] {
        let mut served = serve(With::default()).await;
        let mut client = open(&served).await;
        let (mut stream, _) = served.accepted.recv().await.unwrap();
        let reading = tokio::spawn(async move { stream.read(&mut [0; 16]).await });
        // The far side may end it before all is sent.
        client.send(bad).await.ok();
        assert!(reading.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn only_the_root_upgrades_and_only_a_whole_handshake() {
    let served = serve(With::default()).await;
    let refused = connect_async(format!("ws://{}/elsewhere", served.address)).await.unwrap_err();
    assert!(matches!(refused, Error::Http(answer) if answer.status() == 404));
    let answer = get(served.address, "/", "Upgrade: websocket\r\n").await;
    assert!((400..500).contains(&answer.status), "{}", answer.status);
}

#[tokio::test]
async fn a_client_that_never_ends_its_header_is_cut() {
    let served = serve(With { limits: short(), ..With::default() }).await;
    for first in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        let answer = until_closed(&mut stream).await;
        assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    }
    // One that drips a byte now and then is not let off either.
    let stream = TcpStream::connect(served.address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut read = Vec::new();
    reader.read_to_end(&mut read).await.ok();
    dripping.await.unwrap();
    until(|| served.gate.connections() == 0).await;
}

#[tokio::test]
async fn a_client_that_stays_after_its_answer_is_cut() {
    let served = serve(With { limits: short(), ..With::default() }).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(Answer::parse(&until_closed(&mut stream).await).status, 200);
}

#[tokio::test]
async fn a_header_without_end_is_not_kept() {
    let served = serve(With::default()).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let line = format!("X-Long: {}\r\n", "x".repeat(1_000));
    while stream.write_all(line.as_bytes()).await.is_ok() {}
    until(|| served.gate.connections() == 0).await;
}

#[tokio::test]
async fn the_relay_holds_no_more_connections_than_it_may() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let mut served = serve(With { limits, ..With::default() }).await;
    let first = open(&served).await;
    let second = open(&served).await;
    let mut third = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(Answer::parse(&until_closed(&mut third).await).status, 503);

    // A WebSocket takes its room until the stream over it is gone.
    drop((first, second));
    assert_eq!(served.gate.connections(), 2);
    for _ in 0..2 {
        drop(served.accepted.recv().await.unwrap());
    }
    until(|| served.gate.connections() == 0).await;
    assert_eq!(get(served.address, "/health", "").await.status, 200);
}

#[tokio::test]
async fn behind_a_proxy_each_client_has_its_own_share() {
    let limits = Limits { per_address: 1, ..Limits::default() };
    let mut served = serve(With { limits, behind_proxy: true, ..With::default() }).await;
    let first = open_for(&served, "192.0.2.7").await.unwrap();
    let (held, from) = served.accepted.recv().await.unwrap();
    assert_eq!(from.ip().to_string(), "192.0.2.7");
    // What stands before the proxy's own word is anybody's.
    let refused = open_for(&served, "198.51.100.1, 192.0.2.7").await.unwrap_err();
    assert!(matches!(refused, Error::Http(answer) if answer.status() == 429));
    for (forwarded, client) in [
        ("198.51.100.1:4711", "198.51.100.1"),
        ("[2001:db8:1::1]:80", "2001:db8:1::1"),
        ("2001:db8:2::1", "2001:db8:2::1"),
        ("no address", "127.0.0.1"),
    ] {
        open_for(&served, forwarded).await.unwrap();
        assert_eq!(served.accepted.recv().await.unwrap().1.ip().to_string(), client);
    }
    drop((first, held));
    until(|| served.gate.connections() == 0).await;
    open_for(&served, "192.0.2.7").await.unwrap();
}

#[tokio::test]
async fn without_a_proxy_nobody_is_believed() {
    let mut served = serve(With::default()).await;
    open_for(&served, "192.0.2.7").await.unwrap();
    assert!(served.accepted.recv().await.unwrap().1.ip().is_loopback());
}

#[test]
fn shares_are_counted_by_v4_address_and_by_v6_network() {
    let gate = Gate::new(Limits { connections: 10, per_address: 2, ..Limits::default() });
    let enter = |address: &str| gate.connection(Some(address.parse().unwrap()));
    let held = [enter("192.0.2.1"), enter("::ffff:192.0.2.1"), enter("2001:db8::1"), enter("2001:db8::ffff:2")];
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(enter("192.0.2.1").unwrap_err(), Full::Address);
    assert_eq!(enter("2001:db8:0:0:9::").unwrap_err(), Full::Address);
    assert!(enter("192.0.2.2").is_ok() && enter("2001:db8:0:1::1").is_ok());
    drop(held);
    assert_eq!(gate.connections(), 0);
    assert!(enter("192.0.2.1").is_ok());
}

#[tokio::test]
async fn stopping_closes_the_port_and_cuts_who_is_idle() {
    let limits = Limits { grace: Duration::from_millis(100), ..Limits::default() };
    let served = serve(With { limits, ..With::default() }).await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    until(|| served.gate.connections() == 1).await;
    served.stop.send_replace(true);
    served.running.await.unwrap();
    until_closed(&mut idle).await;
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn tls_serves_the_page_and_websockets() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.key_pair.serialize_pem()).unwrap();
    let tls = Some(tls::load(&files).unwrap());
    let mut served = serve(With { tls, limits: short(), ..With::default() }).await;

    let mut stream = over_tls(served.address, made.cert.der().clone()).await;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Answer::parse(&answer).status, 200);

    let stream = over_tls(served.address, made.cert.der().clone()).await;
    let (mut client, _) = tokio_tungstenite::client_async("ws://localhost/", stream).await.unwrap();
    let (mut accepted, _) = served.accepted.recv().await.unwrap();
    client.send(Message::binary(&b"sealed"[..])).await.unwrap();
    let mut read = [0; 6];
    accepted.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"sealed");

    // Neither plain HTTP nor silence holds the port.
    for first in ["GET / HTTP/1.1\r\n\r\n", ""] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        until_closed(&mut stream).await;
    }
}

async fn over_tls(
    address: SocketAddr,
    trusted: rustls::pki_types::CertificateDer<'static>,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    connector.connect("localhost".try_into().unwrap(), stream).await.unwrap()
}

#[test]
fn wrong_tls_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let files = TlsFiles { cert: cert.clone(), key: key.clone() };
    let error = || tls::load(&files).err().unwrap().to_string();
    assert!(error().contains("cert.pem"));
    std::fs::write(&cert, "no certificate").unwrap();
    assert!(error().contains("there is no certificate in"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&cert, made.cert.pem()).unwrap();
    assert!(error().contains("key.pem"));
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&key, other.key_pair.serialize_pem()).unwrap();
    assert!(error().contains("cannot be used"));
}
