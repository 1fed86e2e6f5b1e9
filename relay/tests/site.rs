//! The page and the words around it, over a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{WASM, With, ask, get, page, serve};
use ledgerno_relay::assets::{About, Page};
use proptest::prelude::*;

const ASSET: &str = "/assets/node-1a2b3c.wasm";

#[tokio::test]
async fn each_client_gets_the_smallest_form_that_it_takes() {
    let served = serve(With::default()).await;
    let cases: [(&str, &str, &[u8]); 8] = [
        ("", "", WASM),
        ("Accept-Encoding: gzip, deflate, br, zstd\r\n", "br", b"as brotli"),
        ("Accept-Encoding: gzip, deflate\r\n", "gzip", b"as gzip"),
        ("Accept-Encoding: br;q=0, gzip;q=0.5\r\n", "gzip", b"as gzip"),
        ("Accept-Encoding: BR;q=0.1\r\nAccept-Encoding: gzip\r\n", "br", b"as brotli"),
        ("Accept-Encoding: *\r\n", "br", b"as brotli"),
        ("Accept-Encoding: *, br;q=0\r\n", "gzip", b"as gzip"),
        ("Accept-Encoding: br;q=none, identity\r\n", "", WASM),
    ];
    for (header, encoding, body) in cases {
        let answer = get(served.address, ASSET, header).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (200, encoding), "{header}");
        assert_eq!(answer.body, body, "{header}");
        assert_eq!(answer.header("content-type"), "application/wasm");
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(answer.header("vary"), "Accept-Encoding");
    }
}

#[tokio::test]
async fn names_without_a_hash_are_asked_for_again() {
    let served = serve(With::default()).await;
    for path in ["/", "/index.html", "/icon.svg", "/?from=mail"] {
        let answer = get(served.address, path, "").await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-cache"), "{path}");
    }
}

#[tokio::test]
async fn every_answer_is_guarded() {
    let served = serve(With::default()).await;
    for path in ["/", ASSET, "/health", "/nothing"] {
        let answer = get(served.address, path, "").await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        let policy = answer.header("content-security-policy");
        for rule in ["script-src 'self' 'wasm-unsafe-eval'", "frame-ancestors 'none'", "connect-src 'self' ws: wss:"] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
    }
}

#[tokio::test]
async fn head_says_what_get_would_send() {
    let served = serve(With::default()).await;
    for path in ["/", ASSET, "/nothing"] {
        let (head, get) = (ask(served.address, "HEAD", path, "").await, get(served.address, path, "").await);
        assert_eq!((head.status, head.header("content-length")), (get.status, get.header("content-length")), "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_in_a_sentence() {
    let served = serve(With::default()).await;
    for path in ["/nothing", "/assets/", "/../etc/passwd", "/%2e%2e/etc/passwd", "//"] {
        let answer = get(served.address, path, "").await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.starts_with(b"There is nothing at this address"), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let answer = ask(served.address, method, "/", "Content-Length: 0\r\n").await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"), "{method}");
    }
}

#[tokio::test]
async fn a_relay_without_its_page_says_so_and_is_healthy() {
    let served = serve(With { page: Page::default(), ..With::default() }).await;
    let answer = get(served.address, "/", "").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.starts_with(b"This relay was built without its page"));
    let health = get(served.address, "/health", "").await;
    assert_eq!((health.status, health.body.as_slice()), (200, br#"{"status":"ok","version":1}"#.as_slice()));
}

#[tokio::test]
async fn the_page_is_told_whose_it_is() {
    let mut page = page();
    assert!(page.introduce(About { peer: &[0xab; 32], version: 7, url: "https://ledger.example/", ice: &[] }));
    let served = serve(With { page, ..With::default() }).await;
    let answer = get(served.address, "/", "Accept-Encoding: br, gzip\r\n").await;
    let peer = "ab".repeat(32);
    let meta = format!(
        r#"<meta name="ledgerno-relay" content='{{"page":"https://ledger.example/","peer":"{peer}","version":7}}'>"#
    );
    assert_eq!(String::from_utf8(answer.body).unwrap(), format!("<!doctype html><head>{meta}</head>"));
}

#[test]
fn a_page_without_a_place_for_it_is_noticed() {
    let index = ledgerno_relay::assets::File { plain: "<!doctype html>".into(), brotli: None, gzip: None };
    let mut page = Page::new([("/index.html".to_owned(), index)]);
    assert!(!page.introduce(About { peer: &[1; 32], version: 1, url: "", ice: &[] }));
}

proptest! {
    /// Whatever URL it is told, the tag stays one tag, and a reader that undoes the escapes gets the URL back.
    #[test]
    fn no_url_breaks_out_of_the_tag(url in "[ -~]{0,60}") {
        let mut page = page();
        page.introduce(About { peer: &[3; 32], version: 1, url: &url, ice: &[] });
        let found = page.find("/", &axum::http::HeaderMap::new()).unwrap();
        let html = String::from_utf8(found.bytes.to_vec()).unwrap();
        let start = html.find("content='").unwrap() + "content='".len();
        let content = &html[start..start + html[start..].find('\'').unwrap()];
        prop_assert!(!content.contains(['<', '>']));
        let json = content.replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'").replace("&amp;", "&");
        let told: serde_json::Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(told["page"].as_str().unwrap_or_default(), url.as_str());
    }
}
