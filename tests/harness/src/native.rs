//! A native node of the network alone, and the hub at which two of them meet. Both admit everybody and answer every request.

use anyhow::{Context, Result, anyhow};
use clap::Args;
use futures::StreamExt;
use ledgerno_minnet::{self as minnet, Event, Listen, Path, Peer};
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use crate::say;

/// Prints `peer: ID`, `listening: URL`, and of others `linked: ID PATH`, `gone: ID`, `tried: ID WHY`. Obeys `ask ID`, and then
/// prints `answered: ID` or `unanswered: ID`.
#[derive(Args)]
pub struct Options {
    /// What its key is made of.
    #[arg(long)]
    name: u8,
    /// Whether it is a hub.
    #[arg(long)]
    hub: bool,
    /// Where it takes links by TCP.
    #[arg(long)]
    tcp: Vec<SocketAddr>,
    /// Where it takes links by QUIC.
    #[arg(long)]
    quic: Vec<SocketAddr>,
    /// A hub to dial, as URL#ID.
    #[arg(long)]
    dial: Option<String>,
    /// The name of a friend to seek.
    #[arg(long)]
    seek: Option<u8>,
}

fn config(name: u8) -> minnet::Config {
    minnet::Config::new([name; 32], "ledgerno-harness")
}

fn peer_of(text: &str) -> Result<Peer> {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes())?;
    Ok(Peer(bytes.try_into().map_err(|_| anyhow!("{text} is no id"))?))
}

pub async fn run(options: Options) -> Result<()> {
    let tcp = options.tcp.iter().copied().map(Listen::Tcp);
    let listen = tcp.chain(options.quic.iter().copied().map(Listen::Quic)).collect();
    let (net, mut events, network) =
        minnet::start(minnet::Config { hub: options.hub, listen, ..config(options.name) })?;
    tokio::spawn(network);
    say(&format!("peer: {}", net.peer()));
    if let Some(named) = &options.dial {
        let (url, id) = named.split_once('#').context("a hub is named as URL#ID")?;
        net.dial(url, peer_of(id)?)?;
    }
    let friend = options.seek.map(|name| minnet::start(config(name))).transpose()?.map(|(friend, ..)| friend.peer());
    let mut lines = BufReader::new(stdin()).lines();
    let mut again = tokio::time::interval(std::time::Duration::from_secs(20));
    loop {
        tokio::select! {
            _ = again.tick() => {
                if let Some(friend) = friend {
                    net.seek(friend)?;
                }
            }
            line = lines.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                let peer = peer_of(line.strip_prefix("ask ").context("only `ask ID` is obeyed")?)?;
                let net = net.clone();
                tokio::spawn(async move {
                    let answered = net.request(peer, minnet::FIRST_KIND, "well?".into()).await.is_ok();
                    say(&format!("{}: {peer}", if answered { "answered" } else { "unanswered" }));
                });
            }
            event = events.next() => match event.context("the network ended")? {
                Event::Listening { url } => say(&format!("listening: {url}")),
                Event::NotListening { at, why } => return Err(anyhow!("{at:?}: {why}")),
                Event::DialFailed { reason, .. } => return Err(reason.into()),
                Event::Connected { peer, path } | Event::Moved { peer, path } => {
                    net.admit(peer)?;
                    let path = match path {
                        Path::Direct => "direct",
                        Path::Circuit { .. } => "relayed",
                        Path::Relay { .. } | Path::Accepted { .. } => "dialled",
                    };
                    say(&format!("linked: {peer} {path}"));
                }
                Event::Disconnected { peer } => say(&format!("gone: {peer}")),
                Event::Tried { peer, why, .. } => say(&format!("tried: {peer} {}", why.code())),
                Event::Request { bytes, reply, .. } => reply.send(bytes),
                _ => {}
            },
        }
    }
}
