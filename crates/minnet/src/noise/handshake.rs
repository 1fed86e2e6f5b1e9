//! The three messages of XX: `-> e`, `<- e, ee, s, es`, `-> s, se`.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::PeerId;
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};

use super::{
    Link, NoiseError, payload, random,
    symmetric::{SymmetricState, TAG},
};

/// Bytes of a message of the handshake at most. Identities take some 250; others may say more.
const MAX_MESSAGE: usize = 4_096;
const KEY: usize = 32;

/// This node's part: its static key, and the payload that signs it.
pub(super) struct Local {
    pub(super) secret: StaticSecret,
    pub(super) public: PublicKey,
    pub(super) payload: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Initiator,
    Responder,
}

/// Shakes hands. Who is at the other end, and the link to it.
pub(super) async fn run<T>(local: &Local, mut io: T, role: Role) -> io::Result<(PeerId, Link<T>)>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut state = SymmetricState::new();
    let fresh = random()?;
    let fresh_public = PublicKey::from(&fresh);
    let peer;
    if role == Role::Initiator {
        let mut first = Vec::new();
        show(&mut state, &fresh_public, &mut first);
        state.encrypt_and_hash(&[], &mut first)?;
        send(&mut io, &first).await?;

        let second = receive(&mut io).await?;
        let (their_fresh, rest) = shown(&mut state, &second)?;
        state.mix_key(&secret(&fresh, &their_fresh)?)?;
        let (their_static, rest) = opened(&mut state, rest)?;
        state.mix_key(&secret(&fresh, &their_static)?)?;
        peer = payload::verify(&state.decrypt_and_hash(rest)?, their_static.as_bytes())?;

        let mut third = Vec::new();
        state.encrypt_and_hash(local.public.as_bytes(), &mut third)?;
        state.mix_key(&secret(&local.secret, &their_fresh)?)?;
        state.encrypt_and_hash(&local.payload, &mut third)?;
        send(&mut io, &third).await?;
    } else {
        let first = receive(&mut io).await?;
        let (their_fresh, rest) = shown(&mut state, &first)?;
        state.decrypt_and_hash(rest)?;

        let mut second = Vec::new();
        show(&mut state, &fresh_public, &mut second);
        state.mix_key(&secret(&fresh, &their_fresh)?)?;
        state.encrypt_and_hash(local.public.as_bytes(), &mut second)?;
        state.mix_key(&secret(&local.secret, &their_fresh)?)?;
        state.encrypt_and_hash(&local.payload, &mut second)?;
        send(&mut io, &second).await?;

        let third = receive(&mut io).await?;
        let (their_static, rest) = opened(&mut state, &third)?;
        state.mix_key(&secret(&fresh, &their_static)?)?;
        peer = payload::verify(&state.decrypt_and_hash(rest)?, their_static.as_bytes())?;
    }
    let [initiator, responder] = state.split()?;
    let (out, inward) = if role == Role::Initiator { (initiator, responder) } else { (responder, initiator) };
    Ok((peer, Link::new(io, out, inward)))
}

/// `e`, as it is sent.
fn show(state: &mut SymmetricState, key: &PublicKey, message: &mut Vec<u8>) {
    message.extend_from_slice(key.as_bytes());
    state.mix_hash(key.as_bytes());
}

/// `e`, as it is received.
fn shown<'a>(state: &mut SymmetricState, message: &'a [u8]) -> Result<(PublicKey, &'a [u8]), NoiseError> {
    let (key, rest) = message.split_first_chunk::<KEY>().ok_or(NoiseError::Malformed)?;
    state.mix_hash(key);
    Ok((PublicKey::from(*key), rest))
}

/// `s`, as it is received.
fn opened<'a>(state: &mut SymmetricState, message: &'a [u8]) -> Result<(PublicKey, &'a [u8]), NoiseError> {
    let (sealed, rest) = message.split_at_checked(KEY + TAG).ok_or(NoiseError::Malformed)?;
    let key = <[u8; KEY]>::try_from(state.decrypt_and_hash(sealed)?).map_err(|_| NoiseError::Malformed)?;
    Ok((PublicKey::from(key), rest))
}

fn secret(ours: &StaticSecret, theirs: &PublicKey) -> Result<SharedSecret, NoiseError> {
    let secret = ours.diffie_hellman(theirs);
    if secret.was_contributory() { Ok(secret) } else { Err(NoiseError::SmallOrder) }
}

async fn send<T: AsyncWrite + Unpin>(io: &mut T, message: &[u8]) -> io::Result<()> {
    let len = u16::try_from(message.len()).map_err(|_| NoiseError::Malformed)?;
    io.write_all(&[&len.to_be_bytes(), message].concat()).await?;
    io.flush().await
}

async fn receive<T: AsyncRead + Unpin>(io: &mut T) -> io::Result<Vec<u8>> {
    let mut len = [0; 2];
    io.read_exact(&mut len).await?;
    let len = usize::from(u16::from_be_bytes(len));
    if len > MAX_MESSAGE {
        return Err(NoiseError::Malformed.into());
    }
    let mut message = vec![0; len];
    io.read_exact(&mut message).await?;
    Ok(message)
}
