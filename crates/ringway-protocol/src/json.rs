//! JSON that others wrote and we pass on: checked, compacted, never parsed into a tree.
//!
//! Payloads are somebody else's documents. They keep their exact text, but for white space between tokens: a raw
//! newline would end a message of the Centrifuge framing, so it must not survive.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

pub(crate) mod fields;
pub(crate) mod lenient;
mod object;

pub(crate) use object::{Object, list, number, string, whole};

/// Deepest nesting that a payload may have. Parsers of clients give up on deep documents (Rust's serde_json at 128,
/// Python's at about 1,000), and a push wraps the payload three levels deep: a deeper one would be an attack on the
/// other subscribers. It is refused as if there were none.
pub const PAYLOAD_DEPTH: usize = 100;

/// Why a payload was refused. Nothing was stored or sent.
#[derive(Debug, thiserror::Error)]
pub enum InvalidJson {
    /// The bytes are not UTF-8 text.
    #[error("the payload is not UTF-8 text")]
    NotUtf8(#[from] std::str::Utf8Error),
    /// The text is not exactly one JSON document.
    #[error("the payload is not one JSON document: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Arrays and objects are nested deeper than [`PAYLOAD_DEPTH`].
    #[error("the payload is nested deeper than {PAYLOAD_DEPTH} levels")]
    TooDeep,
}

/// Checks that `bytes` are one JSON document of bearable depth and strips the white space between its tokens. Borrows
/// when there is none, which is the normal case, so that compact payloads cost no copy.
///
/// # Errors
/// [`InvalidJson`] if the bytes are not UTF-8, not one JSON document, or nested too deep.
pub fn payload(bytes: &[u8]) -> Result<Cow<'_, [u8]>, InvalidJson> {
    let document: &RawValue = serde_json::from_str(std::str::from_utf8(bytes)?)?;
    compact(document.get().as_bytes())
}

/// Whether bytes are one JSON document of bearable depth without white space around or between its tokens: [`payload`] leaves them as they are.
pub fn is_compact(bytes: &[u8]) -> bool {
    matches!(payload(bytes), Ok(Cow::Borrowed(document)) if document.len() == bytes.len())
}

/// Any bytes as a document, for readers of JSON: what is one is told compact, as far as it is of bearable depth, and everything else as
/// a string with its Base64 (the standard alphabet, padded).
pub fn told(bytes: &[u8]) -> Cow<'_, [u8]> {
    payload(bytes).unwrap_or_else(|_| Cow::Owned(format!("\"{}\"", STANDARD.encode(bytes)).into_bytes()))
}

/// Strips the white space between the tokens of a document that is known to be valid JSON.
fn compact(document: &[u8]) -> Result<Cow<'_, [u8]>, InvalidJson> {
    let mut scan = Scan { document, at: 0, depth: 0 };
    scan.tokens()?;
    if scan.at == document.len() {
        return Ok(Cow::Borrowed(document));
    }
    let mut kept = Vec::with_capacity(document.len());
    kept.extend_from_slice(&document[..scan.at]);
    while scan.at < document.len() {
        scan.white_space();
        let start = scan.at;
        scan.tokens()?;
        kept.extend_from_slice(&document[start..scan.at]);
    }
    Ok(Cow::Owned(kept))
}

/// A walk over a valid document that tells tokens from the white space between them.
struct Scan<'a> {
    document: &'a [u8],
    at: usize,
    depth: usize,
}

impl Scan<'_> {
    /// Walks to the next white space outside of strings, or to the end.
    fn tokens(&mut self) -> Result<(), InvalidJson> {
        while let Some(&byte) = self.document.get(self.at) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => break,
                b'"' => self.string(),
                b'[' | b'{' if self.depth == PAYLOAD_DEPTH => return Err(InvalidJson::TooDeep),
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
        Ok(())
    }

    /// From the opening quote of a string to its closing one.
    fn string(&mut self) {
        self.at += 1;
        while let Some(&byte) = self.document.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    fn white_space(&mut self) {
        while matches!(self.document.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests;
