//! What must hold at the end of a run, once all faults are over.

use crate::host::Id;
use crate::world::World;

/// What a scenario leaves out of the checks, for a reason that it tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waived {
    /// So many entries may stay unsettled: branches of a fork on which nobody builds.
    pub unsettled: usize,
    /// So many entries may wait for ever: their ancestors are hidden by who wrote them.
    pub waiting: usize,
    /// So many messages may be sent in the quiet day.
    pub messages: u64,
    /// A session may go on for ever.
    pub never_rest: bool,
}

/// How long nodes have after healing until nothing moves any more, in milliseconds.
pub const TO_REST: u64 = 30 * 60_000;
/// For how long nothing may be sent then.
pub const QUIET: u64 = 24 * 3_600_000;

impl World {
    /// Ends all faults, lets everybody come to rest and compares; what is wrong is with the observer's faults.
    pub fn finish(&mut self, waived: Waived) {
        self.heal();
        self.run_for(TO_REST);
        self.check_same(waived);
        self.check_sent();
        self.check_points();
        self.check_quiet(waived);
    }

    /// All has come to rest: for a day nothing is sent.
    pub fn check_quiet(&mut self, waived: Waived) {
        let before = self.traffic.messages();
        self.run_for(QUIET);
        let messages = self.traffic.messages() - before;
        if messages > waived.messages {
            self.watch.fault(format!("not quiet: {messages} messages in a day with nothing unsettled"));
        }
    }

    fn honest(&self) -> Vec<Id> {
        (0..self.nodes()).filter(|id| !self.hosts[*id].suspect).collect()
    }

    /// All honest nodes hold the same, in the same order, with nothing left to settle.
    fn check_same(&mut self, waived: Waived) {
        let mut first = None;
        let mut first_root = None;
        for id in self.honest() {
            let Some(engine) = self.hosts[id].engine.as_ref() else {
                self.watch.fault(format!("node {id} is not running at the end"));
                continue;
            };
            let (settlement, syncs, load) = (engine.settlement(), engine.is_syncing(), engine.load());
            if settlement.unsettled > waived.unsettled {
                let (unsettled, refused) = (settlement.unsettled, engine.refusals());
                self.watch
                    .fault(format!("stall: {unsettled} entries are never settled at node {id}, {refused:?} refused"));
            }
            if syncs && !waived.never_rest {
                self.watch.fault(format!("node {id} never ends to sync"));
            }
            if load.waiting > waived.waiting {
                self.watch.fault(format!("{} entries wait for ever at node {id}", load.waiting));
            }
            if let Some(root) = settlement.state_root {
                let (other, theirs) = *first_root.get_or_insert((id, root));
                if root != theirs {
                    self.watch.fault(format!("nodes {other} and {id} have different states"));
                }
            }
            let settled = (settlement.height, settlement.header);
            let (other, theirs) = *first.get_or_insert((id, settled));
            if settled != theirs {
                self.watch.fault(format!("nodes {other} and {id} settled {theirs:?} and {settled:?}"));
            }
            if self.watch.held(other) != self.watch.held(id) {
                self.watch.fault(format!("nodes {other} and {id} hold different entries"));
            }
        }
    }

    /// What an honest node showed as sent is with all honest nodes.
    fn check_sent(&mut self) {
        let honest = self.honest();
        let mut lost = Vec::new();
        for (place, seen) in self.watch.entries.iter().enumerate() {
            if seen.sent.is_some()
                && let Some(id) = honest.iter().find(|id| !self.watch.is_held(**id, place))
            {
                lost.push(format!("lost: {:?} was sent, and node {id} does not hold it", seen.id));
            }
        }
        for why in lost {
            self.watch.fault(why);
        }
    }

    /// Points are neither made nor lost: balances sum to what the state says was given out.
    fn check_points(&mut self) {
        for id in self.honest() {
            let Some(engine) = self.hosts[id].engine.as_ref() else { continue };
            let Some(state) = engine.state() else { continue };
            let held: u64 = state.members().map(|(_, member)| member.balance + member.purse).sum();
            let totals = state.totals();
            let given = totals.granted + totals.allowed + totals.rewarded;
            if held != given {
                self.watch.fault(format!("points: balances sum to {held} at node {id}, and {given} were given"));
            }
        }
    }
}
