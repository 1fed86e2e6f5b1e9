//! Drawings: the DAG with its checkpoints, and curves. Plain SVG, no more than is needed, on light ground and on dark.

mod dag;

use std::fmt::Write as _;

pub use dag::dag;

/// A drawing of some size.
pub struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

/// Colours that are told apart, also by those who see few, on light ground and on dark.
pub const COLOURS: [&str; 7] = ["#2a7fc4", "#dd6b1f", "#1a9e77", "#c46aa3", "#d49a00", "#53aee0", "#98714a"];

/// What is of no colour: ground, ink, what is faint and what is fainter. Both grounds come with the drawing.
const STYLE: &str = "\
svg{font:12px system-ui,sans-serif;fill:#2b2f36}\
.ground{fill:#fff}.ink{stroke:#2b2f36}.faint{stroke:#b9bec6}.fainter{stroke:#e6e8eb}.band{fill:#f3ead2}.quiet{fill:#6b7280}\
@media(prefers-color-scheme:dark){svg{fill:#d6dae0}\
.ground{fill:#14171c}.ink{stroke:#d6dae0}.faint{stroke:#555c66}.fainter{stroke:#2a2f37}.band{fill:#2e2818}.quiet{fill:#959ca7}}";

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

    /// A straight line in a colour.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="{width}"/>"#
        ));
    }

    /// A straight line of a class: `ink`, `faint` or `fainter`.
    pub fn rule(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#));
    }

    /// A line from right to left that bends like a rope between two rows.
    pub fn bend(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let middle = (x1 + x2) / 2.0;
        self.add(format_args!(
            r#"<path class="{class}" fill="none" d="M{x1:.1} {y1:.1}C{middle:.1} {y1:.1} {middle:.1} {y2:.1} {x2:.1} {y2:.1}"/>"#
        ));
    }

    /// A box of a class: `ground` or `band`.
    pub fn area(&mut self, corner: (f64, f64), size: (f64, f64), class: &str) {
        let ((x, y), (width, height)) = (corner, size);
        self.add(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="4"/>"#
        ));
    }

    /// A dot.
    pub fn dot(&mut self, at: (f64, f64), radius: f64, fill: &str) {
        let (x, y) = at;
        self.add(format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{fill}"/>"#));
    }

    /// A ring; what is under it does not show through.
    pub fn ring(&mut self, at: (f64, f64), radius: f64, colour: &str) {
        let (x, y) = at;
        self.add(format_args!(
            r#"<circle class="ground" cx="{x:.1}" cy="{y:.1}" r="{radius}" stroke="{colour}" stroke-width="1.8"/>"#
        ));
    }

    /// A line through points, with a dot at each if it is measured.
    pub fn curve(&mut self, points: &[(f64, f64)], colour: &str, dashed: bool) {
        let line: String = points.iter().map(|(x, y)| format!("{x:.1},{y:.1} ")).collect();
        let dashes = if dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        self.add(format_args!(
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>"#,
            line.trim_end()
        ));
        for point in points.iter().filter(|_| !dashed) {
            self.dot(*point, 3.0, colour);
        }
    }

    /// White words on a small plate.
    pub fn tag(&mut self, at: (f64, f64), colour: &str, words: &str) {
        let (x, y) = at;
        self.add(format_args!(
            r#"<rect x="{:.1}" y="{:.1}" width="18" height="15" rx="3" fill="{colour}"/>"#,
            x - 9.0,
            y - 7.0
        ));
        self.add(format_args!(
            r##"<text x="{x:.1}" y="{:.1}" text-anchor="middle" font-size="10" style="fill:#fff">{words}</text>"##,
            y + 4.0
        ));
    }

    /// Words; `anchor` is start, middle or end.
    pub fn text(&mut self, at: (f64, f64), anchor: &str, words: &str) {
        self.words(at, anchor, "", words);
    }

    /// As [`Drawing::text`], less loud.
    pub fn note(&mut self, at: (f64, f64), anchor: &str, words: &str) {
        self.words(at, anchor, " class=\"quiet\" font-size=\"11\"", words);
    }

    fn words(&mut self, at: (f64, f64), anchor: &str, how: &str, words: &str) {
        let (x, y) = at;
        let words = words.replace('&', "&amp;").replace('<', "&lt;");
        self.add(format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}"{how}>{words}</text>"#));
    }

    /// The file.
    pub fn finish(self) -> String {
        let Drawing { width, height, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\">\n<style>{STYLE}</style>\n<rect class=\"ground\" width=\"{width:.0}\" \
             height=\"{height:.0}\" rx=\"6\"/>\n{body}</svg>\n"
        )
    }
}

/// A curve: its name, its colour's number, and its points.
pub struct Curve {
    /// What it is called.
    pub name: String,
    /// Which of [`COLOURS`].
    pub colour: usize,
    /// It is drawn in dashes: a bound, not a measurement.
    pub dashed: bool,
    /// Its points, both coordinates over 0.
    pub points: Vec<(f64, f64)>,
}

/// Width of a panel of curves, in all.
pub const PANEL: f64 = 330.0;
const WIDTH: f64 = 250.0;
const HEIGHT: f64 = 200.0;

/// Curves over logarithmic axes: x in decades, y between two bounds, each a power of ten, with lines at 1, 2 and 5.
pub fn curves(drawing: &mut Drawing, left: f64, title: &str, (low, high): (f64, f64), unit: &str, curves: &[Curve]) {
    let xs = || curves.iter().flat_map(|curve| curve.points.iter().map(|(x, _)| *x));
    let (x_low, x_high) = (xs().fold(f64::MAX, f64::min), xs().fold(1.0, f64::max));
    let (left, top) = (left + 68.0, 44.0);
    let share = |value: f64, low: f64, high: f64| (value / low).ln() / (high / low).ln().max(1e-9);
    let place = |(x, y): (f64, f64)| {
        (left + 12.0 + share(x, x_low, x_high) * (WIDTH - 24.0), top + HEIGHT - share(y, low, high) * HEIGHT)
    };
    drawing.text((left, 24.0), "start", title);
    let mut decade = low;
    while decade <= high * 1.01 {
        for step in [1.0, 2.0, 5.0].map(|step| step * decade).into_iter().filter(|step| *step <= high * 1.01) {
            let (_, y) = place((x_low, step));
            drawing.rule((left, y), (left + WIDTH, y), if step == decade { "faint" } else { "fainter" });
            drawing.note((left - 6.0, y + 4.0), "end", &figure(step, unit));
        }
        decade *= 10.0;
    }
    let mut nodes: Vec<f64> = xs().collect();
    nodes.sort_by(f64::total_cmp);
    nodes.dedup();
    for x in nodes {
        let (at, _) = place((x, low));
        drawing.rule((at, top), (at, top + HEIGHT), "fainter");
        drawing.note((at, top + HEIGHT + 16.0), "middle", &figure(x, ""));
    }
    drawing.note((left + WIDTH / 2.0, top + HEIGHT + 32.0), "middle", "nodes");
    for (no, curve) in curves.iter().enumerate() {
        let colour = COLOURS[curve.colour % COLOURS.len()];
        let points: Vec<_> = curve.points.iter().map(|point| place(*point)).collect();
        drawing.curve(&points, colour, curve.dashed);
        let y = top + HEIGHT + 54.0 + 17.0 * no as f64;
        drawing.curve(&[(left, y - 4.0), (left + 22.0, y - 4.0)], colour, curve.dashed);
        drawing.note((left + 28.0, y), "start", &curve.name);
    }
}

/// A number as it is read: 1,000 and not 1000.
fn figure(value: f64, unit: &str) -> String {
    let digits = if value < 1.0 { format!("{value}") } else { format!("{value:.0}") };
    match digits.len() {
        4.. if value >= 1_000.0 => {
            let (thousands, rest) = digits.split_at(digits.len() - 3);
            format!("{thousands},{rest}{unit}")
        }
        _ => format!("{digits}{unit}"),
    }
}
