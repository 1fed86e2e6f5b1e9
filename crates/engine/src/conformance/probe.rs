//! What a type's reader is called by: the names of fields and kinds, in their order, as serde has them.

use serde::de::value::{Error, U32Deserializer};
use serde::de::{DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use std::cell::Cell;

type Names = &'static [&'static str];

/// The fields of a struct.
pub fn fields<'de, T: Deserialize<'de>>() -> Names {
    probe::<T>(None)
}

/// The kinds of an enum.
pub fn kinds<'de, T: Deserialize<'de>>() -> Names {
    probe::<T>(None)
}

/// The fields of an enum's kind; none if it has no names for them.
pub fn fields_of<'de, T: Deserialize<'de>>(kind: &str) -> Names {
    let at = kinds::<T>().iter().position(|name| *name == kind);
    at.map_or(&[], |at| probe::<T>(u32::try_from(at).ok()))
}

fn probe<'de, T: Deserialize<'de>>(kind: Option<u32>) -> Names {
    let probe = Probe { kind, names: Cell::new(&[]) };
    // It reads nothing, so it gives nothing: the names are what is wanted.
    drop(T::deserialize(&probe));
    probe.names.get()
}

struct Probe {
    kind: Option<u32>,
    names: Cell<Names>,
}

impl Probe {
    fn stop<T>(&self, names: Names) -> Result<T, Error> {
        self.names.set(names);
        Err(Error::custom("nothing is read"))
    }
}

impl<'de> Deserializer<'de> for &Probe {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        self.stop(&[])
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, fields: Names, _: V) -> Result<V::Value, Error> {
        self.stop(fields)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, kinds: Names, reader: V) -> Result<V::Value, Error> {
        if self.kind.is_some() { reader.visit_enum(self) } else { self.stop(kinds) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for &Probe {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let kind: U32Deserializer<Error> = self.kind.unwrap_or(0).into_deserializer();
        Ok((seed.deserialize(kind)?, self))
    }
}

impl<'de> VariantAccess<'de> for &Probe {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Error> {
        self.stop(&[])
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        self.stop(&[])
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: Names, _: V) -> Result<V::Value, Error> {
        self.stop(fields)
    }
}
