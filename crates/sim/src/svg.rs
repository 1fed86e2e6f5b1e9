//! Drawings: the DAG with its checkpoints, and curves. Plain SVG, no more than is needed.

use crate::world::World;
use std::collections::HashMap;
use std::fmt::Write as _;

/// A drawing of some size.
pub struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

/// Colours that are told apart, also by those who see few.
pub const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#8b5a2b"];

impl Drawing {
    /// An empty one.
    pub fn new(width: f64, height: f64) -> Self {
        Drawing { width, height, body: String::new() }
    }

    fn add(&mut self, element: std::fmt::Arguments) {
        // Writing into a string does not fail.
        self.body.write_fmt(element).ok();
        self.body.push('\n');
    }

    /// A straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="{width}"/>"#
        ));
    }

    /// A dot, or a ring.
    pub fn dot(&mut self, at: (f64, f64), radius: f64, fill: &str, rim: &str) {
        let (x, y) = at;
        self.add(format_args!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{fill}" stroke="{rim}" stroke-width="1.5"/>"#
        ));
    }

    /// Words; `anchor` is start, middle or end.
    pub fn text(&mut self, at: (f64, f64), anchor: &str, words: &str) {
        let (x, y) = at;
        let words = words.replace('&', "&amp;").replace('<', "&lt;");
        self.add(format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#));
    }

    /// The file.
    pub fn finish(self) -> String {
        let Drawing { width, height, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
             font-size=\"12\" fill=\"#333\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n{body}</svg>\n"
        )
    }
}

/// A curve: its name, its colour's number, and its points.
pub struct Curve {
    /// What it is called.
    pub name: String,
    /// Its points, both coordinates over 0.
    pub points: Vec<(f64, f64)>,
}

/// Curves over logarithmic axes, with an aim as a line across if there is one.
pub fn curves(drawing: &mut Drawing, corner: (f64, f64), title: &str, unit: &str, curves: &[Curve], aim: Option<f64>) {
    const WIDTH: f64 = 300.0;
    const HEIGHT: f64 = 220.0;
    let all = || curves.iter().flat_map(|curve| curve.points.iter());
    let decades = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) = values.fold((f64::MAX, 1.0f64), |(low, high), value| (low.min(value), high.max(value)));
        (low.max(1e-3).log10().floor(), high.log10().ceil())
    };
    let (x_low, x_high) = decades(&mut all().map(|(x, _)| *x));
    let (y_low, y_high) = decades(&mut all().map(|(_, y)| *y).chain(aim));
    let (left, top) = (corner.0 + 60.0, corner.1 + 30.0);
    let place = |(x, y): (f64, f64)| {
        (
            left + (x.log10() - x_low) / (x_high - x_low).max(1.0) * WIDTH,
            top + HEIGHT - (y.log10() - y_low) / (y_high - y_low).max(1.0) * HEIGHT,
        )
    };
    drawing.text((left, corner.1 + 15.0), "start", title);
    for decade in x_low as i32..=x_high as i32 {
        let (x, _) = place((10f64.powi(decade), 1.0));
        drawing.line((x, top), (x, top + HEIGHT), "#ddd", 1.0);
        drawing.text((x, top + HEIGHT + 16.0), "middle", &figure(10f64.powi(decade)));
    }
    for decade in y_low as i32..=y_high as i32 {
        let (_, y) = place((1.0, 10f64.powi(decade)));
        drawing.line((left, y), (left + WIDTH, y), "#ddd", 1.0);
        drawing.text((left - 6.0, y + 4.0), "end", &format!("{}{unit}", figure(10f64.powi(decade))));
    }
    drawing.text((left + WIDTH / 2.0, top + HEIGHT + 32.0), "middle", "nodes");
    if let Some(aim) = aim {
        let (_, y) = place((1.0, aim));
        drawing.line((left, y), (left + WIDTH, y), "#c00", 1.0);
        drawing.text((left + WIDTH, y - 4.0), "end", "aim");
    }
    for (no, curve) in curves.iter().enumerate() {
        let colour = COLOURS[no % COLOURS.len()];
        for pair in curve.points.windows(2) {
            drawing.line(place(pair[0]), place(pair[1]), colour, 2.0);
        }
        for point in &curve.points {
            drawing.dot(place(*point), 3.0, colour, colour);
        }
        let y = top + HEIGHT + 52.0 + 16.0 * no as f64;
        drawing.line((left, y - 4.0), (left + 20.0, y - 4.0), colour, 2.0);
        drawing.text((left + 26.0, y), "start", &curve.name);
    }
}

fn figure(value: f64) -> String {
    if value >= 1.0 { format!("{value:.0}") } else { format!("{value}") }
}

/// The most entries that are drawn.
const MAX_DRAWN: usize = 400;

/// The DAG of a run as it grew: a row for each device, time from left to right, each entry in the colour of the header
/// that settled it, and a ring around those that its cut names.
pub fn dag(world: &World, first: usize) -> String {
    const ROW: f64 = 28.0;
    const STEP: f64 = 16.0;
    let entries = &world.watch.since(first)[..world.watch.since(first).len().min(MAX_DRAWN)];
    let rows: HashMap<_, _> = world.hosts.iter().enumerate().map(|(id, host)| (host.device, id)).collect();
    let y_of = |device| 40.0 + ROW * rows.get(device).copied().unwrap_or(0) as f64;
    let width = 140.0 + STEP * entries.len() as f64;
    let mut drawing = Drawing::new(width, 60.0 + ROW * world.nodes() as f64);
    for (id, host) in world.hosts.iter().enumerate().filter(|(_, host)| !host.keeps) {
        let y = y_of(&host.device);
        drawing.text((10.0, y + 4.0), "start", &format!("node {id}"));
        drawing.line((70.0, y), (width - 20.0, y), "#eee", 1.0);
    }
    let places: HashMap<_, _> =
        entries.iter().enumerate().map(|(at, seen)| (seen.id, (90.0 + STEP * at as f64, y_of(&seen.device)))).collect();
    for seen in entries {
        for parent in seen.parents.iter().filter_map(|parent| places.get(parent)) {
            drawing.line(places[&seen.id], *parent, "#bbb", 1.0);
        }
    }
    for seen in entries {
        let fill = seen.height.map_or("#fff", |height| COLOURS[height as usize % COLOURS.len()]);
        let named = seen.height.and_then(|height| world.watch.headers.get(&height));
        let in_cut = named.is_some_and(|header| header.cut.iter().any(|head| head.id == seen.id));
        drawing.dot(places[&seen.id], if in_cut { 6.0 } else { 4.0 }, fill, if in_cut { "#000" } else { fill });
    }
    drawing.text(
        (10.0, 18.0),
        "start",
        "Entries by author and time; a colour for each checkpoint, a ring around the entries that its cut names",
    );
    drawing.finish()
}
