//! A site on a real socket, and the plainest of HTTP clients.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "each test file uses a part of it")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use ledgerno_relay::assets::{File, PLACEHOLDER, Page};
use ledgerno_relay::http::{Accept, Site, run};
use ledgerno_relay::limits::{Gate, Limits};
use ledgerno_relay::ws::WsStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub const WASM: &[u8] = b"\0asm plain";

pub fn page() -> Page {
    let plain = |bytes: &'static [u8]| File { plain: Bytes::from_static(bytes), brotli: None, gzip: None };
    let index = format!("<!doctype html><head>{PLACEHOLDER}</head>");
    let wasm = File {
        brotli: Some(Bytes::from_static(b"as brotli")),
        gzip: Some(Bytes::from_static(b"as gzip")),
        ..plain(WASM)
    };
    Page::new([
        ("/index.html".to_owned(), File { plain: index.into(), ..plain(b"") }),
        ("/assets/node-1a2b3c.wasm".to_owned(), wasm),
        ("/icon.svg".to_owned(), plain(b"<svg/>")),
    ])
}

pub struct Served {
    pub address: SocketAddr,
    pub gate: Gate,
    pub accepted: mpsc::UnboundedReceiver<(WsStream, SocketAddr)>,
    pub stop: watch::Sender<bool>,
    pub running: JoinHandle<()>,
}

pub struct With {
    pub page: Page,
    pub limits: Limits,
    pub behind_proxy: bool,
    pub tls: Option<TlsAcceptor>,
}

impl Default for With {
    fn default() -> Self {
        Self { page: page(), limits: Limits::default(), behind_proxy: false, tls: None }
    }
}

pub async fn serve(with: With) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gate = Gate::new(with.limits);
    let (hand_over, accepted) = mpsc::unbounded_channel();
    let accept: Accept = Arc::new(move |stream, from| assert!(hand_over.send((stream, from)).is_ok()));
    let (page, behind_proxy) = (with.page, with.behind_proxy);
    let site = Arc::new(Site { page, accept, gate: gate.clone(), behind_proxy, version: 1 });
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(run(listener, with.tls, site, stopped));
    Served { address, gate, accepted, stop, running }
}

pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole header");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: bytes[end + 4..].to_vec() }
    }
}

/// Sends one request and reads until the server closes.
pub async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    Answer::parse(&answer)
}

pub async fn get(address: SocketAddr, path: &str, headers: &str) -> Answer {
    ask(address, "GET", path, headers).await
}
