//! Writes Protobuf straight into a buffer, field by field. What is empty is left out, as proto3 has it.

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// A message being written.
#[derive(Debug)]
pub(super) struct Fields<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> Fields<'b> {
    /// Fields are appended to this.
    pub(super) fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A number other than 0, or nothing.
    pub(super) fn number(&mut self, field: u32, value: u64) {
        if value != 0 {
            encode_key(field, WireType::Varint, self.out);
            encode_varint(value, self.out);
        }
    }

    /// `true`, or nothing.
    pub(super) fn flag(&mut self, field: u32, value: bool) {
        self.number(field, value.into());
    }

    /// Text, unless it is empty.
    pub(super) fn text(&mut self, field: u32, text: &str) {
        self.raw(field, text.as_bytes());
    }

    /// Bytes, unless there are none.
    pub(super) fn raw(&mut self, field: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            encode_key(field, WireType::LengthDelimited, self.out);
            encode_varint(bytes.len() as u64, self.out);
            self.out.extend_from_slice(bytes);
        }
    }

    /// A message, also an empty one.
    ///
    /// Its length is known when it is written. One byte is left for it, and what does not fit there moves the message.
    pub(super) fn message(&mut self, field: u32, fill: impl FnOnce(&mut Fields<'_>)) {
        encode_key(field, WireType::LengthDelimited, self.out);
        let at = self.out.len();
        self.out.push(0);
        fill(&mut Fields::new(self.out));
        let length = (self.out.len() - at - 1) as u64;
        match encoded_len_varint(length) {
            1 => self.out[at] = length as u8,
            size => self.write_length(at, length, size),
        }
    }

    fn write_length(&mut self, at: usize, length: u64, size: usize) {
        let end = self.out.len();
        self.out.resize(end + size - 1, 0);
        self.out.copy_within(at + 1..end, at + size);
        encode_varint(length, &mut &mut self.out[at..at + size]);
    }
}
