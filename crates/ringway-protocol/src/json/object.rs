//! Writes JSON straight into a buffer: no tree in between, and the caller's buffer is the only allocation.

use serde::Serialize;

/// Writes a number, a boolean or a string as JSON.
fn scalar<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("a Vec takes every write and scalars always serialize");
}

/// Writes a string with its quotes and escapes.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    scalar(out, text);
}

/// Writes a number.
pub(crate) fn number(out: &mut Vec<u8>, number: u64) {
    scalar(out, &number);
}

/// Writes an array, each item by `write`.
pub(crate) fn list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Writes one object: `{`, what `fill` adds, `}`.
pub(crate) fn whole(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fill(&mut Object { out, empty: true });
    out.push(b'}');
}

/// An object being written. The plain methods leave out what is empty, as the protocols do; the `always_` ones don't.
#[derive(Debug)]
pub(crate) struct Object<'b> {
    out: &'b mut Vec<u8>,
    empty: bool,
}

impl Object<'_> {
    /// The buffer, placed where the value of `name` goes. Names are constants that need no escape.
    pub(crate) fn key(&mut self, name: &'static str) -> &mut Vec<u8> {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Like [`Object::key`] for a name that somebody else chose.
    pub(crate) fn foreign_key(&mut self, name: &str) -> &mut Vec<u8> {
        self.separate();
        string(self.out, name);
        self.out.push(b':');
        self.out
    }

    fn separate(&mut self) {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(b',');
        }
    }

    /// `true`, or nothing.
    pub(crate) fn flag(&mut self, name: &'static str, value: bool) {
        if value {
            self.key(name).extend_from_slice(b"true");
        }
    }

    /// A number other than 0, or nothing.
    pub(crate) fn number(&mut self, name: &'static str, value: u64) {
        if value != 0 {
            self.always_number(name, value);
        }
    }

    /// A number, 0 too.
    pub(crate) fn always_number(&mut self, name: &'static str, value: u64) {
        number(self.key(name), value);
    }

    /// Text, unless it is empty.
    pub(crate) fn text(&mut self, name: &'static str, value: &str) {
        if !value.is_empty() {
            self.always_text(name, value);
        }
    }

    /// Text, the empty one too.
    pub(crate) fn always_text(&mut self, name: &'static str, value: &str) {
        string(self.key(name), value);
    }

    /// A document as it is, unless there is none.
    pub(crate) fn raw(&mut self, name: &'static str, document: &[u8]) {
        if !document.is_empty() {
            self.key(name).extend_from_slice(document);
        }
    }

    /// `null`, where a field must be present.
    pub(crate) fn null(&mut self, name: &'static str) {
        self.key(name).extend_from_slice(b"null");
    }

    /// An object inside this one.
    pub(crate) fn object(&mut self, name: &'static str, fill: impl FnOnce(&mut Object<'_>)) {
        whole(self.key(name), fill);
    }
}
