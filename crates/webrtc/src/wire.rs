//! The little of protobuf that both formats of this crate need: varints, fields, and messages behind their length.
//!
//! The rule: a message longer than [`MAX`] is refused by its prefix, before any of it is kept; whatever is not known is
//! skipped, as protobuf has it.

/// Longest message, its prefix not counted.
pub(crate) const MAX: usize = 16 * 1024;

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed or too long")]
pub(crate) struct Malformed;

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The varint at the beginning and its length; `None`: there is more to come.
fn varint(bytes: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        let part = u64::from(byte & 0x7f);
        if index == 9 && part > 1 {
            return Err(Malformed);
        }
        value |= part << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() < 10 { Ok(None) } else { Err(Malformed) }
}

/// A field's content, as far as anybody here reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of a message, one by one.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.number()?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let len = self.number()?;
                Value::Bytes(self.take(len)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return Err(Malformed),
        };
        Ok(Some((key >> 3, value)))
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let (value, len) = varint(self.0)?.ok_or(Malformed)?;
        self.0 = &self.0[len..];
        Ok(value)
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(len).ok().filter(|len| *len <= self.0.len()).ok_or(Malformed)?;
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(taken)
    }
}

/// Cuts a flow of bytes into messages by their prefixes, wherever the flow itself was cut.
#[derive(Default)]
pub(crate) struct Splitter {
    bytes: Vec<u8>,
    start: usize,
}

impl Splitter {
    /// Takes the next part. The caller then takes messages until there are none, so that less than one stays here.
    pub(crate) fn push(&mut self, part: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(part);
    }

    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Malformed> {
        let rest = &self.bytes[self.start..];
        let Some((len, prefix)) = varint(rest)? else { return Ok(None) };
        let len = usize::try_from(len).ok().filter(|len| *len <= MAX).ok_or(Malformed)?;
        let Some(message) = rest.get(prefix..prefix + len) else { return Ok(None) };
        self.start += prefix + len;
        Ok(Some(message))
    }
}

/// A message with its prefix.
pub(crate) fn prefixed(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 3);
    put_varint(&mut out, body.len() as u64);
    out.extend_from_slice(body);
    out
}
