//! A disk: writes in order, each all or nothing. What is told to be written is durable only a moment later; a crash in
//! between keeps some of the waiting writes, in order, and loses the rest. The one that tears is lost whole, as the stores
//! drop a torn tail.

use ledgerno_ledger::hostile::Dice;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// One write: items for the log, and records by name, none to delete.
#[derive(Clone, Debug)]
pub struct Write {
    /// The engine's number for it.
    pub no: u64,
    /// Items for the log.
    pub log: Vec<Rc<[u8]>>,
    /// Records.
    pub records: Vec<(String, Option<Vec<u8>>)>,
}

/// What is durable, and what waits to be.
#[derive(Debug, Default)]
pub struct Disk {
    /// The durable log.
    pub log: Vec<Rc<[u8]>>,
    /// The durable records.
    pub records: BTreeMap<String, Vec<u8>>,
    waiting: VecDeque<Write>,
    /// When the last waiting write is done.
    busy_until: u64,
}

impl Disk {
    /// A disk on which all this is durable.
    pub fn over(log: Vec<Rc<[u8]>>, records: BTreeMap<String, Vec<u8>>) -> Self {
        Disk { log, records, waiting: VecDeque::new(), busy_until: 0 }
    }

    /// A copy of what is durable; what waits is not on it.
    pub fn backup(&self) -> Self {
        Disk::over(self.log.clone(), self.records.clone())
    }

    /// Takes a write; when it is durable, if each takes so long.
    pub fn push(&mut self, write: Write, now: u64, takes: u64) -> u64 {
        self.waiting.push_back(write);
        self.busy_until = self.busy_until.max(now) + takes;
        self.busy_until
    }

    /// The oldest waiting write becomes durable.
    pub fn flush_one(&mut self) -> Option<Write> {
        let write = self.waiting.pop_front()?;
        self.log.extend(write.log.iter().cloned());
        for (name, bytes) in &write.records {
            match bytes {
                Some(bytes) => self.records.insert(name.clone(), bytes.clone()),
                None => self.records.remove(name),
            };
        }
        Some(write)
    }

    /// The power fails: some of the waiting writes are durable, though nobody was told; the others are lost.
    pub fn crash(&mut self, dice: &mut Dice) -> Vec<Write> {
        let kept = dice.below(self.waiting.len() + 1);
        let kept = (0..kept).filter_map(|_| self.flush_one()).collect();
        self.waiting.clear();
        self.busy_until = 0;
        kept
    }

    /// How many writes wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_keeps_a_beginning() {
        for seed in 0..50 {
            let mut disk = Disk::default();
            for no in 0..5u8 {
                let write = Write { no: no.into(), log: vec![Rc::from([no].as_slice())], records: Vec::new() };
                assert_eq!(disk.push(write, 10, 2), 12 + 2 * u64::from(no), "one after the other");
            }
            disk.flush_one();
            disk.crash(&mut Dice::new(seed));
            assert!((1..=5).contains(&disk.log.len()));
            assert!(disk.log.iter().enumerate().all(|(at, item)| item[0] as usize == at));
            assert_eq!(disk.waiting(), 0);
        }
    }
}
