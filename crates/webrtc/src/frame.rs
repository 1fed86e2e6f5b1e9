//! What a data channel carries: the spec's `Message { flag?, message? }`, each behind its length.
//!
//! One field is ours: 15, `window`, the number of bytes since the stream's beginning that its sender is ready to take, as
//! QUIC's MAX_STREAM_DATA. Whoever does not know it skips it. The first frame of a stream that knows it carries it; until
//! then the other side may send [`INITIAL_WINDOW`].

use crate::wire::{Fields, Malformed, Value, put_varint};

/// Longest frame with its prefix, as every browser can send it.
pub(crate) const MAX_FRAME: usize = 16 * 1024;
/// Bytes around the data at most: two lengths below 2^14, three keys, a flag and a window.
const OVERHEAD: usize = 2 + 2 + 3 + 1 + 10;
/// Most data of one frame.
pub(crate) const MAX_DATA: usize = MAX_FRAME - OVERHEAD;
/// What may be sent before the other side has said how much it takes.
pub(crate) const INITIAL_WINDOW: u64 = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    /// Nothing more will be sent.
    Fin = 0,
    /// What comes from now on is thrown away.
    StopSending = 1,
    /// The stream is broken off.
    Reset = 2,
    /// The other side's `Fin` came, and so everything before it.
    FinAck = 3,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) flag: Option<Flag>,
    pub(crate) window: Option<u64>,
    pub(crate) data: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A frame from its bytes without prefix. A flag that nobody knows is none.
    pub(crate) fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut frame = Frame::default();
        let mut fields = Fields(body);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Number(flag)) => {
                    frame.flag = match flag {
                        0 => Some(Flag::Fin),
                        1 => Some(Flag::StopSending),
                        2 => Some(Flag::Reset),
                        3 => Some(Flag::FinAck),
                        _ => None,
                    }
                }
                (2, Value::Bytes(data)) => frame.data = data,
                (15, Value::Number(window)) => frame.window = Some(window),
                (1 | 2 | 15, _) => return Err(Malformed),
                _ => {}
            }
        }
        Ok(frame)
    }

    /// The frame behind its prefix. The data is at most [`MAX_DATA`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(OVERHEAD);
        if let Some(flag) = self.flag {
            head.extend([1 << 3, flag as u8]);
        }
        if let Some(window) = self.window {
            head.push(15 << 3);
            put_varint(&mut head, window);
        }
        if !self.data.is_empty() {
            head.push(2 << 3 | 2);
            put_varint(&mut head, self.data.len() as u64);
        }
        let mut out = Vec::with_capacity(OVERHEAD + self.data.len());
        put_varint(&mut out, (head.len() + self.data.len()) as u64);
        out.extend_from_slice(&head);
        out.extend_from_slice(self.data);
        out
    }
}
