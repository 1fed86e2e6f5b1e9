//! How the network grows: the same load on 10 to 5,000 nodes, and how long, how many bytes and how much memory it takes.

use crate::cast::CastError;
use crate::net::{Conditions, Topology};
use crate::report::Report;
use crate::svg::{Curve, Drawing, curves};
use crate::world::{Setup, World};

/// Links of a node.
pub const DEGREE: usize = 8;
/// Who vote, where there are so many members.
pub const WITNESSES: usize = 7;
/// The most members of a run; the other nodes keep the circle without reading it, as relays do. Each node holds the joins
/// of all members and folds the state over them, so a run with members only grows with the square.
pub const MAX_MEMBERS: usize = 200;

/// One run of the growth.
#[derive(Clone, Debug)]
pub struct Growth {
    /// Members among the nodes.
    pub members: usize,
    /// Writes a second.
    pub rate: u64,
    /// Who votes.
    pub witnesses: usize,
    /// Its figures.
    pub report: Report,
    /// Bytes of memory by node; 0 where the system does not tell.
    pub memory: u64,
    /// How long the run took, in seconds.
    pub took: f64,
}

/// Plays so many nodes at so many writes a second.
///
/// # Errors
/// When the circle can not be made.
pub fn grow(nodes: usize, rate: u64, seed: u64) -> Result<Growth, CastError> {
    let started = std::time::Instant::now();
    let before = resident();
    let members = MAX_MEMBERS.min(nodes - 1);
    let mut setup = Setup::new(members, seed);
    setup.keepers = nodes - 1 - members;
    setup.witnesses = WITNESSES.min(members);
    setup.topology = Topology::Mesh { degree: DEGREE.min(nodes - 1) };
    setup.conditions = Conditions { least: 0, spread: 100, ..Conditions::default() };
    let mut world = World::new(&setup)?;
    world.most = u64::MAX;
    world.relink_all();
    world.run_for(10_000);
    world.forget_traffic();
    let (first, first_height) = (world.watch.entries.len(), world.watch.height(0));
    let seconds = if rate > 1 { 6 } else { 15 };
    for at in 0..seconds * rate {
        let id = 1 + world.dice.below(members);
        world.after(at * 1_000 / rate, move |world| world.write_something(id));
    }
    world.run_for(seconds * 1_000 + 15_000);
    let memory = resident().saturating_sub(before) / nodes as u64;
    let mut report = Report::of(&world, first, first_height);
    let held = world.watch.held(0).to_vec();
    if let Some(other) = (1..nodes).find(|id| world.watch.held(*id) != held) {
        report.faults.push(format!("nodes 0 and {other} hold different entries"));
    }
    Ok(Growth { members, rate, witnesses: world.witnesses(), report, memory, took: started.elapsed().as_secs_f64() })
}

/// What finding missing entries costs, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// How many were missing.
    pub missing: usize,
    /// Devices of the circle.
    pub devices: usize,
    /// Their own bytes.
    pub entries: u64,
    /// Of the headers that settled them meanwhile, with certificate and cut.
    pub headers: u64,
    /// Everything that was said.
    pub all: u64,
}

impl Finding {
    /// What was said beyond the entries and the headers themselves.
    pub fn beyond(&self) -> u64 {
        self.all.saturating_sub(self.entries + self.headers)
    }
}

/// One of many devices was away while others wrote an entry each; it comes back and asks one node.
///
/// # Errors
/// When the circle can not be made.
pub fn find_missing(devices: usize, missing: usize, seed: u64) -> Result<Finding, CastError> {
    let mut setup = Setup::new(devices, seed);
    setup.running = Some((missing + 2).min(devices));
    let mut world = World::new(&setup)?;
    world.most = u64::MAX;
    world.relink_all();
    world.run_for(10_000);
    let away = missing + 2;
    world.sleep(away);
    let (first, first_height) = (world.watch.entries.len(), world.watch.height(0));
    for id in 2..missing + 2 {
        world.after(id as u64 * 20, move |world| world.write_something(id));
    }
    world.run_for(60_000);
    world.forget_traffic();
    world.wake(away);
    world.run_for(60_000);
    let entries = world.watch.since(first).iter().map(|seen| seen.bytes as u64).sum();
    let headers = world.watch.headers.range(first_height + 1..).map(|(_, header)| header.bytes as u64).sum();
    let missing = world.watch.since(first).len();
    if world.watch.held(away) != world.watch.held(0) {
        return Err(CastError("the entries were not found".to_owned()));
    }
    Ok(Finding { missing, devices, entries, headers, all: world.traffic.bytes })
}

/// What the process has in memory, in bytes; 0 where it is not told.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = status.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4_096
}

impl World {
    /// Counts traffic anew.
    pub fn forget_traffic(&mut self) {
        self.traffic = crate::world::Traffic::default();
        for host in &mut self.hosts {
            (host.sent, host.received) = (0, 0);
        }
    }

    /// How many vote.
    pub fn witnesses(&self) -> usize {
        let engine = self.hosts.get(1).and_then(|host| host.engine.as_ref());
        engine.map_or(0, |engine| engine.witness_count())
    }
}

/// The table of several runs, as Markdown.
pub fn table(runs: &[Growth]) -> String {
    let mut table =
        "| nodes | members | witnesses | writes a second | entries | held by all, p50 / p99 | settled at its \
                     author, p50 / p99 | settled at all, p50 / p99 | bytes a node and entry | 2 × entry × degree | \
                     memory a node | run |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
            .to_owned();
    for Growth { members, rate, witnesses, report, memory, took } in runs {
        table += &format!(
            "| {} | {members} | {witnesses} | {rate} | {} | {} | {} | {} | {:.0} | {:.0} | {:.1} MB | {took:.0} s |\n",
            report.nodes,
            report.entries,
            report.until_held.text(),
            report.until_settled_at_author.text(),
            report.until_settled_at_all.text(),
            report.bytes_a_node_and_entry,
            2.0 * report.entry_bytes * report.degree,
            *memory as f64 / 1e6,
        );
    }
    table
}

/// The plot of several runs.
pub fn plot(runs: &[Growth]) -> String {
    let mut drawing = Drawing::new(820.0, 400.0);
    let curve = |name: &str, rate: u64, value: &dyn Fn(&Growth) -> Option<f64>| Curve {
        name: format!("{name}, {rate} a second"),
        points: runs
            .iter()
            .filter(|run| run.rate == rate)
            .filter_map(|run| Some((run.report.nodes as f64, value(run)?.max(1.0))))
            .collect(),
    };
    let p99 = |sample: &crate::report::Sample| sample.percentile(99).map(|ms| ms as f64);
    let times: Vec<Curve> = [1, 20]
        .into_iter()
        .flat_map(|rate| {
            [
                curve("held by all, p99", rate, &|run| p99(&run.report.until_held)),
                curve("settled at all, p99", rate, &|run| p99(&run.report.until_settled_at_all)),
            ]
        })
        .collect();
    curves(&mut drawing, (0.0, 10.0), "Time", " ms", &times, Some(2_000.0));
    let mut bytes: Vec<Curve> = [1, 20]
        .map(|rate| curve("bytes a node and entry", rate, &|run| Some(run.report.bytes_a_node_and_entry)))
        .into();
    bytes.push(curve("2 × entry × degree", 20, &|run| Some(2.0 * run.report.entry_bytes * run.report.degree)));
    curves(&mut drawing, (410.0, 10.0), "Traffic", " B", &bytes, None);
    drawing.finish()
}
