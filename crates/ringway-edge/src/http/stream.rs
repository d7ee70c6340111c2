//! The head of an answer whose body ends with its connection (RFC 9112, 6.3, rule 8). Such a body needs no framing of its own, so
//! clients of HTTP/1.0 and 1.1 get the same bytes; a proxy frames it as it likes.

use bytes::Bytes;
use hyper::Response;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};

/// The head as it is sent.
pub(super) fn head(response: &Response<()>) -> Bytes {
    let status = response.status();
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(status.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    head.extend_from_slice(b"\r\nconnection: close\r\n");
    let is_ours = |name: &HeaderName| [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name);
    for (name, value) in response.headers().iter().filter(|(name, _)| !is_ours(name)) {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    Bytes::from(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_its_fields_and_no_length() {
        let response = Response::builder().header("content-type", "text/event-stream").header("content-length", "7");
        let expected = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
        assert_eq!(head(&response.body(()).unwrap()), expected);
    }
}
