//! The relay: one small native program on a machine that others reach. It hands out the page, introduces browsers to
//! each other, and keeps sealed entries for friends who are away; it holds no key that opens them. [`serve`] runs one
//! inside any program; the binary adds the command line and the signals.

#![deny(missing_docs)]

pub mod announce;
pub mod assets;
pub mod cli;
pub mod error;
pub mod host;
pub mod http;
pub mod limits;
pub mod secrets;
pub mod tls;
pub mod verify;
pub mod ws;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use ledgerno_ledger::invite::RelayAddress;
use ledgerno_node::Listen;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::assets::{About, Page};
use crate::cli::PublicUrl;
pub use crate::error::{Language, RelayError};
use crate::host::{Host, HostError, Start};
use crate::http::Site;
use crate::limits::{Gate, Limits};
use crate::secrets::Secrets;
use crate::tls::TlsFiles;

/// The version of the protocol between page and relay.
pub const VERSION: u16 = ledgerno_node::PROTOCOL;

/// How long the driver may take to commit its store when it is told to stop.
const STOP: Duration = Duration::from_secs(10);

/// What a relay is started with.
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where keys and entries are kept. One relay at a time.
    pub data: PathBuf,
    /// How others reach it.
    pub public_url: Option<PublicUrl>,
    /// Certificate and key, for `https` and `wss` on the port.
    pub tls: Option<TlsFiles>,
    /// Whether near peers are believed about whom they speak for.
    pub behind_proxy: bool,
    /// The page to serve.
    pub page: Page,
    /// Whether it keeps everything for everybody, and says so.
    pub archive: bool,
    /// Whether other libp2p programs' nodes may link, and use circuits.
    pub open: bool,
    /// STUN and TURN servers for the browsers that it serves: `URL` or `URL NAME PASSWORD` each.
    pub ice: Vec<String>,
    /// Where native nodes may link by TCP and QUIC besides. At most 8.
    pub native: Vec<Listen>,
    /// Other relays, which it asks for whom it does not know itself. At most 16.
    pub peers: Vec<RelayAddress>,
    /// The port's bounds.
    pub limits: Limits,
    /// The protocol version to speak and to claim. Tests pretend another.
    pub version: u16,
    /// The relay stops when this completes.
    pub shutdown: BoxFuture<'static, ()>,
}

impl Config {
    /// A relay on `listen` with its data in `data`: the embedded page, plain HTTP, no public URL, until it is dropped.
    pub fn new(listen: SocketAddr, data: PathBuf) -> Self {
        Self {
            listen,
            data,
            public_url: None,
            tls: None,
            behind_proxy: false,
            archive: true,
            open: false,
            ice: Vec::new(),
            native: Vec::new(),
            peers: Vec::new(),
            page: Page::embedded(),
            limits: Limits::default(),
            version: VERSION,
            shutdown: futures::future::pending().boxed(),
        }
    }
}

/// A relay that takes connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The page's URL.
    pub page: String,
    /// The owner's URL: the page's, with the token.
    pub owner: String,
    /// Where it listens, with the port that it got.
    pub address: SocketAddr,
    /// Its libp2p peer.
    pub peer: [u8; 32],
    /// Whether the URLs work on this machine alone.
    pub only_here: bool,
}

/// Runs a relay until `config.shutdown`, and calls `ready` once it takes connections. When it returns, the port is
/// closed and the store has committed.
pub async fn serve(config: Config, ready: impl FnOnce(Ready)) -> Result<(), RelayError> {
    LocalSet::new().run_until(serve_here(config, ready)).await
}

async fn serve_here(config: Config, ready: impl FnOnce(Ready)) -> Result<(), RelayError> {
    let tls = config.tls.as_ref().map(tls::load).transpose()?;
    let listener = listen(config.listen).await?;
    for native in &config.native {
        is_free(*native)?;
    }
    let address = listener.local_addr().map_err(|source| RelayError::Listen { address: config.listen, source })?;
    let secrets = Secrets::open(&config.data)?;
    let url = match &config.public_url {
        Some(url) => url.as_str().to_owned(),
        None => local_url(address, config.tls.is_some()),
    };
    let Host { peer, accept, stop: stop_host, mut run } = host::start(Start {
        data: &config.data,
        secrets: &secrets,
        version: config.version,
        archive: config.archive,
        open: config.open,
        url: &url,
        connections: config.limits.connections,
        listen: config.native,
        relays: config.peers,
    })
    .await?;

    let mut page = config.page;
    let public = config.public_url.as_ref().map_or("", PublicUrl::as_str);
    if !page.introduce(About { peer: &peer, version: config.version, url: public, ice: &config.ice }) {
        warn!("index.html has no place for the relay's name ({}): the page will not find it", assets::PLACEHOLDER);
    }
    let gate = Gate::new(config.limits);
    let site = Arc::new(Site { page, accept, gate, behind_proxy: config.behind_proxy, version: config.version });
    let (stop_http, stopped) = watch::channel(false);
    let mut served = tokio::spawn(http::run(listener, tls, site, stopped));

    let owner = format!("{url}#/owner/{}", secrets.owner.text());
    let only_here = config.public_url.is_none() && (address.ip().is_loopback() || address.ip().is_unspecified());
    info!(%address, peer = data_encoding::HEXLOWER.encode(&peer), "ready");
    ready(Ready { page: url, owner, address, peer, only_here });

    let ended = tokio::select! {
        () = config.shutdown => None,
        ended = &mut run => Some(ended),
        _ = &mut served => Some(Err(HostError::Ended("its port was lost"))),
    };
    info!("stopping");
    stop_http.send_replace(true);
    if !served.is_finished()
        && let Err(failed) = served.await
    {
        warn!(%failed, "the port did not close in order");
    }
    if let Some(ended) = ended {
        return Err(RelayError::Host(ended.err().unwrap_or(HostError::Ended("no reason given"))));
    }
    if stop_host.send(()).is_err() {
        warn!("the node had stopped already");
    }
    match timeout(STOP, run).await {
        Ok(ended) => ended.map_err(RelayError::Host),
        Err(_) => Err(RelayError::Host(HostError::Ended("it did not commit in time"))),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, RelayError> {
    TcpListener::bind(address).await.map_err(|source| not_listening(address, source))
}

/// Whether the network will be able to listen there: better to be told at start than in the log.
fn is_free(native: Listen) -> Result<(), RelayError> {
    let bound = match native {
        Listen::Tcp(address) => std::net::TcpListener::bind(address).map(drop),
        Listen::Quic(address) => std::net::UdpSocket::bind(address).map(drop),
    };
    bound.map_err(|source| not_listening(native.socket(), source))
}

fn not_listening(address: SocketAddr, source: std::io::Error) -> RelayError {
    match source.kind() {
        ErrorKind::AddrInUse => RelayError::AddressInUse(address),
        _ => RelayError::Listen { address, source },
    }
}

/// The URL that works on this machine, for want of a public one.
fn local_url(address: SocketAddr, tls: bool) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("{}://{}/", if tls { "https" } else { "http" }, SocketAddr::new(ip, address.port()))
}
