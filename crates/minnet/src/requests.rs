//! Requests and their answers: each has a stream of its own, and a task that says and hears on it.
//!
//! The asking side writes its frame and ends its half; the other reads it, and answers with a frame. Whoever is too slow
//! for [`Config::timeout`](crate::Config::timeout) is given up.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{AsyncWriteExt, future::FutureExt};
use libp2p::{Stream, StreamProtocol};
use tokio::sync::oneshot;

use crate::{
    CodecError, RequestError,
    codec::{Frame, ReadError, Status},
    rt::within,
    streams::{OpenError, Opening, opened},
};

/// The same in every version, so that versions can be told.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/ledgerno/request/1");

/// How much is taken, and for how long it is waited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) max_request: usize,
    pub(crate) max_response: usize,
    pub(crate) timeout: Duration,
}

/// An answer: there already, or to come from whoever holds the [`Responder`](crate::Responder).
#[derive(Debug)]
pub(crate) enum Answer {
    Now(Frame),
    Later(oneshot::Receiver<Bytes>),
}

impl Answer {
    pub(crate) fn status(status: Status) -> Self {
        Answer::Now(Frame { code: status as u16, payload: Bytes::new() })
    }
}

/// How many of something there are: as many as there are clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<()>);

impl Count {
    /// One more, for as long as it is held; `None`: there are `max` already.
    pub(crate) fn take(&self, max: usize) -> Option<Count> {
        (Arc::strong_count(&self.0) <= max).then(|| self.clone())
    }

    /// Whether there is none.
    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// Asks, and hears the answer.
pub(crate) async fn ask(opening: Opening, request: Frame, bounds: Bounds) -> Result<Bytes, RequestError> {
    let asked = async {
        let mut stream = opened(opening).await?;
        stream.write_all(&request.encode(bounds.max_request)?).await.map_err(broken)?;
        stream.close().await.map_err(broken)?;
        let answer = Frame::read(&mut stream, bounds.max_response).await;
        read_answer(answer.map_err(|error| match error {
            ReadError::Codec(error) => error.into(),
            ReadError::Io(error) => broken(error),
        })?)
    };
    within(bounds.timeout, asked.boxed()).await.unwrap_or(Err(RequestError::Timeout))
}

fn broken(error: io::Error) -> RequestError {
    RequestError::Broken(error.to_string())
}

impl From<OpenError> for RequestError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Gone => RequestError::Disconnected,
            OpenError::Unsupported => RequestError::Unsupported,
            OpenError::Timeout => RequestError::Timeout,
            OpenError::TooMany => RequestError::Overloaded,
        }
    }
}

fn read_answer(frame: Frame) -> Result<Bytes, RequestError> {
    match Status::try_from(frame.code)? {
        Status::Done => Ok(frame.payload),
        Status::Busy => Err(RequestError::Busy),
        Status::Refused => Err(RequestError::Refused),
        Status::TooLong => Err(RequestError::OverPeersBounds),
        Status::Malformed => Err(RequestError::Malformed),
    }
}

/// Reads what a peer asks. What is no frame is given on too, so that the peer is told why; `None`: it said nothing.
pub(crate) async fn hear(stream: &mut Stream, bounds: Bounds) -> Option<Result<Frame, CodecError>> {
    match within(bounds.timeout, Frame::read(stream, bounds.max_request).boxed()).await? {
        Ok(frame) => Some(Ok(frame)),
        Err(ReadError::Codec(error)) => Some(Err(error)),
        Err(ReadError::Io(error)) => {
            tracing::debug!(%error, "a request broke");
            None
        }
    }
}

/// Answers, once there is an answer.
pub(crate) async fn answer(mut stream: Stream, answer: Answer, bounds: Bounds) {
    let answered = async {
        let mut frame = match answer {
            Answer::Now(frame) => frame,
            Answer::Later(payload) => match payload.await {
                Ok(payload) => Frame { code: Status::Done as u16, payload },
                Err(_) => Frame { code: Status::Refused as u16, payload: Bytes::new() },
            },
        };
        if frame.payload.len() > bounds.max_response {
            tracing::warn!(len = frame.payload.len(), max = bounds.max_response, "answer over the limit");
            frame = Frame { code: Status::TooLong as u16, payload: Bytes::new() };
        }
        stream.write_all(&frame.encode(bounds.max_response).map_err(ReadError::from)?).await?;
        stream.close().await
    };
    match within(bounds.timeout, answered.boxed()).await {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%error, "gone before its answer"),
        None => tracing::debug!("a request was not answered in time"),
    }
}
