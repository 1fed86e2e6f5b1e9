//! What a certificate stands for. A header names by its `entries_root` every entry that it settles, in order, and an id
//! names all that is signed in an entry. So entries that hash to the root of a header whose votes hold are those that a
//! quorum held and checked, whoever brings them: they are taken in by hash. Their form is checked as ever, for it is
//! cheap. Keys and signatures are left for later ([`super::check_batch`]), and till then the entries go to nobody: the
//! signature stands beside the id, and whoever brought it may have spoiled it.

use super::{Checked, Refused, check_shape};
use crate::bytes::{CircleId, EntryId, Hash};
use crate::codec::CodecError;
use crate::entry::Packed;
use crate::hash::{context, hash_each};
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
        let (mut read, mut signed) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        for bytes in entries {
            let (packed, canonical) = Packed::decode_signed(bytes)?;
            read.push(packed);
            signed.push(canonical);
        }
        let ids = hash_each(context::ENTRY, &circle.0, &signed);
        if ENTRIES.root(&ids) != header.entries_root {
            return Err(Unvouched::Root);
        }
        let bodies: Vec<&[u8]> = read.iter().filter_map(|packed| packed.body.as_deref()).collect();
        let mut bodies = hash_each(context::BODY, &[], &bodies).into_iter();
        for packed in &read {
            let hash = packed.body.as_ref().and_then(|_| bodies.next()).map(Hash);
            check_shape(circle, packed, hash)?;
        }
        let checked = ids.into_iter().zip(read).map(|(id, packed)| Some(Checked { packed, id: EntryId(id) }));
        Ok(Vouched(checked.collect()))
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
