//! Scenarios: what breaks, and when. Each sets a world up, plans its faults and writes, and is judged at the end by the
//! checks that hold for all of them, and by its own.

mod faults;
mod liars;
mod removals;
mod witnesses;

use crate::cast::CastError;
use crate::check::{TO_REST, Waived};
use crate::host::Id;
use crate::report::Report;
use crate::world::{Setup, World};

/// A story that the simulator can play.
pub struct Scenario {
    /// By which it is called.
    pub name: &'static str,
    /// What happens in it, in one sentence.
    pub about: &'static str,
    /// How many members it has unless told otherwise.
    pub members: usize,
    /// With fewer nodes, members and relay, it can not be told.
    pub least: usize,
    /// Changes the calm world before it begins.
    pub setup: fn(&mut Setup),
    /// Plans what happens and lets it happen.
    pub play: fn(&mut World),
    /// More lie than are borne: the checks must find a fork.
    pub must_fork: bool,
    /// What is left out of the checks.
    pub waived: Waived,
    /// Its own checks, when all have healed.
    pub check: fn(&mut World),
}

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    [faults::scenarios(), liars::scenarios(), witnesses::scenarios(), removals::scenarios()]
        .into_iter()
        .flatten()
        .collect()
}

/// How long a circle that has forked has to show it, in milliseconds.
const FORKED: u64 = 20_000;

/// Why a scenario was not played.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Somebody whom it is about is missing.
    #[error("The scenario {scenario} needs at least {least} nodes, the relay among them; {nodes} are too few.")]
    TooFew {
        /// Which.
        scenario: &'static str,
        /// So many it needs.
        least: usize,
        /// So many were wanted.
        nodes: usize,
    },
    /// The circle can not be made.
    #[error(transparent)]
    Cast(#[from] CastError),
}

/// What a run came to.
pub struct Outcome {
    /// The world at its end.
    pub world: World,
    /// Its figures.
    pub report: Report,
    /// The first entry of the run among all that the observer saw.
    pub first: usize,
}

impl Scenario {
    /// The scenario of a name.
    pub fn named(name: &str) -> Option<Self> {
        all().into_iter().find(|scenario| scenario.name == name)
    }

    /// Plays it.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run(&self, members: usize, seed: u64, with_text: bool) -> Result<Outcome, RunError> {
        if members + 1 < self.least {
            return Err(RunError::TooFew { scenario: self.name, least: self.least, nodes: members + 1 });
        }
        let mut setup = Setup::new(members, seed);
        setup.with_text = with_text;
        (self.setup)(&mut setup);
        let mut world = World::new(&setup)?;
        let (first, first_height) = (world.watch.entries.len(), world.watch.height(0));
        world.relink_all();
        (self.play)(&mut world);
        if self.must_fork {
            // Nothing is promised to a circle that has forked, but that its members see it, and then come to rest.
            world.heal();
            world.run_for(FORKED);
            (self.check)(&mut world);
            world.run_for(TO_REST);
            world.check_quiet(self.waived);
        } else {
            world.finish(self.waived);
            (self.check)(&mut world);
        }
        let report = Report::of(&world, first, first_height);
        Ok(Outcome { world, report, first })
    }

    /// Whether a run came out as it should.
    pub fn holds(&self, report: &Report) -> bool {
        let has = |kind: &str| report.faults.iter().any(|fault| fault.starts_with(kind));
        if self.must_fork {
            has("fork:") && report.faults.iter().all(|fault| fault.starts_with("fork:"))
        } else {
            report.faults.is_empty()
        }
    }

    /// Plays it and panics at a fault, with all that is needed to see it again.
    ///
    /// # Panics
    /// At a fault.
    pub fn must_hold(&self, seed: u64) -> Outcome {
        match self.run(self.members, seed, false) {
            Ok(outcome) if self.holds(&outcome.report) => outcome,
            Ok(outcome) => panic!(
                "scenario {} with {} members and seed {seed}:\n  {}",
                self.name,
                self.members,
                outcome.report.faults.join("\n  ")
            ),
            Err(error) => panic!("scenario {} with seed {seed}: {error}", self.name),
        }
    }
}

impl World {
    /// Somebody writes: mostly a post of about 200 bytes, sometimes thanks. Who sleeps, is crashed or lies writes nothing.
    pub fn write_something(&mut self, id: Id) {
        let dice = &mut self.dice;
        let (kind, len, amount, other) =
            (dice.below(8), 100 + dice.below(160), 1 + dice.below(5) as u64, dice.below(self.cast.people.len()));
        let text: String = (0..len).map(|_| char::from(b'a' + dice.below(26) as u8)).collect();
        let to = self.cast.people[other].member();
        self.drive(id, |engine, now| {
            if kind == 0 && engine.own_member() != Some(to) && engine.thank(to, amount, &text[..40], now).is_ok() {
                return;
            }
            // Refused only before the device is in.
            engine.post(&text, now).ok();
        });
    }

    /// Plans so many writes by random members between two moments, in milliseconds after the start.
    pub fn plan_writes(&mut self, count: usize, from: u64, to: u64) {
        for _ in 0..count {
            let at = from + self.dice.below((to - from) as usize) as u64;
            let id = 1 + self.dice.below(self.nodes() - 1);
            self.at(at, move |world| world.write_something(id));
        }
    }
}
