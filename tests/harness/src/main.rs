//! For end-to-end tests only: a founder who lies on command, a relay that claims another version of the protocol, and a node
//! of the network alone.
//! Commands come line by line on stdin, what happened goes line by line to stdout.

mod founder;
mod native;
mod witness;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use futures::FutureExt;
use ledgerno_relay::{Config, Ready, serve};

/// Liars for the end-to-end tests.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Founds a circle, prints `invite: URL`, and then obeys: `post TEXT`, `posts COUNT`, `settle`, `lie KIND`.
    Founder(founder::Options),
    /// A native node of the network alone, to see it go through NATs.
    Native(native::Options),
    /// A relay that claims another version; prints `owner: URL` and `page: URL` as the real one does.
    Relay {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Where it keeps what it keeps.
        #[arg(long)]
        data: PathBuf,
        /// The version that it claims.
        #[arg(long = "speak")]
        version: u16,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match Cli::parse().role {
        Role::Founder(options) => founder::run(options).await,
        Role::Native(options) => native::run(options).await,
        Role::Relay { listen, data, version } => {
            let shutdown = tokio::signal::ctrl_c().map(|_| ()).boxed();
            let config = Config { version, shutdown, ..Config::new(listen, data) };
            let announce = |ready: Ready| {
                say(&format!("owner: {}", ready.owner));
                say(&format!("page: {}", ready.page));
            };
            serve(config, announce).await.context("the relay")
        }
    }
}

/// Tells the test something. A test that is gone ends this program too.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_s_token_may_begin_with_a_hyphen() {
        let line = ["ledgerno-harness", "founder", "--relay", "ws://127.0.0.1:1/", "--peer", "00", "--token", "-x_Q-"];
        assert!(Cli::try_parse_from(line).is_ok());
    }
}
