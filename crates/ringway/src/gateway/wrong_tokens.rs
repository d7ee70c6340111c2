//! Wrong tokens of clients, whatever they are shown with: to connect, to stay, or for a channel. They are counted by the address that they
//! come from, so that whoever has one good connection guesses no faster than others.
//!
//! A token that was signed with the gateway's secret is no guess, also where it has expired, is somebody else's or has claims that
//! are of no use.

use std::sync::Arc;
use std::time::Duration;

use ringway_edge::{Conn, Flow};
use ringway_hub::{Ask, Command, Ticket};
use ringway_protocol::centrifuge::Disconnect;

use super::desk::{Commands, Desk};
use crate::guesses::{Guesses, Kind, Network, Reply};

/// Counts the wrong tokens of one message, and says what it comes to: what the worst of them does.
pub(super) fn look(guesses: &Guesses, from: Network, commands: &[Command]) -> Reply {
    let wrong = commands.iter().filter(|command| command.ask.is_guess());
    wrong.map(|_| guesses.wrong(from, Kind::ClientToken)).max().unwrap_or(Reply::AtOnce)
}

/// Somebody may not come in for the token of this message.
pub(super) fn is_of_stranger(commands: &[Command]) -> bool {
    commands.iter().any(|command| matches!(command.ask, Ask::Connect(_)) && command.ask.is_guess())
}

/// What nobody will carry out any more, for its client is closed before, does not wait with the rest.
pub(super) fn end_at_last(commands: &mut Commands) {
    let ends = |command: &Command| matches!(command.ask, Ask::Connect(_) | Ask::Refresh(_)) && command.ask.is_guess();
    if let Some(last) = commands.iter().position(ends) {
        commands.truncate(last + 1);
    }
}

/// Closes a client of whose address there were too many wrong tokens. The hub need not look at it.
pub(super) fn turn_away(conn: &Arc<Conn>) -> Flow {
    let why = Disconnect::InvalidToken;
    conn.close(why.code(), why.reason());
    Flow::Continue
}

/// Hands a message with a wrong token on after a while: that is when it is answered. Nothing more of its client is read until then.
pub(super) fn hand_on_late(
    desk: &Arc<Desk>,
    conn: &Arc<Conn>,
    ticket: &Arc<Ticket>,
    commands: Commands,
    after: Duration,
) -> Flow {
    let (desk, conn, ticket) = (desk.clone(), conn.clone(), ticket.clone());
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        // The connection may have ended: its ticket names no session any more.
        if matches!(desk.push_commands(&conn, &ticket, commands), Flow::Continue) {
            conn.resume();
        }
    });
    Flow::Pause
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ringway_protocol::centrifuge::json;
    use serde_json::{Value, json};

    use super::*;
    use ringway_hub::Verifier;

    const SECRET: &str = "secret";

    fn signed(secret: &str, claims: &Value) -> String {
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
    }

    /// Every command that shows a token.
    fn showing(token: &str) -> [Value; 4] {
        [
            json!({"id": 1, "connect": {"token": token}}),
            json!({"id": 1, "refresh": {"token": token}}),
            json!({"id": 1, "subscribe": {"channel": "news", "token": token}}),
            json!({"id": 1, "sub_refresh": {"channel": "news", "token": token}}),
        ]
    }

    fn commands(asked: &[Value]) -> Commands {
        let verifier = Verifier::new(Some(SECRET), || Duration::from_secs(1_000));
        let lines = asked.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        let commands = json::decode_frame(lines.as_bytes()).unwrap().map(|command| command.unwrap());
        commands.map(|command| Command::of(command, &verifier)).collect()
    }

    fn address(last: u8) -> Network {
        Network::of(IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn every_wrong_token_counts_whatever_it_is_shown_with_and_no_other_does() {
        let claims = json!({"sub": "ann", "channel": "news"});
        let wrong = [
            signed("another", &claims),
            signed("another", &json!({"exp": 1})),
            "garbage".to_owned(),
            "a.b.c".to_owned(),
            signed(SECRET, &claims) + "x",
        ];
        let right = [
            signed(SECRET, &claims),
            signed(SECRET, &json!({"sub": "ann"})),
            signed(SECRET, &json!({"sub": "ann", "exp": 1})),
            signed(SECRET, &json!({"channel": "news", "exp": 1})),
            signed(SECRET, &json!({"channel": "other"})),
            signed(SECRET, &json!({"channel": "news", "override": {}})),
            signed(SECRET, &json!({"channel": "news", "sub": 7})),
            signed(SECRET, &json!({"channel": "news", "b64info": "%"})),
        ];
        for (tokens, counts) in [(&wrong[..], 1), (&right[..], 0)] {
            for (token, asked) in tokens.iter().flat_map(|token| showing(token).map(|asked| (token, asked))) {
                let guesses = Guesses::default();
                look(&guesses, address(1), &commands(std::slice::from_ref(&asked)));
                assert_eq!(guesses.counts()[2].1, counts, "{asked} with {token}");
            }
        }
    }

    #[test]
    fn whatever_shows_them_ten_of_an_address_are_told_at_once_then_late_and_then_they_are_the_last() {
        for asked in showing("garbage") {
            let guesses = Guesses::default();
            let asked = commands(&[asked]);
            let replies: Vec<Reply> = (0..100).map(|_| look(&guesses, address(1), &asked)).collect();
            assert!(replies[..10].iter().all(|reply| *reply == Reply::AtOnce));
            assert!(replies[10..60].iter().all(|reply| reply.delay().is_some()));
            assert_eq!(replies[99], Reply::Last);
            assert_eq!(look(&guesses, address(2), &asked), Reply::AtOnce, "another address waits for nothing");
            let right = commands(&showing(&signed(SECRET, &json!({"sub": "ann"}))));
            assert_eq!(look(&guesses, address(1), &right), Reply::AtOnce, "nor who shows what is right");
        }
    }

    #[test]
    fn all_of_one_message_count_and_it_is_answered_as_its_worst_one() {
        let (guesses, [_, _, subscribe, _]) = (Guesses::default(), showing("garbage"));
        assert_eq!(look(&guesses, address(1), &commands(&vec![subscribe.clone(); 10])), Reply::AtOnce);
        assert!(look(&guesses, address(1), &commands(&[subscribe.clone(), subscribe.clone()])).delay().is_some());
        assert_eq!(look(&guesses, address(1), &commands(&vec![subscribe; 200])), Reply::Last);
        assert_eq!(guesses.counts()[2].1, 212);
    }

    #[test]
    fn what_nobody_will_carry_out_is_not_kept() {
        let [connect, refresh, subscribe, renew] = showing("garbage");
        for (asked, kept) in [
            (vec![connect.clone(), subscribe.clone()], 1),
            (vec![subscribe.clone(), refresh, subscribe.clone()], 2),
            (vec![subscribe, renew, showing("").into_iter().next().unwrap()], 3),
        ] {
            let mut commands = commands(&asked);
            end_at_last(&mut commands);
            assert_eq!(commands.len(), kept, "{asked:?}");
        }
        assert!(is_of_stranger(&commands(&[connect])) && !is_of_stranger(&commands(&showing("")[..])));
    }
}
