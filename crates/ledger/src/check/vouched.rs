//! What a certificate stands for. A header names by its `entries_root` every entry that it settles, in order, and an id
//! names all that is signed in an entry. So entries that hash to the root of a header whose votes hold are those that a
//! quorum held and checked, whoever brings them: they are taken in by hash. Their form is checked as ever, for it is
//! cheap. Keys and signatures are left for later ([`super::check_batch`]), and till then the entries go to nobody: the
//! signature stands beside the id, and whoever brought it may have spoiled it.

use super::{Checked, Refused, check_shape};
use crate::bytes::{CircleId, EntryId};
use crate::codec::CodecError;
use crate::entry::Packed;
use crate::hash::{Hashing, context};
use crate::merkle::ENTRIES;
use crate::settle::Header;
use alloc::vec::Vec;
use thiserror::Error;

/// Why entries are not those of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unvouched {
    /// Another number of entries.
    #[error("the header settles {says} entries, and there are {are}")]
    Count {
        /// What the header says.
        says: u32,
        /// How many came.
        are: usize,
    },
    /// One is another, is missing or stands elsewhere.
    #[error("the entries are not those of the header, in its order")]
    Root,
    /// One is none: its bytes do not read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// One is none by its form: then the quorum held none.
    #[error(transparent)]
    Form(#[from] Refused),
}

/// All entries of one header, in settled order, of which everything holds but what keys and signatures say. Each stays in
/// its place till it is taken.
#[derive(Clone, Debug)]
pub struct Vouched(Vec<Option<Checked>>);

impl Vouched {
    /// Reads entries from their canonical bytes, and holds them to a header. That its votes hold is the chain's to say.
    ///
    /// # Errors
    /// [`Unvouched`].
    #[cfg_attr(page, optimize(speed))]
    pub fn read<'a>(
        circle: CircleId,
        header: &Header,
        entries: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<Self, Unvouched> {
        if header.entries as usize != entries.len() {
            return Err(Unvouched::Count { says: header.entries, are: entries.len() });
        }
        let (mut ids, mut bodies) = (Hashing::new(context::ENTRY), Hashing::new(context::BODY));
        let mut read = Vec::with_capacity(entries.len());
        for bytes in entries {
            let (id, packed) = Packed::decode_named(circle, bytes, &mut ids)?;
            read.push(Some(Checked { packed, id }));
        }
        let entries = Vouched(read);
        if ENTRIES.root(entries.all().map(|entry| &entry.id.0)) != header.entries_root {
            return Err(Unvouched::Root);
        }
        for checked in entries.all() {
            check_shape(circle, &checked.packed, &mut bodies)?;
        }
        Ok(entries)
    }

    fn all(&self) -> impl Iterator<Item = &Checked> + '_ {
        self.0.iter().flatten()
    }

    /// Each with its id, in settled order.
    pub fn iter(&self) -> impl Iterator<Item = (EntryId, &Packed)> + '_ {
        self.all().map(|checked| (checked.id, &checked.packed))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one in a place, unless it was taken.
    pub fn get(&self, at: usize) -> Option<&Checked> {
        self.0.get(at)?.as_ref()
    }

    pub(crate) fn take(&mut self, at: usize) -> Option<Checked> {
        self.0.get_mut(at)?.take()
    }
}
