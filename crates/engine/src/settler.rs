//! When to settle. This is the smallest case: one witness, who settles alone what it holds whole, a moment after the
//! first unsettled entry, so that a burst of writes makes one header. The general settlement takes this module's place.

/// How long the first unsettled entry waits for company, in milliseconds.
const GATHER_MS: u64 = 150;

/// The settling timer of a witness: it runs only while something is unsettled.
#[derive(Debug, Default)]
pub struct Settler {
    due: Option<u64>,
}

impl Settler {
    /// Something may be unsettled now, or no longer.
    pub fn note(&mut self, unsettled: bool, now: u64) {
        self.due = match (unsettled, self.due) {
            (false, _) => None,
            (true, Some(due)) => Some(due),
            (true, None) => Some(now.saturating_add(GATHER_MS)),
        };
    }

    /// When it wants to be woken.
    pub fn due(&self) -> Option<u64> {
        self.due
    }

    /// Whether it is time; then the timer starts anew.
    pub fn ring(&mut self, now: u64) -> bool {
        let rings = self.due.is_some_and(|due| now >= due);
        if rings {
            self.due = None;
        }
        rings
    }
}
