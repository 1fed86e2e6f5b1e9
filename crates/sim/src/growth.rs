//! How the network grows: the same load on 10 to 5,000 nodes, and how long, how many bytes and how much memory it takes.

use crate::cast::CastError;
use crate::net::{Conditions, Topology};
use crate::report::Report;
use crate::svg::{Curve, Drawing, PANEL, curves};
use crate::traffic::Kind;
use crate::world::{Setup, World};
use std::sync::OnceLock;

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
    let before = *BEFORE.get_or_init(resident);
    let members = MAX_MEMBERS.min(nodes - 1);
    let mut setup = Setup::new(members, seed);
    setup.keepers = nodes - 1 - members;
    setup.witnesses = WITNESSES.min(members);
    setup.topology = Topology::Mesh { degree: DEGREE.min(nodes - 1) };
    setup.conditions = Conditions { least: 0, spread: 100, ..Conditions::default() };
    let mut world = World::new(&setup)?;
    world.most = u64::MAX;
    // Who votes is linked to the relay, as all pages are.
    (1..=setup.witnesses).for_each(|id| world.links.introduce(0, id));
    world.relink_all();
    world.run_for(10_000);
    world.forget_traffic();
    let (first, first_height) = (world.watch.entries.len(), world.watch.height(0));
    let seconds = if rate > 1 { 10 } else { 20 };
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
    Ok(Finding { missing, devices, entries, headers, all: world.traffic.bytes() })
}

/// What the process had in memory before its first run: memory that an earlier run gave back is used again by a later
/// one, so it must count in.
static BEFORE: OnceLock<u64> = OnceLock::new();

/// What the process has in memory, in bytes; 0 where it is not told.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = status.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4_096
}

impl World {
    /// Counts traffic anew.
    pub fn forget_traffic(&mut self) {
        self.traffic = crate::traffic::Traffic::default();
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

/// What the bytes of several runs are made of, as Markdown.
pub fn split(runs: &[Growth]) -> String {
    let names: String = Kind::ALL.iter().map(|(_, name)| format!(" {name} |")).collect();
    let mut table =
        format!("| nodes | writes a second | headers |{names}\n|--:|--:|--:|{}\n", "--:|".repeat(Kind::ALL.len()));
    for Growth { rate, report, .. } in runs {
        let bytes: String = report.bytes_by_kind().map(|(_, bytes)| format!(" {bytes:.0} |")).collect();
        table += &format!("| {} | {rate} | {} |{bytes}\n", report.nodes, report.headers);
    }
    table
}

/// The plot of several runs: times, bytes and memory over the number of nodes.
pub fn plot(runs: &[Growth]) -> String {
    let mut drawing = Drawing::new(3.0 * PANEL + 10.0, 372.0);
    let curve = |name: &str, colour: usize, dashed: bool, rate: u64, value: &dyn Fn(&Growth) -> Option<f64>| Curve {
        name: name.to_owned(),
        colour,
        dashed,
        points: runs
            .iter()
            .filter(|run| run.rate == rate)
            .filter_map(|run| Some((run.report.nodes as f64, value(run)?)))
            .collect(),
    };
    let held = |run: &Growth| run.report.until_held.percentile(99).map(|ms| ms as f64);
    let settled = |run: &Growth| run.report.until_settled_at_all.percentile(99).map(|ms| ms as f64);
    let times = [
        curve("held by all, p99, 1 write a second", 5, false, 1, &held),
        curve("held by all, p99, 20 writes a second", 0, false, 20, &held),
        curve("settled at all, p99, 1 write a second", 4, false, 1, &settled),
        curve("settled at all, p99, 20 writes a second", 1, false, 20, &settled),
        curve("aim for settled at 1,000 nodes", 3, true, 20, &|_| Some(2_000.0)),
    ];
    curves(&mut drawing, 0.0, "Time", (10.0, 10_000.0), " ms", &times);
    let bytes = |run: &Growth| Some(run.report.bytes_a_node_and_entry);
    let bytes = [
        curve("1 write a second", 4, false, 1, &bytes),
        curve("20 writes a second", 1, false, 20, &bytes),
        curve("aim at 1 a second: 2 × entry × degree", 3, true, 1, &|run| {
            Some(2.0 * run.report.entry_bytes * run.report.degree)
        }),
    ];
    curves(&mut drawing, PANEL, "Sent by a node for each entry", (1_000.0, 100_000.0), " B", &bytes);
    let memory = |run: &Growth| (run.memory > 0).then_some(run.memory as f64 / 1e3);
    let memory = [curve("1 write a second", 4, false, 1, &memory), curve("20 writes a second", 1, false, 20, &memory)];
    curves(&mut drawing, 2.0 * PANEL, "Memory of a node", (10.0, 10_000.0), " KB", &memory);
    drawing.finish()
}
