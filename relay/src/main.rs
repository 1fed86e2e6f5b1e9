//! `ledgerno-relay`: reads the command line, waits for signals, and runs [`ledgerno_relay::serve`]; or verifies a proof.

use std::io::{IsTerminal, stderr, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{CommandFactory, Parser, error::ErrorKind};
use futures::FutureExt;
use ledgerno_relay::announce::{Reader, announce};
use ledgerno_relay::cli::{Cli, Command};
use ledgerno_relay::{Config, Language, serve, verify};
use tokio::sync::oneshot;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Command::Verify(options)) = &cli.command {
        return verify::run(options, Language::here(), &mut stdout().lock(), &mut stderr().lock());
    }
    let log = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
    tracing_subscriber::registry().with(log).with(cli.log.clone()).init();

    let Some(data) = cli.data_folder(|name| std::env::var(name).ok()) else {
        Cli::command().error(ErrorKind::MissingRequiredArgument, "there is no home folder: say --data DIR").exit();
    };
    if let Err(error) = cli.check() {
        Cli::command().error(ErrorKind::TooManyValues, error).exit();
    }
    let language = Language::here();
    let config = Config {
        public_url: cli.public_url.clone(),
        tls: cli.tls(),
        behind_proxy: cli.behind_proxy,
        archive: !cli.light,
        open: cli.open,
        ice: cli.ice(),
        native: cli.native(),
        peers: cli.peer.iter().map(|peer| peer.0.clone()).collect(),
        ..Config::new(cli.listen, data)
    };
    match run(config, language) {
        Ok(()) => ExitCode::SUCCESS,
        Err((sentence, code)) => {
            eprintln!("ledgerno-relay: {sentence}");
            ExitCode::from(code)
        }
    }
}

fn run(config: Config, language: Language) -> Result<(), (String, u8)> {
    // One thread serves a circle of friends, and costs least memory.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| (error.to_string(), 1))?;
    let shutdown = signals().map_err(|error| (error.to_string(), 1))?;
    let config = Config { shutdown: shutdown.map(|_| ()).boxed(), ..config };
    let served = runtime.block_on(serve(config, |ready| {
        let reader = Reader { terminal: stdout().is_terminal(), language };
        if let Err(error) = announce(&mut stdout().lock(), &ready, reader) {
            tracing::warn!(%error, page = ready.page, "nobody reads what the relay says on stdout");
        }
    }));
    served.map_err(|error| (error.sentence(language), error.exit_code()))
}

/// Under `npm start` one Ctrl-C arrives twice: from the terminal, and passed on by npm.
const ECHO: Duration = Duration::from_millis(300);

/// Completes at the first Ctrl-C or SIGTERM; the second ends the process. Signals have a thread of their own, so that
/// the second one works even while the node's thread waits for a disk.
fn signals() -> std::io::Result<oneshot::Receiver<()>> {
    let (first, shutdown) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    std::thread::Builder::new().name("signals".to_owned()).stack_size(128 * 1024).spawn(move || {
        runtime.block_on(async {
            signals.next().await;
            if first.send(()).is_err() {
                tracing::debug!("the relay is ending already");
            }
            let heard = Instant::now();
            loop {
                signals.next().await;
                if heard.elapsed() > ECHO {
                    std::process::exit(130)
                }
            }
        })
    })?;
    Ok(shutdown)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! { _ = self.interrupt.recv() => {}, _ = self.terminate.recv() => {} }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "Ctrl-C is not heard");
            std::future::pending::<()>().await;
        }
    }
}
