//! A run in figures.

use crate::traffic::{Kind, Traffic};
use crate::watch::Seen;
use crate::world::World;

/// Values, of which percentiles are taken.
#[derive(Clone, Debug, Default)]
pub struct Sample(Vec<u64>);

impl FromIterator<u64> for Sample {
    fn from_iter<I: IntoIterator<Item = u64>>(values: I) -> Self {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        Sample(values)
    }
}

impl Sample {
    /// The smallest value that at least `percent` of a hundred are no greater than; none of nothing.
    pub fn percentile(&self, percent: usize) -> Option<u64> {
        let at = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(at).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// p50 and p99 as text, in milliseconds.
    pub fn text(&self) -> String {
        match (self.percentile(50), self.percentile(99)) {
            (Some(middle), Some(high)) => format!("{} / {}", milliseconds(middle), milliseconds(high)),
            _ => "–".to_owned(),
        }
    }
}

fn milliseconds(ms: u64) -> String {
    if ms < 10_000 { format!("{ms} ms") } else { format!("{:.1} s", ms as f64 / 1_000.0) }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Nodes.
    pub nodes: usize,
    /// Entries written in the run.
    pub entries: usize,
    /// How many of them all nodes hold.
    pub held_by_all: usize,
    /// How many are settled.
    pub settled: usize,
    /// Headers settled in the run.
    pub headers: usize,
    /// What was sent.
    pub traffic: Traffic,
    /// Bytes sent, by node and by entry.
    pub bytes_a_node_and_entry: f64,
    /// The mean bytes of an entry with its body.
    pub entry_bytes: f64,
    /// The mean number of links.
    pub degree: f64,
    /// From being durable at the author until held by all.
    pub until_held: Sample,
    /// Until the author's screen shows it as settled.
    pub until_settled_at_author: Sample,
    /// Until settled everywhere.
    pub until_settled_at_all: Sample,
    /// Bytes that a node has on its disk.
    pub disk: u64,
    /// What must never be and was.
    pub faults: Vec<String>,
}

impl Report {
    /// Reads it off a world; the run began with the entry of this place.
    pub fn of(world: &World, first: usize, first_height: u64) -> Self {
        let entries = world.watch.since(first);
        let took = |until: fn(&Seen) -> Option<u64>| -> Sample {
            entries.iter().filter_map(|seen| until(seen).map(|at| at - seen.written)).collect()
        };
        let (nodes, count) = (world.nodes(), entries.len().max(1) as f64);
        let disk = world.hosts.iter().map(|host| host.disk.log.iter().map(|item| item.len() as u64).sum::<u64>());
        Report {
            nodes,
            entries: entries.len(),
            held_by_all: entries.iter().filter(|seen| seen.held_by_all.is_some()).count(),
            settled: entries.iter().filter(|seen| seen.settled.is_some()).count(),
            headers: world.watch.headers.range(first_height + 1..).count(),
            traffic: world.traffic,
            bytes_a_node_and_entry: world.traffic.bytes() as f64 / nodes as f64 / count,
            entry_bytes: entries.iter().map(|seen| seen.bytes as f64).sum::<f64>() / count,
            degree: world.links.degree(),
            until_held: took(|seen| seen.held_by_all),
            until_settled_at_author: took(|seen| seen.settled_at_author),
            until_settled_at_all: took(|seen| seen.settled_at_all),
            disk: disk.max().unwrap_or(0),
            faults: world.watch.faults.clone(),
        }
    }

    /// What the bytes are made of: of each kind, by node and by entry.
    pub fn bytes_by_kind(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let share = self.nodes.max(1) as f64 * self.entries.max(1) as f64;
        Kind::ALL.into_iter().map(move |(kind, name)| (name, self.traffic.bytes_of(kind) as f64 / share))
    }

    /// As a table.
    pub fn table(&self) -> String {
        let rows = [
            ("nodes", self.nodes.to_string()),
            ("entries written", self.entries.to_string()),
            ("held by all", self.held_by_all.to_string()),
            ("settled", self.settled.to_string()),
            ("headers", self.headers.to_string()),
            ("messages", self.traffic.messages().to_string()),
            ("bytes a node and entry", format!("{:.0}", self.bytes_a_node_and_entry)),
            ("bytes of an entry", format!("{:.0}", self.entry_bytes)),
            ("until held by all, p50 / p99", self.until_held.text()),
            ("until settled at its author, p50 / p99", self.until_settled_at_author.text()),
            ("until settled at all, p50 / p99", self.until_settled_at_all.text()),
            ("largest disk", format!("{} KB", self.disk / 1_000)),
        ];
        rows.iter().map(|(what, value)| format!("{what:<40} {value}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were() {
        let sample: Sample = (1..=200).rev().collect();
        assert_eq!(
            (sample.percentile(50), sample.percentile(99), sample.percentile(100)),
            (Some(100), Some(198), Some(200))
        );
        assert_eq!([7].into_iter().collect::<Sample>().percentile(1), Some(7));
        assert_eq!(Sample::default().percentile(50), None);
    }
}
