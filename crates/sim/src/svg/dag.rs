//! The DAG of a run as it grew, with its checkpoints.

use super::{COLOURS, Drawing};
use crate::watch::Seen;
use crate::world::World;
use ledgerno_ledger::bytes::{DeviceId, EntryId};
use std::collections::{BTreeSet, HashMap};

/// What the people of a run are called, from the founder on.
const NAMES: [&str; 12] =
    ["Anna", "Ben", "Carl", "Dora", "Emil", "Frida", "Gustav", "Hanna", "Ivo", "Jana", "Kurt", "Lena"];
const ROW: f64 = 34.0;
const LEFT: f64 = 112.0;
const TOP: f64 = 62.0;
/// The width of the picture, but for what would lie too close.
const WIDTH: f64 = 900.0;
/// The room of an entry and of a checkpoint at most; three quarters of it at least.
const ENTRY: f64 = 18.0;
const CHECKPOINT: f64 = 25.0;
const LEAST: f64 = 0.75;
/// How far aside from its device's row a branch stands that does not count.
const ASIDE: f64 = 12.0;

const UNSETTLED: &str = "#8a8f98";

/// Where everything is: entries and checkpoints stand in the order of time, each in a place of its own.
struct Sheet<'a> {
    entries: &'a [Seen],
    rows: Vec<DeviceId>,
    /// Of each entry.
    xs: Vec<f64>,
    /// Checkpoints that settle any of them.
    checkpoints: Vec<(u64, f64)>,
    /// Moments and where they are.
    moments: Vec<(u64, f64)>,
    width: f64,
}

impl<'a> Sheet<'a> {
    fn new(world: &World, entries: &'a [Seen]) -> Self {
        let wrote = |device: &DeviceId| entries.iter().any(|seen| seen.device == *device);
        let mut rows: Vec<DeviceId> = world.hosts.iter().map(|host| host.device).filter(wrote).collect();
        // A copy of a device has its row.
        rows.dedup();
        let heights: BTreeSet<u64> = entries.iter().filter_map(|seen| seen.height).collect();
        let headers = heights.iter().filter_map(|height| Some((world.watch.headers.get(height)?.at, true, *height)));
        let written = (0..).zip(entries).map(|(no, seen)| (seen.written, false, no));
        let mut all: Vec<(u64, bool, u64)> = written.chain(headers).collect();
        all.sort_unstable();
        let wanted = ENTRY * entries.len() as f64 + CHECKPOINT * heights.len() as f64;
        let scale = ((WIDTH - LEFT - 30.0) / wanted.max(1.0)).clamp(LEAST, 1.0);
        let mut sheet =
            Sheet { entries, rows, xs: Vec::new(), checkpoints: Vec::new(), moments: Vec::new(), width: WIDTH };
        let mut x = LEFT + 6.0;
        for (time, is_checkpoint, which) in all {
            let room = scale * if is_checkpoint { CHECKPOINT } else { ENTRY };
            if is_checkpoint {
                sheet.checkpoints.push((which, x + room / 2.0));
            } else {
                sheet.xs.push(x + room / 2.0);
            }
            x += room;
            sheet.moments.push((time, x));
        }
        sheet.width = WIDTH.max(x + 24.0);
        sheet
    }

    fn y(&self, device: &DeviceId) -> f64 {
        TOP + ROW * (0.5 + self.rows.iter().position(|row| row == device).unwrap_or(0) as f64)
    }

    fn bottom(&self) -> f64 {
        TOP + ROW * self.rows.len() as f64
    }

    /// Where a moment is: after the last thing that was there.
    fn moment(&self, time: u64) -> f64 {
        let before = self.moments.partition_point(|(at, _)| *at <= time);
        before.checked_sub(1).and_then(|at| self.moments.get(at)).map_or(LEFT + 6.0, |(_, x)| *x)
    }
}

/// So many entries from a place on: a row for each device that wrote, time from left to right, each entry in the colour
/// of the checkpoint that settled it.
pub fn dag(world: &World, first: usize, most: usize) -> String {
    let entries = world.watch.since(first);
    let sheet = Sheet::new(world, &entries[..entries.len().min(most)]);
    let mut drawing = Drawing::new(sheet.width, sheet.bottom() + 52.0);
    draw_rows(&mut drawing, world, &sheet);
    draw_checkpoints(&mut drawing, &sheet);
    draw_entries(&mut drawing, world, &sheet);
    draw_legend(&mut drawing, sheet.bottom() + 26.0);
    drawing.finish()
}

fn draw_rows(drawing: &mut Drawing, world: &World, sheet: &Sheet) {
    let end = sheet.width - 20.0;
    for (from, until) in &world.parted {
        let (from, until) = (sheet.moment(*from), until.map_or(end, |until| sheet.moment(until)));
        drawing.area((from, TOP - 10.0), (until - from, sheet.bottom() - TOP + 16.0), "band");
        drawing.note(((from + until) / 2.0, sheet.bottom() + 1.0), "middle", "the network is parted");
    }
    let votes = world.hosts.get(1).and_then(|host| host.engine.as_ref()).map(|engine| engine.witnesses());
    for device in &sheet.rows {
        let y = sheet.y(device);
        let id = world.hosts.iter().position(|host| host.device == *device).unwrap_or(0);
        let name = id
            .checked_sub(1)
            .and_then(|at| NAMES.get(at))
            .map_or_else(|| format!("node {id}"), |name| (*name).to_owned());
        drawing.text((16.0, y + 4.0), "start", &name);
        if votes.iter().flatten().any(|witness| witness.votes && witness.device == *device) {
            drawing.note((60.0, y + 4.0), "start", "witness");
        }
        drawing.rule((LEFT, y), (end, y), "fainter");
    }
}

/// A plate above for each checkpoint, when it was first settled anywhere.
fn draw_checkpoints(drawing: &mut Drawing, sheet: &Sheet) {
    for &(height, x) in &sheet.checkpoints {
        drawing.rule((x, TOP - 17.0), (x, sheet.bottom() - 6.0), "fainter");
        drawing.tag((x, TOP - 25.0), colour(height), &height.to_string());
    }
    drawing.note((16.0, TOP - 21.0), "start", "checkpoints");
}

fn draw_entries(drawing: &mut Drawing, world: &World, sheet: &Sheet) {
    let at = |(no, seen): (usize, &Seen)| (seen.id, (sheet.xs[no], sheet.y(&seen.device)));
    let mut places: HashMap<EntryId, (f64, f64)> = sheet.entries.iter().enumerate().map(at).collect();
    let judge = world.hosts.iter().find_map(|host| host.engine.as_ref().filter(|_| !host.keeps && !host.suspect));
    let counts = |seen: &Seen| seen.height.is_some() && judge.is_none_or(|engine| !engine.is_void(&seen.id));
    // Of a fork, what does not count stands aside.
    for seen in sheet.entries.iter().filter(|seen| !counts(seen) && is_forked(sheet, seen)) {
        if let Some(place) = places.get_mut(&seen.id) {
            place.1 += ASIDE;
        }
    }
    for seen in sheet.entries {
        for parent in seen.parents.iter().filter_map(|parent| places.get(parent)) {
            let is_own = sheet.entries.iter().any(|one| places[&one.id] == *parent && one.device == seen.device);
            drawing.bend(places[&seen.id], *parent, if is_own { "ink" } else { "faint" });
        }
    }
    for seen in sheet.entries {
        let at = places[&seen.id];
        let header = seen.height.and_then(|height| world.watch.headers.get(&height));
        let in_cut = header.is_some_and(|header| header.cut.iter().any(|head| head.id == seen.id));
        match seen.height.map(colour) {
            None => drawing.ring(at, 4.5, UNSETTLED),
            Some(colour) if !counts(seen) => {
                drawing.ring(at, 5.0, colour);
                drawing.line((at.0 - 3.5, at.1 + 3.5), (at.0 + 3.5, at.1 - 3.5), colour, 1.8);
            }
            Some(colour) => {
                if in_cut {
                    drawing.ring(at, 7.0, colour);
                }
                drawing.dot(at, 4.5, colour);
            }
        }
    }
}

/// Whether its device wrote another entry at its place or before.
fn is_forked(sheet: &Sheet, seen: &Seen) -> bool {
    let own = || sheet.entries.iter().filter(|one| one.device == seen.device && one.seq <= seen.seq);
    own().any(|one| own().any(|other| other.seq == one.seq && other.id != one.id))
}

fn draw_legend(drawing: &mut Drawing, y: f64) {
    let colour = COLOURS[0];
    let mut x = 18.0;
    let mut item = |drawing: &mut Drawing, words: &str, width: f64| {
        drawing.note((x + 12.0, y + 4.0), "start", words);
        let at = (x, y);
        x += width;
        at
    };
    let at = item(drawing, "entry, in its checkpoint's colour", 200.0);
    drawing.dot(at, 4.5, colour);
    let at = item(drawing, "named by the cut", 122.0);
    drawing.ring(at, 7.0, colour);
    drawing.dot(at, 4.5, colour);
    let at = item(drawing, "settled, but void", 118.0);
    drawing.ring(at, 5.0, colour);
    drawing.line((at.0 - 3.5, at.1 + 3.5), (at.0 + 3.5, at.1 - 3.5), colour, 1.8);
    let at = item(drawing, "not settled", 100.0);
    drawing.ring(at, 4.5, UNSETTLED);
    let at = item(drawing, "own chain", 95.0);
    drawing.rule((at.0 - 8.0, at.1), (at.0 + 8.0, at.1), "ink");
    let at = item(drawing, "approval: \"I hold this, and all before it\"", 240.0);
    drawing.rule((at.0 - 8.0, at.1), (at.0 + 8.0, at.1), "faint");
}

fn colour(height: u64) -> &'static str {
    COLOURS[height as usize % COLOURS.len()]
}
