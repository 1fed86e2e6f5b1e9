//! What two nodes say to each other in these tests, over one stream each: as `lib/protocols.mjs` has it.

use std::{
    io,
    sync::atomic::{AtomicU32, Ordering},
};

use futures::{AsyncReadExt, AsyncWriteExt, future::try_join};
use ledgerno_minnet::Peer;
use libp2p::{Stream, StreamProtocol};
use web_time::Instant;

pub const ECHO: StreamProtocol = StreamProtocol::new("/interop/echo/1");
pub const HALF_CLOSE: StreamProtocol = StreamProtocol::new("/interop/half-close/1");
pub const RESET: StreamProtocol = StreamProtocol::new("/interop/reset/1");
pub const PERF: StreamProtocol = StreamProtocol::new("/interop/perf/1");
/// The network itself answers it.
pub const PING: StreamProtocol = StreamProtocol::new("/ipfs/ping/1.0.0");

/// What others may open.
pub const ANSWERED: &[StreamProtocol] = &[ECHO, HALF_CLOSE, RESET, PERF];

/// Who breaks the stream: what `reset` begins with.
const ANSWERER: u8 = 0;
const CHUNK: usize = 64 * 1024;
/// No test sends more in one stream.
const MOST: u64 = 64 * 1024 * 1024;

static BROKEN: AtomicU32 = AtomicU32::new(0);

pub fn broken() -> u32 {
    BROKEN.load(Ordering::Relaxed)
}

/// Answers.
pub fn take(_: Peer, protocol: StreamProtocol, stream: Stream) {
    ledgerno_tasks::spawn(async move {
        let answered = if protocol == ECHO {
            answer_echo(stream).await
        } else if protocol == HALF_CLOSE {
            answer_half_close(stream).await
        } else if protocol == RESET {
            answer_reset(stream).await
        } else {
            answer_perf(stream).await
        };
        if answered.is_err() {
            BROKEN.fetch_add(1, Ordering::Relaxed);
        }
    });
}

async fn answer_echo(mut stream: Stream) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let len = stream.read(&mut chunk).await?;
        if len == 0 {
            return stream.close().await;
        }
        stream.write_all(&chunk[..len]).await?;
        stream.flush().await?;
    }
}

async fn answer_half_close(mut stream: Stream) -> io::Result<()> {
    let count = count(&mut stream).await?;
    stream.write_all(&count.to_be_bytes()).await?;
    stream.close().await
}

async fn answer_reset(mut stream: Stream) -> io::Result<()> {
    let mut who = [0];
    stream.read_exact(&mut who).await?;
    if who == [ANSWERER] {
        return Ok(());
    }
    stream.write_all(&[0]).await?;
    stream.flush().await?;
    until_broken(&mut stream).await
}

async fn answer_perf(mut stream: Stream) -> io::Result<()> {
    let mut wanted = [0; 8];
    stream.read_exact(&mut wanted).await?;
    let wanted = u64::from_be_bytes(wanted);
    if wanted > MOST {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    count(&mut stream).await?;
    send_zeros(&mut stream, wanted).await?;
    stream.close().await
}

/// Reads until the end, or the stream breaks. Yamux tells an end where its stream is broken, and takes nothing more.
async fn until_broken(stream: &mut Stream) -> io::Result<()> {
    count(stream).await?;
    stream.write_all(&[0]).await?;
    stream.flush().await
}

async fn count(stream: &mut (impl futures::AsyncRead + Unpin)) -> io::Result<u64> {
    let (mut chunk, mut count) = (vec![0; CHUNK], 0);
    loop {
        let len = stream.read(&mut chunk).await?;
        if len == 0 {
            return Ok(count);
        }
        count += len as u64;
    }
}

async fn send_zeros(stream: &mut (impl futures::AsyncWrite + Unpin), count: u64) -> io::Result<()> {
    let zeros = [0; CHUNK];
    let mut left = count;
    while left > 0 {
        let len = left.min(CHUNK as u64);
        stream.write_all(&zeros[..len as usize]).await?;
        left -= len;
    }
    stream.flush().await
}

fn some(count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

fn since(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1_000.0
}

pub async fn ask_ping(mut stream: Stream) -> io::Result<f64> {
    let (said, mut heard, begin) = (some(32)?, [0; 32], Instant::now());
    stream.write_all(&said).await?;
    stream.flush().await?;
    stream.read_exact(&mut heard).await?;
    stream.close().await?;
    if said == heard { Ok(since(begin)) } else { Err(io::Error::other("other bytes came back")) }
}

pub async fn ask_echo(stream: Stream, size: usize) -> io::Result<f64> {
    let (bytes, begin) = (some(size)?, Instant::now());
    let (reader, mut writer) = stream.split();
    let there = async {
        writer.write_all(&bytes).await?;
        writer.close().await
    };
    let mut heard = Vec::with_capacity(size);
    let mut reader = reader.take(MOST);
    try_join(there, reader.read_to_end(&mut heard)).await?;
    let time = since(begin);
    if heard == bytes {
        Ok(time)
    } else {
        Err(io::Error::other(format!("{} bytes came back for {size}, or other ones", heard.len())))
    }
}

pub async fn ask_half_close(mut stream: Stream, size: usize) -> io::Result<f64> {
    stream.write_all(&some(size)?).await?;
    stream.close().await?;
    let mut said = [0; 8];
    stream.read_exact(&mut said).await?;
    match count(&mut stream).await? {
        0 => Ok(u64::from_be_bytes(said) as f64),
        _ => Err(io::Error::other("more than 8 bytes were said")),
    }
}

pub async fn ask_reset(mut stream: Stream, who: u8) -> io::Result<&'static str> {
    stream.write_all(&[who]).await?;
    stream.flush().await?;
    if who == ANSWERER {
        return Ok(if until_broken(&mut stream).await.is_err() { "reset" } else { "open" });
    }
    stream.read_exact(&mut [0]).await?;
    Ok("aborted")
}

pub async fn ask_perf(stream: Stream, up: usize, down: usize) -> io::Result<f64> {
    let (mut reader, mut writer) = stream.split();
    let begin = Instant::now();
    let there = async {
        writer.write_all(&(down as u64).to_be_bytes()).await?;
        send_zeros(&mut writer, up as u64).await?;
        writer.close().await
    };
    let ((), came) = try_join(there, count(&mut reader)).await?;
    let time = since(begin);
    if came == down as u64 { Ok(time) } else { Err(io::Error::other(format!("{came} bytes came of {down}"))) }
}
