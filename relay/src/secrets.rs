//! The relay's two secrets, in files of the data folder: its device key and the owner's token. They are made once,
//! whole or not at all, and stay the same. A damaged one is never replaced silently: with a new key every invite that
//! names this relay would break, and the owner should decide that.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;

const KEY_FILE: &str = "relay.key";
const TOKEN_FILE: &str = "owner.token";
const LOCK_FILE: &str = "relay.lock";
/// More than either file has; what is longer is damaged and not read on.
const MAX_FILE: u64 = 256;

/// Why there are no secrets.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The data folder cannot be made or entered.
    #[error("cannot use the data folder {}: {source}. Choose another with --data DIR", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Another relay runs on this folder.
    #[error("another relay is running on the data folder {}. Stop it, or choose another with --data DIR", .0.display())]
    InUse(PathBuf),
    /// A secret exists and cannot be read.
    #[error("cannot read {}: {source}. Make it readable to this user, or put a backup in its place", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// A secret exists and is not one.
    #[error(
        "{} is damaged. Put a backup in its place; or, if there is none, move it away and start again: the relay then \
         makes a new one, and {lost}",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What a new one would cost.
        lost: Lost,
    },
    /// A new secret cannot be made durable.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    NoRandomness(getrandom::Error),
}

/// What is lost with a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The device key: invites name it.
    Key,
    /// The owner's token.
    Token,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "invites that name this relay must be made anew",
            Self::Token => "the owner's link changes",
        })
    }
}

/// The owner's token: who has it may register circles here.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnerToken([u8; 16]);

impl OwnerToken {
    /// Its 128 bits.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// As it stands in the owner's link: base64url, 22 characters.
    pub fn text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        BASE64URL_NOPAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

/// Both secrets, and the hold on the folder that they lie in.
pub struct Secrets {
    /// The device key's secret, 32 bytes.
    pub device: [u8; 32],
    /// The owner's token.
    pub owner: OwnerToken,
    /// The data folder is this process's as long as it lives.
    _lock: File,
}

impl Secrets {
    /// Takes the data folder, and reads or makes what lies in it.
    pub fn open(folder: &Path) -> Result<Self, SecretError> {
        let lock = take(folder)?;
        let device = match read(&folder.join(KEY_FILE))? {
            Some(bytes) => key(&bytes).ok_or(SecretError::Damaged { path: folder.join(KEY_FILE), lost: Lost::Key })?,
            None => {
                let fresh = random()?;
                write(folder, KEY_FILE, &fresh)?;
                fresh
            }
        };
        let owner = match read(&folder.join(TOKEN_FILE))? {
            Some(bytes) => OwnerToken::read(&bytes)
                .ok_or(SecretError::Damaged { path: folder.join(TOKEN_FILE), lost: Lost::Token })?,
            None => {
                let fresh = OwnerToken(random()?);
                write(folder, TOKEN_FILE, format!("{}\n", fresh.text()).as_bytes())?;
                fresh
            }
        };
        Ok(Self { device, owner, _lock: lock })
    }
}

/// 32 bytes; all zero is what a crash leaves of a file whose content never reached the disk.
fn key(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok().filter(|key| *key != [0; 32])
}

fn random<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(SecretError::NoRandomness)?;
    Ok(bytes)
}

fn take(folder: &Path) -> Result<File, SecretError> {
    let unusable = |source| SecretError::Folder { path: folder.to_owned(), source };
    make_folder(folder).map_err(unusable)?;
    let lock = private().truncate(false).create(true).open(folder.join(LOCK_FILE)).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(SecretError::InUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    keep_private(&file, path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(Some(bytes))
}

/// A file beside it is made durable first and then takes the name, so a crash leaves a whole secret or none.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), SecretError> {
    let path = folder.join(name);
    let fresh = folder.join(format!("{name}.new"));
    let written = || -> io::Result<()> {
        if let Err(error) = fs::remove_file(&fresh)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = private().create_new(true).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        sync_folder(folder)
    };
    written().map_err(|source| SecretError::Unwritable { path: path.clone(), source })
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A secret that others may read is made the owner's alone, and said so.
#[cfg(unix)]
fn keep_private(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if file.metadata()?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "others could read this secret; now only its owner can");
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn keep_private(_file: &File, _path: &Path) -> io::Result<()> {
    Ok(())
}
