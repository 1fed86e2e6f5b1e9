//! The one port: the page by GET, libp2p by a WebSocket upgrade at `/`, and `/health`. Every connection has a permit, a
//! deadline for its header and a bounded life, so nobody holds the port by being slow.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error, warn};

use crate::assets::Page;
use crate::limits::{Full, Gate, Permit, is_near};
use crate::ws::{self, WsStream};

/// Takes each upgraded WebSocket, with the address of whoever opened it.
pub type Accept = Arc<dyn Fn(WsStream, SocketAddr) + Send + Sync>;

/// Fits wasm and libp2p: the page may reach any relay or friend, and runs only its own scripts.
const CONTENT_POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' ws: wss: http: https:; \
     worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const NO_PAGE: &str = "This relay was built without its page. Run `npm start`, or `cargo xtask build` and then build \
     the relay again.\n";
const NOT_FOUND: &str = "There is nothing at this address. The ledger is at /\n";
const NOT_ALLOWED: &str = "Only GET and HEAD are answered here.\n";
const RELAY_FULL: &str = "This relay has as many connections as it can hold. Try again in a minute.\n";
const ADDRESS_FULL: &str = "Your address has as many connections to this relay as it may have. Close some tabs.\n";
/// Said before a request is read, so it is a whole answer in itself.
const TURNED_AWAY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
     Retry-After: 60\r\nConnection: close\r\nContent-Length: 46\r\n\r\nThis relay is full now. Try again in a minute.";

/// What is served.
pub struct Site {
    /// The page, introduced already.
    pub page: Page,
    /// Who takes the WebSockets.
    pub accept: Accept,
    /// Who is let in.
    pub gate: Gate,
    /// Whether near peers (loopback, private) are proxies whose `X-Forwarded-For` is believed.
    pub behind_proxy: bool,
    /// The protocol version, for `/health`.
    pub version: u16,
}

/// Serves `listener` until `stop` becomes true; then the port is closed at once, and open HTTP connections end within
/// the grace. WebSockets are the acceptor's to close.
pub async fn run(listener: TcpListener, tls: Option<TlsAcceptor>, site: Arc<Site>, mut stop: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    let mut failures = Failures::default();
    while !*stop.borrow() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                report(ended);
                continue;
            }
            _ = stop.changed() => break,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                let pause = failures.pause(&error);
                tokio::select! { () = sleep(pause) => {}, _ = stop.changed() => break }
                continue;
            }
        };
        failures = Failures::default();
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        match site.gate.connection(site.counted(from.ip())) {
            Ok(permit) => {
                tasks.spawn(connection(stream, from, Arc::new(permit), tls.clone(), site.clone(), stop.clone()));
            }
            Err(full) => turn_away(&stream, from, full, tls.is_some()),
        }
    }
    drop(listener);
    let ended = async {
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    };
    if timeout(site.gate.limits().grace * 2, ended).await.is_err() {
        tasks.shutdown().await;
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(failed) = ended {
        error!(%failed, "a connection's task failed");
    }
}

/// Errors of `accept` in a row. Out of file descriptors, it fails at once again and again: waiting lets others end.
#[derive(Default)]
struct Failures {
    in_a_row: u32,
}

impl Failures {
    fn pause(&mut self, error: &std::io::Error) -> Duration {
        use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
            return Duration::ZERO;
        }
        if self.in_a_row == 0 {
            warn!(%error, "cannot take new connections; trying on");
        }
        let pause = Duration::from_millis(50) * 2_u32.pow(self.in_a_row.min(5));
        self.in_a_row = self.in_a_row.saturating_add(1);
        pause
    }
}

fn turn_away(stream: &TcpStream, from: SocketAddr, full: Full, tls: bool) {
    debug!(%from, ?full, "turned away");
    if !tls && let Err(error) = stream.try_write(TURNED_AWAY) {
        debug!(%from, %error, "left before it was told");
    }
}

/// One TCP connection, from its handshake until it ends or becomes a WebSocket.
async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    permit: Arc<Permit>,
    tls: Option<TlsAcceptor>,
    site: Arc<Site>,
    stop: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%from, %error, "a connection without nodelay");
    }
    let Some(tls) = tls else { return http(stream, from, permit, site, stop).await };
    match timeout(site.gate.limits().header, tls.accept(stream)).await {
        Ok(Ok(stream)) => http(stream, from, permit, site, stop).await,
        Ok(Err(error)) => debug!(%from, %error, "the TLS handshake failed"),
        Err(_) => debug!(%from, "the TLS handshake took too long"),
    }
}

async fn http<S>(stream: S, from: SocketAddr, permit: Arc<Permit>, site: Arc<Site>, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let limits = *site.gate.limits();
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let (site, permit) = (site.clone(), permit.clone());
        async move { Ok::<_, Infallible>(site.answer(request.map(Body::new), from, permit).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(32 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended),
        () = sleep(limits.lifetime) => None,
        () = stopped(&mut stop) => {
            served.as_mut().graceful_shutdown();
            timeout(limits.grace, served).await.ok()
        }
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) => debug!(%from, %error, "an HTTP connection broke"),
        None => debug!(%from, "an HTTP connection lived too long"),
    }
}

/// Until the relay stops; a sender that is gone has stopped too.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        debug!("nobody is left who could say stop");
    }
}

impl Site {
    /// Whose share a connection from this address takes.
    fn counted(&self, from: IpAddr) -> Option<IpAddr> {
        let free = from.is_loopback() || (self.behind_proxy && is_near(from));
        (!free).then_some(from)
    }

    async fn answer(&self, request: Request<Body>, from: SocketAddr, permit: Arc<Permit>) -> Response<Body> {
        let head = request.method() == Method::HEAD;
        let mut response = if request.uri().path() == "/" && wants_websocket(request.headers()) {
            self.upgrade(request, from, permit).await
        } else {
            self.resource(&request)
        };
        secure(response.headers_mut());
        if head {
            *response.body_mut() = Body::empty();
        }
        response
    }

    fn resource(&self, request: &Request<Body>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = sentence(StatusCode::METHOD_NOT_ALLOWED, NOT_ALLOWED);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/health" => {
                let body = serde_json::json!({ "status": "ok", "version": self.version }).to_string();
                whole(StatusCode::OK, "application/json", "no-store", body.into())
            }
            "/" if !self.page.is_built() => sentence(StatusCode::SERVICE_UNAVAILABLE, NO_PAGE),
            path => match self.page.find(path, request.headers()) {
                None => sentence(StatusCode::NOT_FOUND, NOT_FOUND),
                Some(found) => {
                    let mut response = whole(StatusCode::OK, found.kind, found.cache, found.bytes);
                    let headers = response.headers_mut();
                    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
                    if let Some(encoding) = found.encoding {
                        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
                    }
                    response
                }
            },
        }
    }

    async fn upgrade(&self, request: Request<Body>, from: SocketAddr, permit: Arc<Permit>) -> Response<Body> {
        let mut permits = vec![permit];
        let client = self.client(request.headers(), from);
        if client.ip() != from.ip() {
            match self.gate.behind_proxy(client.ip()) {
                Ok(share) => permits.push(Arc::new(share)),
                Err(Full::Address) => return sentence(StatusCode::TOO_MANY_REQUESTS, ADDRESS_FULL),
                Err(Full::Relay) => return sentence(StatusCode::SERVICE_UNAVAILABLE, RELAY_FULL),
            }
        }
        let (mut parts, _) = request.into_parts();
        let accept = self.accept.clone();
        match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => ws::bounded(upgrade)
                .on_failed_upgrade(move |error| debug!(%from, %error, "an upgrade failed"))
                .on_upgrade(move |socket| async move { accept(WsStream::new(socket, permits), client) }),
            Err(refused) => refused.into_response(),
        }
    }

    /// Who speaks: the peer, or whom our own proxy says it speaks for. Only the last address is the proxy's word; what
    /// stands before it anyone could have sent.
    fn client(&self, headers: &HeaderMap, from: SocketAddr) -> SocketAddr {
        if !self.behind_proxy || !is_near(from.ip()) {
            return from;
        }
        let last = headers.get_all("x-forwarded-for").iter().next_back();
        let named = last.and_then(|value| value.to_str().ok()).and_then(|value| value.rsplit(',').next());
        named.and_then(|text| address(text.trim())).map_or(from, |ip| SocketAddr::new(ip.to_canonical(), from.port()))
    }
}

/// An address as proxies write it: with or without port and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()))
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn sentence(status: StatusCode, text: &'static str) -> Response<Body> {
    whole(status, "text/plain; charset=utf-8", "no-store", bytes::Bytes::from_static(text.as_bytes()))
}

fn whole(status: StatusCode, kind: &'static str, cache: &'static str, bytes: bytes::Bytes) -> Response<Body> {
    let length = HeaderValue::from(bytes.len());
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_LENGTH, length);
    response
}

fn secure(headers: &mut HeaderMap) {
    let always: [(HeaderName, &'static str); 3] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
