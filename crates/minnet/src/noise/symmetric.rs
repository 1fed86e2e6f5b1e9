//! What both sides compute alike: Noise's cipher state and symmetric state, in its specification's words.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag, aead::AeadInOut};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use x25519_dalek::SharedSecret;
use zeroize::Zeroizing;

use super::NoiseError;

/// Of 32 bytes, so that the first hash is the name itself.
const NAME: &[u8; 32] = b"Noise_XX_25519_ChaChaPoly_SHA256";
/// Bytes that sealing adds.
pub(super) const TAG: usize = 16;

/// A key and how often it has been used.
pub(super) struct CipherState {
    cipher: ChaCha20Poly1305,
    uses: u64,
}

impl CipherState {
    fn new(key: &[u8; 32]) -> Self {
        CipherState { cipher: ChaCha20Poly1305::new(key.into()), uses: 0 }
    }

    /// Four zeros and the number of uses; the last number is not for messages.
    fn nonce(&mut self) -> Result<Nonce, NoiseError> {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.uses.to_le_bytes());
        self.uses = self.uses.checked_add(1).ok_or(NoiseError::UsedUp)?;
        Ok(nonce.into())
    }

    /// Seals `text[from..]` where it lies and puts the tag behind it.
    pub(super) fn seal(&mut self, with: &[u8], text: &mut Vec<u8>, from: usize) -> Result<(), NoiseError> {
        let nonce = self.nonce()?;
        let tag = self.cipher.encrypt_inout_detached(&nonce, with, (&mut text[from..]).into());
        text.extend_from_slice(&tag.map_err(|_| NoiseError::UsedUp)?);
        Ok(())
    }

    /// Opens what lies in `sealed`; answers how many of its bytes are the text.
    pub(super) fn open(&mut self, with: &[u8], sealed: &mut [u8]) -> Result<usize, NoiseError> {
        let len = sealed.len().checked_sub(TAG).ok_or(NoiseError::Changed)?;
        let nonce = self.nonce()?;
        let (text, tag) = sealed.split_at_mut(len);
        let tag = Tag::try_from(&*tag).map_err(|_| NoiseError::Changed)?;
        self.cipher.decrypt_inout_detached(&nonce, with, text.into(), &tag).map_err(|_| NoiseError::Changed)?;
        Ok(len)
    }
}

/// Chaining key, hash of all that was said, and the cipher once there is a key.
pub(super) struct SymmetricState {
    chain: Zeroizing<[u8; 32]>,
    hash: [u8; 32],
    cipher: Option<CipherState>,
}

impl SymmetricState {
    /// With libp2p's empty prologue.
    pub(super) fn new() -> Self {
        let mut state = SymmetricState { chain: Zeroizing::new(*NAME), hash: *NAME, cipher: None };
        state.mix_hash(&[]);
        state
    }

    pub(super) fn mix_hash(&mut self, said: &[u8]) {
        self.hash = Sha256::new().chain_update(self.hash).chain_update(said).finalize().into();
    }

    pub(super) fn mix_key(&mut self, secret: &SharedSecret) -> Result<(), NoiseError> {
        let [chain, key] = hkdf(&self.chain, secret.as_bytes())?;
        self.chain = chain;
        self.cipher = Some(CipherState::new(&key));
        Ok(())
    }

    /// Puts `text` behind `message`: sealed if there is a key, and mixed into the hash.
    pub(super) fn encrypt_and_hash(&mut self, text: &[u8], message: &mut Vec<u8>) -> Result<(), NoiseError> {
        let from = message.len();
        message.extend_from_slice(text);
        if let Some(cipher) = &mut self.cipher {
            cipher.seal(&self.hash, message, from)?;
        }
        self.mix_hash(&message[from..]);
        Ok(())
    }

    /// The text of what `encrypt_and_hash` made.
    pub(super) fn decrypt_and_hash(&mut self, sealed: &[u8]) -> Result<Vec<u8>, NoiseError> {
        let mut text = sealed.to_vec();
        if let Some(cipher) = &mut self.cipher {
            let len = cipher.open(&self.hash, &mut text)?;
            text.truncate(len);
        }
        self.mix_hash(sealed);
        Ok(text)
    }

    /// The initiator's key for what it sends, then the responder's.
    pub(super) fn split(self) -> Result<[CipherState; 2], NoiseError> {
        Ok(hkdf(&self.chain, &[])?.map(|key| CipherState::new(&key)))
    }
}

/// Noise's HKDF with two outputs is RFC 5869's, the chaining key for its salt and no info.
fn hkdf(chain: &[u8; 32], secret: &[u8]) -> Result<[Zeroizing<[u8; 32]>; 2], NoiseError> {
    let mut both = Zeroizing::new([0; 64]);
    // Fails above 255 hashes only.
    Hkdf::<Sha256>::new(Some(chain), secret).expand(&[], &mut *both).map_err(|_| NoiseError::UsedUp)?;
    let mut keys = [Zeroizing::new([0; 32]), Zeroizing::new([0; 32])];
    for (key, half) in keys.iter_mut().zip(both.chunks_exact(32)) {
        key.copy_from_slice(half);
    }
    Ok(keys)
}
