//! The native side of the ingest benchmark. `ledgerno-load ENTRIES AUTHORS [BY_HEADER]` makes the history, nothing of it
//! settled or so many entries by each header, and says `ready`; each line that it then reads is a run, answered by the
//! milliseconds that it took.

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use ledgerno_load::Load;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("ledgerno-load: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let load = match *numbers.as_slice() {
        [entries, authors] => Load::new(entries, authors),
        [entries, authors, by_header] if by_header > 0 => Load::settled(entries, authors, by_header),
        _ => return Err("usage: ledgerno-load ENTRIES AUTHORS [BY_HEADER]".into()),
    };
    let mut load = load.map_err(|why| format!("{why:?}"))?;
    say("ready")?;
    for line in std::io::stdin().lock().lines() {
        line.map_err(|why| why.to_string())?;
        let begin = Instant::now();
        load.ingest().map_err(|why| format!("{why:?}"))?;
        say(&format!("{:.3}", begin.elapsed().as_secs_f64() * 1_000.0))?;
    }
    Ok(())
}

fn say(line: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|why| why.to_string())
}
