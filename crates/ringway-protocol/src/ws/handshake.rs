//! The opening handshake: the accept key, and a client's request and its check of the answer.

use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use base64::{Engine, alphabet};
use sha1::{Digest, Sha1};
use thiserror::Error;

/// Fixed by RFC 6455, 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Longest response head a client takes: as much as usual HTTP servers allow.
pub const MAX_RESPONSE_HEAD: usize = 16 * 1024;

/// The `Sec-WebSocket-Accept` value for a client's `Sec-WebSocket-Key`.
#[must_use]
pub fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(GUID);
    BASE64_STANDARD.encode(hash.finalize())
}

/// Keys are never decoded to anything: what their last two bits are does not matter. The RFC's own example has some set.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Whether a `Sec-WebSocket-Key` is what the RFC asks for: 16 bytes in Base64.
#[must_use]
pub fn is_valid_key(key: &str) -> bool {
    LENIENT.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

/// A client's upgrade request and what its answer must hold.
#[derive(Debug, Clone)]
pub struct ClientRequest {
    text: String,
    accept: String,
}

impl ClientRequest {
    /// A request for `path` on `host` (`name:port`), with 16 random bytes as nonce and further header fields.
    #[must_use]
    pub fn new(host: &str, path: &str, nonce: [u8; 16], headers: &[(&str, &str)]) -> Self {
        let key = BASE64_STANDARD.encode(nonce);
        let mut text = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        );
        for (name, value) in headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        text.push_str("\r\n");
        Self { text, accept: accept_key(&key) }
    }

    /// The bytes to send.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Checks the server's answer, see [`check_response`].
    ///
    /// # Errors
    /// The server refused or did not speak WebSocket.
    pub fn check_response(&self, bytes: &[u8]) -> Result<Option<usize>, HandshakeError> {
        check_response(bytes, &self.accept)
    }
}

/// Why a client can't use the server's answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The server answered with another status, like 401 or 503.
    #[error("the server refused the upgrade with HTTP status {0}")]
    Refused(u16),
    /// The answer is no HTTP, or larger than [`MAX_RESPONSE_HEAD`].
    #[error("the answer to the upgrade is not HTTP/1.1")]
    NotHttp,
    /// The `Sec-WebSocket-Accept` field is missing or wrong.
    #[error("the answer to the upgrade has no valid Sec-WebSocket-Accept")]
    BadAccept,
}

/// Checks the answer to an upgrade request: the length of its head once that is complete; frames follow it.
///
/// # Errors
/// The server refused or did not speak WebSocket.
pub fn check_response(bytes: &[u8], accept: &str) -> Result<Option<usize>, HandshakeError> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > MAX_RESPONSE_HEAD { Err(HandshakeError::NotHttp) } else { Ok(None) };
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| HandshakeError::NotHttp)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(parse_status).ok_or(HandshakeError::NotHttp)?;
    if status != 101 {
        return Err(HandshakeError::Refused(status));
    }
    let accepted = lines
        .filter_map(|line| line.split_once(':'))
        .any(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == accept);
    if accepted { Ok(Some(end + 4)) } else { Err(HandshakeError::BadAccept) }
}

fn parse_status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()
}
