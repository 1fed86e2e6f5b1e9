//! libp2p's ping: `/ipfs/ping/1.0.0`, 32 bytes there and the same ones back, as often as is wished on one stream.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::{AsyncReadExt, AsyncWriteExt, future::FutureExt};
use futures_timer::Delay;
use libp2p::{Stream, StreamProtocol};
use web_time::Instant;

use crate::{
    rt::within,
    streams::{OpenError, Opening, opened},
};

pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/ping/1.0.0");
const SIZE: usize = 32;

/// Why a link is not tried any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The peer does not know of pings.
    Unsupported,
    /// No answer, after so many that were.
    Silent(u32),
}

/// The last time there and back, in milliseconds rounded up; 0: not measured yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rtt(Arc<AtomicU32>);

impl Rtt {
    fn set(&self, took: Duration) {
        let millis = u32::try_from(took.as_millis()).unwrap_or(u32::MAX).saturating_add(1);
        self.0.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn millis(&self) -> Option<u32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|millis| *millis > 0)
    }
}

/// Tries a link until it does not answer.
pub(crate) async fn keep(opening: Opening, every: Duration, patience: Duration, rtt: Rtt) -> Stopped {
    let mut stream = match opened(opening).await {
        Ok(stream) => stream,
        Err(OpenError::Unsupported) => return Stopped::Unsupported,
        Err(_) => return Stopped::Silent(0),
    };
    let mut answered = 0;
    loop {
        let sent = Instant::now();
        if !matches!(within(patience, once(&mut stream).boxed()).await, Some(Ok(()))) {
            return Stopped::Silent(answered);
        }
        rtt.set(sent.elapsed());
        answered += 1;
        Delay::new(every).await;
    }
}

async fn once(stream: &mut Stream) -> io::Result<()> {
    let mut said = [0; SIZE];
    getrandom::fill(&mut said).map_err(io::Error::other)?;
    stream.write_all(&said).await?;
    stream.flush().await?;
    let mut heard = [0; SIZE];
    stream.read_exact(&mut heard).await?;
    if heard == said { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Answers pings for as long as they come.
pub(crate) async fn echo(mut stream: Stream) {
    let mut bytes = [0; SIZE];
    while stream.read_exact(&mut bytes).await.is_ok() {
        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}
