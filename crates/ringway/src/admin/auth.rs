//! Who may use the admin API: whoever has the token.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::AdminError;
use crate::guesses::{Guesses, Kind, refuse, source};

/// The token's digest. Digests are compared, so that neither time nor length tells anything of the token.
#[derive(Debug, Clone)]
pub(super) struct Token([u8; 32]);

impl Token {
    pub(super) fn new(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Takes the same time wherever they differ.
    fn is(&self, given: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.0.ct_eq(&given).into()
    }
}

/// Lets a request with the token through, whatever its address has tried before. Any text is a token, so the header is compared as bytes.
pub(super) async fn check(State((token, guesses)): State<(Token, Guesses)>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    let Some(given) = given else {
        return AdminError::unauthorized("the admin API needs the admin token").into_response();
    };
    if token.is(given) {
        return next.run(request).await;
    }
    let reply = guesses.wrong(source(request.extensions()), Kind::AdminToken);
    refuse(reply, AdminError::unauthorized("this is not the admin token"), AdminError::too_many_tokens()).await
}

/// What follows `Bearer `, whose case does not matter.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Token::new("token");
        for (given, is) in [("token", true), ("", false), ("toke", false), ("tokens", false), ("Token", false)] {
            assert_eq!(token.is(given.as_bytes()), is, "{given}");
        }
        assert!(!token.is(&[0xff]));
    }
}
