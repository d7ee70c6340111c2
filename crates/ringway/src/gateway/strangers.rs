//! Clients that have not said who they are: where they come from, and what becomes of those with a wrong token.
//!
//! There may be very many clients, and an address has 17 bytes. So it stands beside them in a table, under a number that
//! costs a client nothing, and only until the client is known.

use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use ringway_edge::Flow;
use ringway_protocol::centrifuge::Disconnect;
use slab::Slab;

use super::Client;
use super::auth::TokenError;
use super::command::{Ask, Command};
use crate::guesses::{Guesses, Kind, Reply};

/// A wrong token of a client that was let in before is told so late, wherever it comes from: its address is not known any more.
const LATE: Duration = Duration::from_secs(1);

/// Shared by all connections of a gateway. There are no more in it than sockets.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    addresses: Mutex<Slab<IpAddr>>,
    guesses: Guesses,
}

/// One's number in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stranger(u32);

impl Stranger {
    /// Of a client that is known.
    pub(super) const NONE: Self = Self(u32::MAX);
}

impl Strangers {
    pub(super) fn new(guesses: Guesses) -> Self {
        Self { addresses: Mutex::default(), guesses }
    }

    pub(super) fn enter(&self, from: IpAddr) -> Stranger {
        Stranger(self.addresses.lock().insert(from) as u32)
    }

    /// It is known, or gone. Once is enough.
    pub(super) fn forget(&self, stranger: &mut Stranger) {
        if *stranger != Stranger::NONE {
            self.addresses.lock().try_remove(stranger.0 as usize);
            *stranger = Stranger::NONE;
        }
    }

    /// Looks at the tokens of what a client asks, and says what its first wrong one comes to.
    pub(super) fn look(&self, stranger: &mut Stranger, commands: &[Command]) -> Reply {
        for command in commands {
            match &command.ask {
                Ask::Connect(connect) => match &connect.credentials {
                    Some(Err(TokenError::Invalid)) => return self.wrong(*stranger),
                    // It is asked for a new one, on another connection.
                    Some(Err(TokenError::Expired)) => {}
                    Some(Ok(_)) | None => self.forget(stranger),
                },
                Ask::Refresh(token) if matches!(**token, Err(TokenError::Invalid)) => return self.wrong(*stranger),
                _ => {}
            }
        }
        Reply::AtOnce
    }

    fn wrong(&self, stranger: Stranger) -> Reply {
        let from = self.addresses.lock().get(stranger.0 as usize).copied();
        from.map_or(Reply::Late(LATE), |from| self.guesses.wrong(from, Kind::ClientToken))
    }
}

/// Closes a client whose token is wrong, now or after a while. It is not read from any more, and the hub need not look at it.
pub(super) fn turn_away(conn: &Client, after: Option<Duration>) -> Flow {
    let why = Disconnect::InvalidToken;
    let Some(after) = after else {
        conn.close(why.code(), why.reason());
        return Flow::Continue;
    };
    let conn = conn.clone();
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        conn.close(why.code(), why.reason());
        conn.resume();
    });
    Flow::Pause
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::Connect;

    fn connect(credentials: Option<TokenError>) -> [Command; 1] {
        let connect = Connect { credentials: credentials.map(Err), recover: Vec::new() };
        [Command { id: 1, ask: Ask::Connect(Box::new(connect)) }]
    }

    #[test]
    fn wrong_tokens_of_an_address_are_told_late_and_its_other_clients_are_let_in() {
        let strangers = Strangers::default();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let tries = |from| {
            let mut stranger = strangers.enter(from);
            let reply = strangers.look(&mut stranger, &connect(Some(TokenError::Invalid)));
            strangers.forget(&mut stranger);
            reply
        };
        assert!((0..10).all(|_| tries(one) == Reply::AtOnce));
        assert_eq!(tries(one), Reply::Late(LATE));
        assert_eq!(tries(other), Reply::AtOnce);
        let mut good = strangers.enter(one);
        assert_eq!(strangers.look(&mut good, &connect(None)), Reply::AtOnce);
        assert_eq!(good, Stranger::NONE, "it is known");
        assert!(strangers.addresses.lock().is_empty());
    }

    #[test]
    fn an_expired_token_is_no_guess_and_a_wrong_one_later_is_told_late() {
        let strangers = Strangers::default();
        let mut stranger = strangers.enter(IpAddr::from([10, 0, 0, 1]));
        for _ in 0..100 {
            assert_eq!(strangers.look(&mut stranger, &connect(Some(TokenError::Expired))), Reply::AtOnce);
        }
        strangers.forget(&mut stranger);
        let refresh = [Command { id: 2, ask: Ask::Refresh(Box::new(Err(TokenError::Invalid))) }];
        assert_eq!(strangers.look(&mut stranger, &refresh), Reply::Late(LATE));
    }
}
