//! Why the relay does not run, in sentences that a person can act on: in English, and in Japanese where that is the
//! user's language.

use std::io;
use std::net::SocketAddr;

use crate::host::HostError;
use crate::secrets::{Lost, SecretError};
use crate::tls::TlsError;

/// The language of sentences for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The default.
    English,
    /// Where the locale begins with `ja`.
    Japanese,
}

impl Language {
    /// By the locale, as POSIX ranks its variables; an empty one counts as unset.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
        match locale.is_some_and(|locale| locale.starts_with("ja")) {
            true => Self::Japanese,
            false => Self::English,
        }
    }

    /// By this process's environment.
    pub fn here() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }
}

/// Why the relay does not run.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Somebody listens there already.
    #[error(
        "{0} is in use by another program (perhaps another relay). Stop it, or choose another with --listen ADDR:PORT"
    )]
    AddressInUse(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}. Choose another with --listen ADDR:PORT")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What went wrong.
        source: io::Error,
    },
    /// The data folder, or a secret in it.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Certificate or key.
    #[error("TLS: {0}. Look at --tls-cert and --tls-key")]
    Tls(#[from] TlsError),
    /// The node.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl RelayError {
    /// The process's exit code: 2 if the address is in use, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::AddressInUse(_) => 2,
            _ => 1,
        }
    }

    /// The sentence to show.
    pub fn sentence(&self, language: Language) -> String {
        match language {
            Language::English => self.to_string(),
            Language::Japanese => self.japanese(),
        }
    }

    fn japanese(&self) -> String {
        match self {
            Self::AddressInUse(address) => format!(
                "{address} は他のプログラム(別のリレーかもしれません)が使っています。それを止めるか、--listen で別のアドレスを選んでください"
            ),
            Self::Listen { address, source } => {
                format!("{address} で待ち受けできません: {source}。--listen で別のアドレスを選んでください")
            }
            Self::Tls(error) => format!("TLS を使えません: {error}。--tls-cert と --tls-key を確かめてください"),
            Self::Host(error) => format!("ノードが動きません: {error}"),
            Self::Secret(error) => secret_in_japanese(error),
        }
    }
}

fn secret_in_japanese(error: &SecretError) -> String {
    match error {
        SecretError::Folder { path, source } => {
            format!("データフォルダ {} を使えません: {source}。--data で別の場所を選んでください", path.display())
        }
        SecretError::InUse(path) => format!(
            "データフォルダ {} では別のリレーが動いています。それを止めるか、--data で別の場所を選んでください",
            path.display()
        ),
        SecretError::Unreadable { path, source } => format!(
            "{} を読めません: {source}。このユーザーが読めるようにするか、バックアップを置いてください",
            path.display()
        ),
        SecretError::Damaged { path, lost } => {
            let lost = match lost {
                Lost::Key => "このリレーを指す招待は作り直しになります",
                Lost::Token => "持ち主のリンクが変わります",
            };
            format!(
                "{} が壊れています。バックアップを置いてください。無ければ、そのファイルを別の場所へ移して起動し直すと新しく作られますが、{lost}",
                path.display()
            )
        }
        SecretError::Unwritable { path, source } => format!("{} に書き込めません: {source}", path.display()),
        SecretError::NoRandomness(error) => format!("システムから乱数を得られません: {error}"),
    }
}
