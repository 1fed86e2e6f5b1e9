//! How far a write has come: *here* (durable on this device), *sent* (another node answered after its durable write),
//! *seen by k* (entries of k other members have it in their past), *settled* (in a checkpoint, and sent). None is shown
//! without *here* and, but for *here*, without *sent*.

/// Which of the four states a write is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Durable on this device.
    Here,
    /// Durable on another node too.
    Sent,
    /// In the past of other members' entries.
    Seen,
    /// In a checkpoint.
    Settled,
}

impl Status {
    /// Its name, as a page shows it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Here => "here",
            Status::Sent => "sent",
            Status::Seen => "seen",
            Status::Settled => "settled",
        }
    }

    /// The furthest state that may be shown.
    pub fn of(sent: bool, seen_by: u32, settled: bool) -> Self {
        match (sent, seen_by, settled) {
            (false, _, _) => Status::Here,
            (true, _, true) => Status::Settled,
            (true, 0, false) => Status::Sent,
            (true, _, false) => Status::Seen,
        }
    }
}
