//! As much of protobuf as libp2p's small messages need: numbers and byte strings under field numbers, and messages with
//! their length before them.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of a message with a length at most; circuits are asked for with some hundred.
const MAX_MESSAGE: usize = 4_096;

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a malformed protobuf message")]
pub(crate) struct Malformed;

impl From<Malformed> for io::Error {
    fn from(error: Malformed) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a type that none of ours has.
    Other,
}

/// The fields of a message, in order. Of a field that is there twice, the last one counts.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.part(8).map(|_| Value::Other)?,
            2 => {
                let len = self.number()?;
                Value::Bytes(self.part(len)?)
            }
            5 => self.part(4).map(|_| Value::Other)?,
            _ => return Err(Malformed),
        };
        Ok((tag >> 3, value))
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn part(&mut self, len: u64) -> Result<&'a [u8], Malformed> {
        let (part, rest) = usize::try_from(len).ok().and_then(|len| self.0.split_at_checked(len)).ok_or(Malformed)?;
        self.0 = rest;
        Ok(part)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Adds a number.
pub(crate) fn put_number(message: &mut Vec<u8>, field: u8, number: u64) {
    message.push(field << 3);
    put_varint(message, number);
}

/// Adds a byte string, or a message.
pub(crate) fn put_bytes(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(field << 3 | 2);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

pub(crate) fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

/// Writes a message with its length.
pub(crate) async fn send<T: AsyncWrite + Unpin>(io: &mut T, message: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(message.len() + 5);
    put_varint(&mut bytes, message.len() as u64);
    bytes.extend_from_slice(message);
    io.write_all(&bytes).await?;
    io.flush().await
}

/// Reads a message with its length, and not a byte after it.
pub(crate) async fn receive<T: AsyncRead + Unpin>(io: &mut T) -> io::Result<Vec<u8>> {
    receive_at_most(io, MAX_MESSAGE).await
}

/// The same, with another bound.
pub(crate) async fn receive_at_most<T: AsyncRead + Unpin>(io: &mut T, max: usize) -> io::Result<Vec<u8>> {
    let (mut len, mut shift) = (0, 0);
    loop {
        let mut byte = [0];
        io.read_exact(&mut byte).await?;
        len |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
        if shift > 14 {
            return Err(Malformed.into());
        }
    }
    if len > max {
        return Err(Malformed.into());
    }
    let mut message = vec![0; len];
    io.read_exact(&mut message).await?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use futures::{executor::block_on, io::Cursor};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fields_come_back(fields in prop::collection::vec((1u8..16, any::<u64>(), prop::collection::vec(any::<u8>(), 0..300)), 0..8)) {
            let mut message = Vec::new();
            for (field, number, bytes) in &fields {
                put_number(&mut message, *field, *number);
                put_bytes(&mut message, *field, bytes);
            }
            let read: Vec<_> = Fields(&message).map(Result::unwrap).collect();
            let written: Vec<_> = fields
                .iter()
                .flat_map(|(field, number, bytes)| {
                    [(u64::from(*field), Value::Number(*number)), (u64::from(*field), Value::Bytes(bytes))]
                })
                .collect();
            prop_assert_eq!(read, written);
        }

        /// Any bytes are fields up to some place, and then an error or nothing.
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let read: Vec<_> = Fields(&bytes).collect();
            prop_assert!(read.len() <= bytes.len());
            prop_assert!(read.iter().rev().skip(1).all(Result::is_ok));
        }

        #[test]
        fn a_message_is_read_and_nothing_after_it(message in prop::collection::vec(any::<u8>(), 0..MAX_MESSAGE), after in any::<[u8; 3]>()) {
            let mut io = Cursor::new(Vec::new());
            block_on(send(&mut io, &message)).unwrap();
            let mut bytes = io.into_inner();
            bytes.extend(after);
            let mut io = Cursor::new(&bytes);
            prop_assert_eq!(block_on(receive(&mut io)).unwrap(), message);
            prop_assert_eq!(io.position() as usize, bytes.len() - 3);
        }
    }

    #[test]
    fn a_length_over_the_bound_is_refused_before_anything_else_is_read() {
        for bytes in [&[0x81, 0x20, 0, 0][..], &[0xff, 0xff, 0x7f, 0], &[0xff, 0xff, 0xff, 0xff, 0xff]] {
            let mut io = Cursor::new(bytes);
            assert_eq!(block_on(receive(&mut io)).unwrap_err().kind(), io::ErrorKind::InvalidData);
            assert!(io.position() <= 3);
        }
    }
}
