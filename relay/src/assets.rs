//! The page, as files in memory. Names under `/assets/` carry a hash of their content, so they are cached for good; all
//! others are asked for again each time. `index.html` is the one file that is changed: the relay writes into it who it
//! is, so that the page knows which relay handed it out.

use std::collections::HashMap;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use bytes::Bytes;

/// What the relay replaces in `index.html`.
pub const PLACEHOLDER: &str = "<!-- ledgerno-relay -->";

/// One row of the table that build.rs writes.
struct Embedded {
    path: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

static EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// One file of the page, with the compressed forms that were made at build time.
#[derive(Clone, Debug)]
pub struct File {
    /// As it is.
    pub plain: Bytes,
    /// Its brotli form.
    pub brotli: Option<Bytes>,
    /// Its gzip form.
    pub gzip: Option<Bytes>,
}

/// All files of the page, by their path from `/` on.
#[derive(Clone, Debug, Default)]
pub struct Page {
    files: HashMap<String, File>,
}

/// What the page is told about the relay that serves it.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The relay's device key, which is its libp2p peer.
    pub peer: &'a [u8; 32],
    /// The protocol version that it speaks.
    pub version: u16,
    /// Its public URL; empty when nobody told it.
    pub url: &'a str,
    /// STUN and TURN servers for its pages: `URL` or `URL NAME PASSWORD` each.
    pub ice: &'a [String],
}

/// A file to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The bytes to send.
    pub bytes: Bytes,
    /// Their `Content-Encoding`, if any.
    pub encoding: Option<&'static str>,
    /// Their `Content-Type`.
    pub kind: &'static str,
    /// Their `Cache-Control`.
    pub cache: &'static str,
}

impl Page {
    /// The page that was built into this program; empty when it was built without one.
    pub fn embedded() -> Self {
        let file = |row: &Embedded| File {
            plain: Bytes::from_static(row.plain),
            brotli: row.brotli.map(Bytes::from_static),
            gzip: row.gzip.map(Bytes::from_static),
        };
        Self { files: EMBEDDED.iter().map(|row| (row.path.to_owned(), file(row))).collect() }
    }

    /// A page of these files, each with its path from `/` on.
    pub fn new(files: impl IntoIterator<Item = (String, File)>) -> Self {
        Self { files: files.into_iter().collect() }
    }

    /// Whether there is something to show.
    pub fn is_built(&self) -> bool {
        self.files.contains_key("/index.html")
    }

    /// Writes into `index.html` whose page it is. The compressed forms no longer fit then, and the file is so small
    /// that it goes out as it is. `false`: it has no place for it.
    pub fn introduce(&mut self, about: About<'_>) -> bool {
        let Some(index) = self.files.get_mut("/index.html") else { return true };
        let text = String::from_utf8_lossy(&index.plain);
        let told = text.replacen(PLACEHOLDER, &meta(about), 1);
        let placed = told != text;
        *index = File { plain: Bytes::from(told), brotli: None, gzip: None };
        placed
    }

    /// The file at `path`, in the smallest form that `headers` accept.
    pub fn find(&self, path: &str, headers: &HeaderMap) -> Option<Found> {
        let path = if path == "/" { "/index.html" } else { path };
        let file = self.files.get(path)?;
        let accepts = Accepts::read(headers);
        let (bytes, encoding) = match (&file.brotli, &file.gzip) {
            (Some(brotli), _) if accepts.brotli => (brotli, Some("br")),
            (_, Some(gzip)) if accepts.gzip => (gzip, Some("gzip")),
            _ => (&file.plain, None),
        };
        let cache = match path.starts_with("/assets/") {
            true => "public, max-age=31536000, immutable",
            false => "no-cache",
        };
        Some(Found { bytes: bytes.clone(), encoding, kind: content_type(path), cache })
    }
}

/// The tag that names the relay. The JSON stands in single quotes, so these and what HTML reads as its own are escaped.
fn meta(about: About<'_>) -> String {
    let peer = data_encoding::HEXLOWER.encode(about.peer);
    let mut json = serde_json::json!({ "peer": peer, "version": about.version });
    if !about.url.is_empty() {
        json["page"] = about.url.into();
    }
    if !about.ice.is_empty() {
        json["ice"] = about.ice.into();
    }
    let json = json.to_string();
    let json = json.replace('&', "&amp;").replace('\'', "&#39;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<meta name=\"ledgerno-relay\" content='{json}'>")
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Which compressed forms a client takes. A weight only says yes or no: brotli is smaller than gzip for everybody.
#[derive(Clone, Copy, Debug, Default)]
struct Accepts {
    brotli: bool,
    gzip: bool,
}

impl Accepts {
    fn read(headers: &HeaderMap) -> Self {
        let (mut brotli, mut gzip, mut any) = (None, None, false);
        for value in headers.get_all(ACCEPT_ENCODING) {
            for item in value.to_str().unwrap_or("").split(',') {
                let (name, weight) = item.split_once(';').unwrap_or((item, ""));
                let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
                let wanted = weight.is_ok_and(|weight| weight > 0.0);
                match name.trim().to_ascii_lowercase().as_str() {
                    "br" => brotli = Some(wanted),
                    "gzip" | "x-gzip" => gzip = Some(wanted),
                    "*" => any = wanted,
                    _ => {}
                }
            }
        }
        Self { brotli: brotli.unwrap_or(any), gzip: gzip.unwrap_or(any) }
    }
}
