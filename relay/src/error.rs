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
        "{0} is in use by another program (perhaps another relay). Stop it, or choose another with --listen ADDR:PORT (or --listen-tcp, --listen-quic)"
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
                "{address} は他のプログラム(別の中継サーバーかもしれません)が使っています。それを止めるか、--listen で別のアドレスを選んでください"
            ),
            Self::Listen { address, source } => {
                format!("{address} で待ち受けできません。--listen で別のアドレスを選んでください。詳細: {source}")
            }
            Self::Tls(error) => format!("TLS を使えません。--tls-cert と --tls-key を確かめてください。詳細: {error}"),
            Self::Host(error) => host_in_japanese(error),
            Self::Secret(error) => secret_in_japanese(error),
        }
    }
}

/// What the store and the libraries below say is for who looks into it, and stays as it is, at the end.
fn host_in_japanese(error: &HostError) -> String {
    match error {
        HostError::Damaged(detail) => format!(
            "保存されているデータが壊れているため、起動できません。ファイルには手を加えていません。バックアップに置き換えてください。無ければ、そのファイルを別の場所へ移して起動し直すと、空の中継サーバーになります(友だちの手元の記録は残りますが、預かっていたサークルは作り直しになります)。詳細: {detail}"
        ),
        HostError::InUse(detail) => format!(
            "このデータフォルダでは別の中継サーバーが動いています。それを止めるか、--data で別の場所を選んでください。詳細: {detail}"
        ),
        HostError::Node(detail) => format!("ノードを起動できません。詳細: {detail}"),
        HostError::Ended(detail) => format!("ノードが予期せず止まりました。詳細: {detail}"),
    }
}

fn secret_in_japanese(error: &SecretError) -> String {
    match error {
        SecretError::Folder { path, source } => {
            format!("データフォルダ {} を使えません。--data で別の場所を選んでください。詳細: {source}", path.display())
        }
        SecretError::InUse(path) => format!(
            "データフォルダ {} では別の中継サーバーが動いています。それを止めるか、--data で別の場所を選んでください",
            path.display()
        ),
        SecretError::Unreadable { path, source } => format!(
            "{} を読めません。このユーザーが読めるようにするか、バックアップに置き換えてください。詳細: {source}",
            path.display()
        ),
        SecretError::Damaged { path, lost } => {
            let lost = match lost {
                Lost::Key => "この中継サーバーを指す招待は作り直しになります",
                Lost::Token => "オーナー用リンクが変わります",
            };
            format!(
                "{} が壊れています。バックアップに置き換えてください。無ければ、そのファイルを別の場所へ移して起動し直すと新しく作られますが、{lost}",
                path.display()
            )
        }
        SecretError::Unwritable { path, source } => format!("{} に書き込めません。詳細: {source}", path.display()),
        SecretError::NoRandomness(error) => format!("システムから乱数を得られません。詳細: {error}"),
    }
}
