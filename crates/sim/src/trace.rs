//! What happened, as a hash of everything and, if wanted, as text: two runs of one seed are compared by it.

/// The record of a run.
pub struct Trace {
    hasher: blake3::Hasher,
    text: Option<Vec<String>>,
}

/// The most lines that are kept as text.
const MAX_LINES: usize = 1_000_000;

impl Trace {
    /// A record; with text if wanted.
    pub fn new(with_text: bool) -> Self {
        Trace { hasher: blake3::Hasher::new(), text: with_text.then(Vec::new) }
    }

    /// Notes a happening: when, what, at which node, in relation to which, and the bytes that it was about.
    pub fn note(&mut self, now: u64, what: &'static str, at: usize, other: usize, bytes: &[u8]) {
        self.hasher.update(&now.to_le_bytes());
        self.hasher.update(what.as_bytes());
        self.hasher.update(&(at as u64).to_le_bytes());
        self.hasher.update(&(other as u64).to_le_bytes());
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
        if let Some(text) = self.text.as_mut().filter(|text| text.len() < MAX_LINES) {
            let hash = blake3::hash(bytes);
            text.push(format!("{now} {what} {at} {other} {} {}", bytes.len(), &hash.to_hex()[..16]));
        }
    }

    /// The hash over all so far.
    pub fn hash(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }

    /// The lines, if text was wanted.
    pub fn lines(&self) -> &[String] {
        self.text.as_deref().unwrap_or(&[])
    }
}
