//! Doors for fuzzing: bytes of a peer that keeps no rule, straight to the machines. What may not happen is asserted.

use crate::backend::{Command, Event, MAX_CANDIDATES};
use crate::frame::INITIAL_WINDOW;
use crate::signalling::{Role, Signalling};
use crate::stream::{Bounds, Stream};

/// Cuts bytes at lengths that they themselves say.
fn parts(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = bytes.split_first()?;
        let (part, left) = rest.split_at_checked(usize::from(*len) * 8).unwrap_or((rest, &[]));
        bytes = left;
        Some(part)
    })
}

/// Messages of a data channel.
pub fn stream(bytes: &[u8]) {
    const MAX_UNREAD: usize = 1 << 16;
    let mut stream = Stream::new(Bounds { window: INITIAL_WINDOW, max_unread: MAX_UNREAD });
    let (mut handed, mut said) = (0, 0);
    for (turn, part) in parts(bytes).enumerate() {
        stream.receive(part, MAX_UNREAD);
        assert!(stream.unread() <= INITIAL_WINDOW as usize);
        match turn % 7 {
            1 => drop(stream.write(part)),
            3 => drop(stream.read(&mut [0; 100])),
            5 if turn > 7 => drop(stream.close()),
            6 if turn > 14 => stream.abandon(),
            _ => {}
        }
        while let Some(frame) = stream.next_frame() {
            handed += frame.len() as u64;
            said += 1;
            stream.sent(handed);
        }
        assert!(said <= 4 * (turn + 1) + bytes.len());
    }
}

/// A signalling stream; the first byte chooses the role.
pub fn signalling(bytes: &[u8]) {
    let Some((role, bytes)) = bytes.split_first() else { return };
    let mut machine = Signalling::new(if role & 1 == 0 { Role::Offerer } else { Role::Answerer });
    let mut given = 0;
    for part in parts(bytes) {
        if machine.receive(part).is_err() {
            return;
        }
        for command in std::mem::take(&mut machine.output.commands) {
            given += 1;
            if matches!(command, Command::Offer | Command::Answer(_)) {
                assert!(machine.event(Event::Description(String::new())).is_ok());
            }
        }
        assert!(given <= MAX_CANDIDATES + 2);
    }
    assert!(machine.end().is_ok() == (given > 0 && machine.step() == crate::error::Step::Connect));
}
