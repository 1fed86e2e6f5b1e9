//! The command line.

use ledgerno_node::{DEFAULT_STUN, Listen, UrlError as DialUrlError, check_url};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use axum::http::Uri;
use clap::{Args, Parser, Subcommand};
use ledgerno_ledger::bytes::{CircleId, DeviceId};
use ledgerno_ledger::invite::RelayAddress;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::tls::TlsFiles;

/// A relay for ledgerno: hands out the page, introduces browsers to each other, and keeps sealed entries for friends
/// who are away.
#[derive(Debug, Parser)]
#[command(name = "ledgerno-relay", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do instead of being a relay.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = listen)]
    pub listen: SocketAddr,
    /// Where keys and entries are kept [default: $XDG_DATA_HOME/ledgerno or ~/.local/share/ledgerno]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The address by which others reach this relay; invites carry it
    #[arg(long, value_name = "URL")]
    pub public_url: Option<PublicUrl>,
    /// The certificate chain, as PEM; read at start
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Believe X-Forwarded-For of peers on this machine or its private network
    #[arg(long)]
    pub behind_proxy: bool,
    /// Keep entries for the circles' retention only, as a light node; without it the relay is an archive: it keeps all, and
    /// says so, and friends' browsers let go of what is old
    #[arg(long)]
    pub light: bool,
    /// Let nodes of other libp2p programs in, too, and carry circuits for them. Whoever finds an open relay may use it up
    #[arg(long)]
    pub open: bool,
    /// A server that helps friends' browsers to link directly: stun:HOST:PORT, or "turn:HOST:PORT NAME PASSWORD". May be said
    /// more than once. Without it stun:stun.cloudflare.com:3478 is told if there is a --public-url; with it only what is named,
    /// and with "none" nothing. The page tells name and password to whoever opens it
    #[arg(long, value_name = "SERVER", value_parser = ice)]
    pub ice: Vec<String>,
    /// Take native nodes' links by TCP there, too; they can then reach each other through NATs. May be said more than once
    #[arg(long, value_name = "ADDR", value_parser = listen)]
    pub listen_tcp: Vec<SocketAddr>,
    /// The same by QUIC, which is UDP
    #[arg(long, value_name = "ADDR", value_parser = listen)]
    pub listen_quic: Vec<SocketAddr>,
    /// Another relay to know: who announced at it is found here, too; to be linked, friends still need a relay or a friend that
    /// both are linked to. http://HOST:PORT/#ID, tcp://HOST:PORT#ID or
    /// quic://HOST:PORT#ID, with the ID that it logs when it is ready. May be said more than once; say it at both
    #[arg(long, value_name = "URL#ID")]
    pub peer: Vec<PeerUrl>,
    /// What to log on stderr: error, warn, info, debug or trace, or a list like `info,libp2p=debug`
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log)]
    pub log: Targets,
}

/// What the program does besides being a relay.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a proof file offline, and say in words what it proves, by whom and when
    #[command(after_help = crate::verify::EXIT_CODES)]
    Verify(Verify),
}

/// What to check.
#[derive(Debug, Args)]
pub struct Verify {
    /// The proof file (.ledgerno)
    pub file: PathBuf,
    /// The document that it is about; it is hashed and compared
    #[arg(long, value_name = "DOC")]
    pub document: Option<PathBuf>,
    /// The circle that it must be of, by its id
    #[arg(long, value_name = "ID", value_parser = circle)]
    pub circle: Option<CircleId>,
}

impl Cli {
    /// Certificate and key, if both are given.
    pub fn tls(&self) -> Option<TlsFiles> {
        Some(TlsFiles { cert: self.tls_cert.clone()?, key: self.tls_key.clone()? })
    }

    /// Where native nodes may link.
    pub fn native(&self) -> Vec<Listen> {
        let tcp = self.listen_tcp.iter().copied().map(Listen::Tcp);
        tcp.chain(self.listen_quic.iter().copied().map(Listen::Quic)).collect()
    }

    /// Whether nothing is said more often than is possible.
    pub fn check(&self) -> Result<(), String> {
        if self.native().len() > MAX_NATIVE {
            return Err(format!("--listen-tcp and --listen-quic can be said {MAX_NATIVE} times together"));
        }
        if self.peer.len() > MAX_PEERS {
            return Err(format!("--peer can be said {MAX_PEERS} times"));
        }
        Ok(())
    }

    /// The servers that browsers are told: what was asked for; else a public STUN server if the relay is public.
    pub fn ice(&self) -> Vec<String> {
        match &self.ice[..] {
            [] if self.public_url.is_some() => vec![DEFAULT_STUN.to_owned()],
            asked => asked.iter().filter(|server| *server != NO_ICE).cloned().collect(),
        }
    }

    /// The data folder: what was asked for, or the user's own. `None`: there is no home to put it in.
    pub fn data_folder(&self, variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let by_user = || {
            let data = set("XDG_DATA_HOME").filter(|path| path.is_absolute());
            data.or_else(|| set("LOCALAPPDATA")).or_else(|| Some(set("HOME")?.join(".local/share")))
        };
        self.data.clone().or_else(|| by_user().map(|folder| folder.join("ledgerno")))
    }
}

/// The address by which others reach the relay, as `scheme://host[:port]/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// With its closing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why it is no public URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is no URL of the web.
    #[error("write it as http://HOST:PORT/ or https://HOST/")]
    NotHttp,
    /// The relay answers at `/` only.
    #[error("it must be the root of its host, without path, query or `#`")]
    NotRoot,
    /// It is longer than an invite carries.
    #[error("it is longer than {MAX_URL} characters")]
    TooLong,
}

/// Sockets for native nodes, and other relays, at most.
const MAX_NATIVE: usize = 8;
const MAX_PEERS: usize = 16;

/// Another relay: where it is dialled, and its peer, as `URL#ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerUrl(pub RelayAddress);

/// Why it names no relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerUrlError {
    /// The id is missing, or no key.
    #[error(
        "after the URL there must be `#` and the other relay's id, 64 hexadecimal digits, which it logs when it is ready"
    )]
    NoId,
    /// It can not be dialled.
    #[error("{0}")]
    Url(#[from] DialUrlError),
    /// With TLS.
    #[error(
        "a relay does not dial wss:// or https:// yet: use what the other one says with --listen-tcp or --listen-quic"
    )]
    Tls,
}

impl std::str::FromStr for PeerUrl {
    type Err = PeerUrlError;

    fn from_str(text: &str) -> Result<Self, PeerUrlError> {
        let (url, id) = text.split_once('#').ok_or(PeerUrlError::NoId)?;
        let id = data_encoding::HEXLOWER_PERMISSIVE.decode(id.as_bytes()).ok();
        let peer = id.and_then(|id| id.try_into().ok()).map(DeviceId).ok_or(PeerUrlError::NoId)?;
        if url.starts_with("wss://") || url.starts_with("https://") {
            return Err(PeerUrlError::Tls);
        }
        // As the other one shows its page.
        let url = url.strip_prefix("http://").map_or_else(|| url.to_owned(), |rest| format!("ws://{rest}"));
        check_url(&url)?;
        Ok(Self(RelayAddress { url, peer }))
    }
}

/// What an invite carries of a relay's URL at most, bytes.
const MAX_URL: usize = 200;

impl std::str::FromStr for PublicUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.contains('#') {
            return Err(UrlError::NotRoot);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::NotHttp)?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(UrlError::NotHttp);
        };
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(UrlError::NotHttp);
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err(UrlError::NotRoot);
        }
        let url = format!("{scheme}://{authority}/");
        if url.len() > MAX_URL { Err(UrlError::TooLong) } else { Ok(Self(url)) }
    }
}

fn circle(text: &str) -> Result<CircleId, String> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    let id = bytes.and_then(|bytes| bytes.try_into().ok()).map(CircleId);
    id.ok_or_else(|| "a circle's id has 64 hexadecimal digits".to_owned())
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().map_err(|error| format!("write it as ADDR:PORT ({error})"))?;
    found.into_iter().next().ok_or_else(|| "this name has no address".to_owned())
}

/// The word for no STUN or TURN server.
const NO_ICE: &str = "none";

/// `URL`, or `URL NAME PASSWORD`, as browsers take them.
fn ice(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split(' ').collect();
    let is = |schemes: [&str; 2]| schemes.into_iter().any(|scheme| parts[0].starts_with(scheme));
    // Of a TURN server without a login a browser refuses the whole list.
    let server = is(["stun:", "stuns:"]) && parts.len() == 1 || is(["turn:", "turns:"]) && parts.len() == 3;
    if text == NO_ICE || text.len() <= 512 && server && parts.iter().all(|part| !part.is_empty()) {
        return Ok(text.to_owned());
    }
    Err("use stun:HOST:PORT, \"turn:HOST:PORT NAME PASSWORD\", or none".to_owned())
}

/// One level for ourselves; the libraries below stay quiet unless they are named. A word that is no level is refused:
/// `Targets` would take it as the name of a library, and log nothing else.
fn log(text: &str) -> Result<Targets, String> {
    let level = |word: &str| word.parse::<LevelFilter>().ok().filter(|_| !word.is_empty());
    if let Some(level) = level(text) {
        return Ok(Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("ledgerno", level));
    }
    let item = |item: &str| match item.split_once('=') {
        Some((target, word)) => !target.is_empty() && level(word).is_some(),
        None => level(item).is_some(),
    };
    let targets = text.split(',').all(item).then(|| text.parse().ok()).flatten();
    targets.ok_or_else(|| "use error, warn, info, debug or trace, or a list like `info,libp2p=debug`".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::path::Path;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["ledgerno-relay"], arguments].concat())
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let cli = parse(&[]).unwrap();
        assert_eq!(cli.listen, "127.0.0.1:8080".parse().unwrap());
        assert!(cli.tls().is_none() && !cli.behind_proxy);
    }

    #[test]
    fn certificate_and_key_come_together() {
        assert!(parse(&["--tls-cert", "a"]).is_err() && parse(&["--tls-key", "b"]).is_err());
        assert!(parse(&["--tls-cert", "a", "--tls-key", "b"]).unwrap().tls().is_some());
    }

    #[test]
    fn a_public_url_is_the_root_of_a_host() {
        let read = |text: &str| text.parse::<PublicUrl>().map(|url| url.0);
        assert_eq!(read("https://ledger.example").unwrap(), "https://ledger.example/");
        assert_eq!(read("http://192.0.2.1:8080/").unwrap(), "http://192.0.2.1:8080/");
        assert_eq!(read("http://[2001:db8::1]:8080").unwrap(), "http://[2001:db8::1]:8080/");
        for text in
            ["", "ledger.example", "ws://ledger.example/", "ftp://a/", "http://me@a/", "http:///", "http://a b/"]
        {
            assert_eq!(read(text), Err(UrlError::NotHttp), "{text}");
        }
        for text in ["http://a/b", "http://a/?b", "http://a/#b"] {
            assert_eq!(read(text), Err(UrlError::NotRoot), "{text}");
        }
        assert_eq!(read(&format!("http://{}/", "a".repeat(200))), Err(UrlError::TooLong));
    }

    #[test]
    fn a_turn_server_has_a_login_and_a_stun_server_none() {
        let read = |server: &str| parse(&["--ice", server]).map(|cli| cli.ice());
        for server in ["stun:a:1", "stuns:a", "turn:a:1 me secret", "turns:a:1?transport=tcp me secret"] {
            assert_eq!(read(server).unwrap(), [server]);
        }
        for server in
            ["turn:a:1", "turn:a:1 me", "turn:a:1 me ", "turn:a:1 me my secret", "stun:a:1 me secret", "a:1", ""]
        {
            assert!(read(server).is_err(), "{server}");
        }
        assert_eq!(parse(&["--public-url", "http://a/"]).unwrap().ice(), [DEFAULT_STUN]);
        assert!(parse(&["--public-url", "http://a/", "--ice", "none"]).unwrap().ice().is_empty());
    }

    #[test]
    fn another_relay_is_named_with_its_id() {
        let id = "0a".repeat(32);
        let read = |url: &str| format!("{url}#{id}").parse::<PeerUrl>().map(|peer| peer.0.url);
        assert_eq!(read("http://192.0.2.1:8080/").unwrap(), "ws://192.0.2.1:8080/");
        assert_eq!(read("tcp://relay.example:4001").unwrap(), "tcp://relay.example:4001");
        assert_eq!(read("quic://[2001:db8::1]:4001").unwrap(), "quic://[2001:db8::1]:4001");
        assert_eq!(read("https://relay.example/"), Err(PeerUrlError::Tls));
        assert!(matches!(read("tcp://relay.example"), Err(PeerUrlError::Url(_))));
        assert_eq!("tcp://a:1#0a".parse::<PeerUrl>(), Err(PeerUrlError::NoId));
        assert_eq!("tcp://a:1".parse::<PeerUrl>(), Err(PeerUrlError::NoId));
        let named = format!("tcp://a:1#{id}");
        let many = |times| parse(&[&["--peer", named.as_str()][..]; 20][..times].concat()).unwrap().check();
        assert!(many(16).is_ok() && many(17).is_err());
        let cli = parse(&["--listen-tcp", "127.0.0.1:1", "--listen-quic", "127.0.0.1:2"]).unwrap();
        assert_eq!(cli.native().len(), 2);
        assert!(parse(&[&["--listen-tcp", "127.0.0.1:1"][..]; 9].concat()).unwrap().check().is_err());
    }

    #[test]
    fn the_data_folder_is_the_users_own() {
        let folder = |arguments: &[&str], set: &[(&str, &str)]| {
            let variable = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            parse(arguments).unwrap().data_folder(variable)
        };
        let home = ("HOME", "/home/me");
        assert_eq!(folder(&[], &[home]).unwrap(), Path::new("/home/me/.local/share/ledgerno"));
        assert_eq!(folder(&[], &[home, ("XDG_DATA_HOME", "/data")]).unwrap(), Path::new("/data/ledgerno"));
        assert_eq!(folder(&[], &[home, ("XDG_DATA_HOME", "")]).unwrap(), Path::new("/home/me/.local/share/ledgerno"));
        assert_eq!(folder(&["--data", "here"], &[home]).unwrap(), Path::new("here"));
        assert_eq!(folder(&[], &[]), None);
    }

    #[test]
    fn a_proof_is_verified_instead_of_being_a_relay() {
        let id = "0a".repeat(32);
        let cli = parse(&["verify", "a.ledgerno", "--document", "b.pdf", "--circle", &id]).unwrap();
        let Some(Command::Verify(verify)) = cli.command else { panic!("{cli:?}") };
        assert_eq!(
            (verify.file.as_path(), verify.document.as_deref()),
            (Path::new("a.ledgerno"), Some(Path::new("b.pdf")))
        );
        assert_eq!(verify.circle, Some(CircleId([10; 32])));
        for wrong in [&["verify"][..], &["verify", "a", "--circle", "0a"], &["--listen", "0:1", "verify", "a"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(parse(&[]).unwrap().command.is_none());
    }

    #[test]
    fn log_levels_are_checked() {
        assert!(parse(&["--log", "debug"]).is_ok() && parse(&["--log", "info,libp2p=debug"]).is_ok());
        for wrong in ["", "loud", "loud=very", "info,loud", "=info", "info,", "libp2p=", "libp2p"] {
            assert!(parse(&["--log", wrong]).is_err(), "{wrong}");
        }
    }
}
