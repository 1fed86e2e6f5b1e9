//! The program that people start.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The program, killed when the test ends whatever happens.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait().map(drop)) {
            eprintln!("{error}");
        }
    }
}

impl Program {
    fn start(data: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerno-relay"));
        command.args(["--listen", "127.0.0.1:0", "--data"]).arg(data).args(more);
        command.env_remove("LC_ALL").env("LANG", "C").stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// The values of both lines that programs read.
    fn links(&mut self) -> [String; 2] {
        let mut lines = BufReader::new(self.0.stdout.take().unwrap()).lines().map(Result::unwrap);
        ["owner: ", "page: "].map(|name| {
            let line = lines.by_ref().find(|line| line.starts_with(name)).expect("the line");
            line[name.len()..].to_owned()
        })
    }
}

#[test]
fn the_program_prints_links_that_stay() {
    let folder = tempfile::tempdir().unwrap();
    let url = ["--public-url", "https://ledger.example"];
    let links = Program::start(folder.path(), &url).links();
    assert_eq!(links[1], "https://ledger.example/");
    assert!(links[0].starts_with("https://ledger.example/#/owner/"));
    // The first was killed: nothing was left to do at its end.
    assert_eq!(Program::start(folder.path(), &url).links(), links);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_program_in_order() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Program::start(folder.path(), &[]);
        program.links();
        assert!(Command::new("kill").args(["-s", signal, &program.0.id().to_string()]).status().unwrap().success());
        assert_eq!(program.0.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_level_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerno-relay"));
    command.args(["--listen", "127.0.0.1:0", "--log", "loud", "--data"]).arg(folder.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("'loud'") && said.contains("use error, warn, info, debug or trace"), "{said}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing was begun");
}

#[test]
fn a_damaged_store_is_told_in_the_readers_language() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ledgerno.redb"), b"no store").unwrap();
    for (language, word) in [("C", "Nothing was changed"), ("ja_JP.UTF-8", "データが壊れているため")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerno-relay"));
        command.args(["--listen", "127.0.0.1:0", "--data"]).arg(folder.path());
        let output = command.env_remove("LC_ALL").env_remove("LC_MESSAGES").env("LANG", language).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        let sentence = said.lines().last().unwrap_or_default();
        assert!(sentence.contains(word) && sentence.contains("ledgerno.redb"), "{said}");
    }
    assert_eq!(std::fs::read(folder.path().join("ledgerno.redb")).unwrap(), b"no store");
}

#[test]
fn the_program_says_in_one_sentence_that_the_port_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (language, word) in [("C", "is in use"), ("ja_JP.UTF-8", "使っています")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerno-relay"));
        command.args(["--listen", &address, "--data"]).arg(folder.path());
        let output = command.env_remove("LC_ALL").env_remove("LC_MESSAGES").env("LANG", language).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(&address) && said.contains(word), "{said}");
    }
}
