//! Rules broken on purpose, to see that the models, the simulator and the vectors notice. Without the feature `mutants`
//! every [`is_on`] is false at compile time and the shipped code is the rule alone.

/// A changed rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutant {
    /// A quorum is one vote smaller.
    SmallQuorum = 1,
    /// Votes are counted instead of witnesses.
    VotesCounted,
    /// A witness finalizes in a view that it nullified.
    FinalizeAfterNullify,
    /// A witness nullifies a view in which it finalized.
    NullifyAfterFinalize,
    /// A witness notarizes two headers in one view.
    NotarizeTwice,
    /// Finalize votes of several views add up.
    FinalizesAcrossViews,
    /// A proposal is taken without the nullifications between.
    NoNullifications,
    /// A vote is not kept across a crash.
    VoteForgotten,
    /// A certificate that was made is not sent on.
    CertificateNotForwarded,
    /// What is old is not answered with the bundle.
    NoBundleInReply,
    /// Certificates are not kept across a crash.
    CertificateNotKept,
    /// Timers run while a witness sleeps.
    TimersRunAsleep,
    /// Batches are checked by another rule than single signatures.
    BatchRule,
    /// What follows a void entry in its device's chain counts.
    VoidTailCounts,
}

#[cfg(feature = "mutants")]
mod switch {
    use super::Mutant;
    use core::cell::Cell;

    extern crate std;

    std::thread_local! {
        static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Whether a rule is broken, in this thread.
    pub fn is_on(mutant: Mutant) -> bool {
        ON.with(|on| on.get() == Some(mutant))
    }

    /// Does something with a rule broken, in this thread.
    pub fn with<T>(mutant: Option<Mutant>, run: impl FnOnce() -> T) -> T {
        struct Off(Option<Mutant>);
        impl Drop for Off {
            fn drop(&mut self) {
                ON.with(|on| on.set(self.0));
            }
        }
        let _off = Off(ON.with(|on| on.replace(mutant)));
        run()
    }
}

#[cfg(feature = "mutants")]
pub use switch::{is_on, with};

/// Whether a rule is broken: never, in what is shipped.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub fn is_on(_: Mutant) -> bool {
    false
}
