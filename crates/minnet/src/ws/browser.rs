//! The browser's WebSocket as bytes.
//!
//! The socket belongs to a task of its own, for JavaScript's objects must not leave their thread while libp2p's futures
//! must be `Send`. Between the two run a short queue of what is to be sent, and an inbox. The task hands each piece to
//! the browser at once, but for as long as the browser itself has too much unsent (`bufferedAmount`). A browser cannot
//! be asked to receive more slowly, so an inbox over its bound ends the link; the windows of the streams keep an honest
//! peer well below.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use futures::{
    AsyncRead, AsyncWrite, FutureExt, StreamExt,
    channel::{mpsc, oneshot},
    future::{Either, select},
};
use futures_timer::Delay;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

use crate::limits::{CLOSE_DEADLINE, LINK_WINDOW, WS_WRITE};

/// Pieces of at most [`WS_WRITE`] bytes that wait for the task.
const OUTBOX: usize = 8;
/// Bytes that the browser may have unsent before the task waits.
const MAX_BUFFERED: u32 = 512 * 1024;
/// How often the task looks whether the browser has sent enough (there is no event for it).
const DRAIN: Duration = Duration::from_millis(5);
/// Bytes received and unread; over it the link ends.
const MAX_INBOX: usize = LINK_WINDOW + 1024 * 1024;

/// Connects.
pub(crate) async fn connect(url: &str) -> io::Result<Socket> {
    let (opened, open) = oneshot::channel();
    let (outbox, to_send) = mpsc::channel(OUTBOX);
    let inbox = Arc::new(Mutex::new(Inbox::default()));
    let (held, gone) = oneshot::channel();
    ledgerno_tasks::spawn(run(url.to_owned(), opened, to_send, gone, Arc::clone(&inbox)));
    open.await.map_err(|_| io::Error::from(io::ErrorKind::ConnectionAborted))??;
    Ok(Socket { outbox, inbox, unread: Bytes::new(), _held: held })
}

/// The half that libp2p holds. Dropping it closes the WebSocket.
pub(crate) struct Socket {
    outbox: mpsc::Sender<Vec<u8>>,
    inbox: Arc<Mutex<Inbox>>,
    unread: Bytes,
    /// Dropped with it, which the task notices.
    _held: oneshot::Sender<()>,
}

/// What came and is not read yet.
#[derive(Default)]
struct Inbox {
    parts: VecDeque<Bytes>,
    len: usize,
    /// Set once the link is over: nothing comes after `parts`.
    end: Option<End>,
    reader: Option<Waker>,
}

#[derive(Clone, Copy)]
enum End {
    Closed,
    Broken(u16),
    Overfull,
    Text,
}

impl Inbox {
    fn push(&mut self, part: Bytes) {
        if self.len + part.len() > MAX_INBOX {
            return self.end(End::Overfull);
        }
        if self.end.is_none() && !part.is_empty() {
            self.len += part.len();
            self.parts.push_back(part);
            self.wake();
        }
    }

    /// The first end counts.
    fn end(&mut self, end: End) {
        self.end.get_or_insert(end);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

fn lock(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.unread.is_empty() {
            let mut inbox = lock(&self.inbox);
            let Some(part) = inbox.parts.pop_front() else {
                return match inbox.end {
                    None => {
                        inbox.reader = Some(cx.waker().clone());
                        Poll::Pending
                    }
                    Some(End::Closed) => Poll::Ready(Ok(0)),
                    Some(End::Broken(code)) => Poll::Ready(Err(io::Error::other(format!("closed with code {code}")))),
                    Some(End::Overfull) => Poll::Ready(Err(io::Error::other("the peer sends beyond its windows"))),
                    Some(End::Text) => Poll::Ready(Err(io::Error::other("a text message"))),
                };
            };
            inbox.len -= part.len();
            drop(inbox);
            self.unread = part;
        }
        let len = self.unread.len().min(buf.len());
        self.unread.copy_to_slice(&mut buf[..len]);
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.outbox.poll_ready(cx)).map_err(gone)?;
        let part = &buf[..buf.len().min(WS_WRITE)];
        self.outbox.start_send(part.to_vec()).map_err(gone)?;
        Poll::Ready(Ok(part.len()))
    }

    /// The task sends as soon as it runs; there is nothing to push.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outbox.close_channel();
        Poll::Ready(Ok(()))
    }
}

/// Owns the WebSocket from its opening to its end.
async fn run(
    url: String,
    mut opened: oneshot::Sender<io::Result<()>>,
    mut to_send: mpsc::Receiver<Vec<u8>>,
    gone: oneshot::Receiver<()>,
    inbox: Arc<Mutex<Inbox>>,
) {
    let socket = match WebSocket::new(&url) {
        Ok(socket) => socket,
        Err(error) => return report(opened, Err(io::Error::other(describe(&error)))),
    };
    socket.set_binary_type(BinaryType::Arraybuffer);
    let (events, mut open, mut closed) = Events::attach(socket, Arc::clone(&inbox));

    // Until it is open; unless it fails, or the dial is given up.
    let given_up = poll_fn(|cx| opened.poll_canceled(cx));
    match select(&mut open, select(&mut closed, given_up)).await {
        Either::Left((Ok(()), _)) => {}
        Either::Left((Err(_), _)) | Either::Right((Either::Left(_), _)) => {
            return report(opened, Err(io::ErrorKind::ConnectionRefused.into()));
        }
        Either::Right((Either::Right(_), _)) => return,
    }
    report(opened, Ok(()));

    // Until either side ends it, and not long after this one has. Dropping `events` detaches the handlers, then closes the
    // socket.
    let late = gone.then(|_| Delay::new(CLOSE_DEADLINE));
    let mut over = select(closed, late);
    'open: while let Either::Left((Some(part), _)) = select(to_send.next(), &mut over).await {
        while events.socket.buffered_amount() > MAX_BUFFERED {
            if let Either::Right(_) = select(Delay::new(DRAIN), &mut over).await {
                break 'open;
            }
        }
        if events.socket.send_with_u8_array(&part).is_err() {
            break;
        }
    }
    lock(&inbox).end(End::Closed);
}

/// The dial may have been given up meanwhile, then nobody waits for the report.
fn report(opened: oneshot::Sender<io::Result<()>>, result: io::Result<()>) {
    if opened.send(result).is_err() {
        tracing::trace!("a dial was given up");
    }
}

fn describe(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => "the browser refused the WebSocket".to_owned(),
    }
}

/// The socket and its handlers.
struct Events {
    socket: WebSocket,
    _on_open: Closure<dyn FnMut()>,
    _on_close: Closure<dyn FnMut(CloseEvent)>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
}

impl Events {
    /// Hangs the handlers on the socket: what comes goes to the inbox; the receivers tell of its opening and its end.
    fn attach(socket: WebSocket, inbox: Arc<Mutex<Inbox>>) -> (Self, oneshot::Receiver<()>, oneshot::Receiver<()>) {
        let (opened, open) = oneshot::channel();
        let (ended, closed) = oneshot::channel();
        let ended = Rc::new(RefCell::new(Some(ended)));

        let mut opened = Some(opened);
        let on_open = Closure::<dyn FnMut()>::new(move || signal(opened.take()));

        let (inbox_, ended_) = (Arc::clone(&inbox), Rc::clone(&ended));
        let on_close = Closure::<dyn FnMut(CloseEvent)>::new(move |event: CloseEvent| {
            let end = if event.was_clean() { End::Closed } else { End::Broken(event.code()) };
            lock(&inbox_).end(end);
            signal(ended_.borrow_mut().take());
        });

        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let mut inbox = lock(&inbox);
            match event.data().dyn_into::<js_sys::ArrayBuffer>() {
                Ok(buffer) if inbox.len.saturating_add(buffer.byte_length() as usize) > MAX_INBOX => {
                    inbox.end(End::Overfull);
                }
                Ok(buffer) => inbox.push(js_sys::Uint8Array::new(&buffer).to_vec().into()),
                Err(_) => inbox.end(End::Text),
            }
            if inbox.end.is_some() {
                signal(ended.borrow_mut().take());
            }
            drop(inbox);
            ledgerno_tasks::now();
        });

        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        (Events { socket, _on_open: on_open, _on_close: on_close, _on_message: on_message }, open, closed)
    }
}

/// The task may be gone already; then its socket is closed as well.
fn signal(sender: Option<oneshot::Sender<()>>) {
    if let Some(Err(())) = sender.map(|sender| sender.send(())) {
        tracing::trace!("an event of a socket that nobody holds");
    }
}

impl Drop for Events {
    /// Detached first, so that no handler is called after its closure is gone.
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onclose(None);
        self.socket.set_onmessage(None);
        if self.socket.close().is_err() {
            tracing::debug!("the browser refused to close a socket");
        }
    }
}
