//! What the relay says on stdout when it is ready. Programs read the lines that begin with `owner: ` and `page: `;
//! people scan the codes.

use std::io::{self, Write};

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use crate::Ready;
use crate::error::Language;

/// Who reads it.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// A terminal, which shows colours. Without them the code is light on dark.
    pub terminal: bool,
    /// The language of the hints.
    pub language: Language,
}

/// Writes both links with their codes, and how to invite others if this machine alone reaches them.
pub fn announce(out: &mut impl Write, ready: &Ready, reader: Reader) -> io::Result<()> {
    for (name, url) in [("owner", &ready.owner), ("page", &ready.page)] {
        writeln!(out, "{name}: {url}")?;
        if let Some(code) = code(url, reader.terminal) {
            writeln!(out, "{code}")?;
        }
    }
    if ready.only_here {
        writeln!(out, "{}", how_to_invite(reader.language))?;
    }
    out.flush()
}

/// A QR code in half blocks, with its quiet zone. `None`: the URL is too long for one.
fn code(url: &str, terminal: bool) -> Option<String> {
    let code = QrCode::with_error_correction_level(url, EcLevel::L).ok()?;
    // A block is drawn in the foreground's colour. Black on white is set where it can be; elsewhere most are light on
    // dark, so the light modules are the blocks.
    let (dark, light) = match terminal {
        true => (Dense1x2::Dark, Dense1x2::Light),
        false => (Dense1x2::Light, Dense1x2::Dark),
    };
    let drawn = code.render::<Dense1x2>().dark_color(dark).light_color(light).quiet_zone(true).build();
    let line = |line: &str| match terminal {
        true => format!("\x1b[30;107m{line}\x1b[0m"),
        false => line.to_owned(),
    };
    Some(drawn.lines().map(line).collect::<Vec<_>>().join("\n"))
}

fn how_to_invite(language: Language) -> &'static str {
    match language {
        Language::English => {
            "These links work on this machine alone. To invite friends elsewhere, give the relay a public address:\n  \
             ledgerno-relay --listen 0.0.0.0:8080 --public-url http://ADDRESS:8080/\n\
             or, better, put it behind a proxy with TLS: --behind-proxy --public-url https://NAME/ (or --tls-cert, --tls-key)."
        }
        Language::Japanese => {
            "このリンクはこのマシンの中だけで使えます。離れた友だちを招くには、中継サーバーに公開アドレスを与えてください:\n  \
             ledgerno-relay --listen 0.0.0.0:8080 --public-url http://アドレス:8080/\n\
             または TLS 付きのプロキシの後ろに置きます: --behind-proxy --public-url https://名前/ (または --tls-cert と --tls-key)。"
        }
    }
}
