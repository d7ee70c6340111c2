//! Wrong secrets, as fast as they are taken up to a rate.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hyper::Method;
use ringway_core::{Incarnation, MemberId};
use ringway_protocol::link::{Handshake, Hello, Identity, Purpose, Roles, Versions, encode_handshake, preamble};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::super::party::{Beat, Party};
use super::client::Client;
use ringway_http::Connection;

/// Of each kind at a time.
const GUESSERS: usize = 100;
const ADMIN_TOKENS: u32 = 4_000;
const OTHERS: u32 = 1_000;

pub(in super::super) async fn admin_tokens(party: Party) {
    guess(&party, ADMIN_TOKENS, async |party, beat| {
        let mut connection = Connection::open(party.field.target.addr).await?;
        loop {
            beat.next().await;
            let bearer = format!("Bearer {:032x}", rand::random::<u128>());
            party.tally.did();
            let headers = [("authorization", bearer.as_str())];
            connection.request(Method::GET, "/admin/members", &headers, Bytes::new()).await?;
        }
    })
    .await;
}

pub(in super::super) async fn client_tokens(party: Party) {
    guess(&party, OTHERS, async |party, beat| {
        beat.next().await;
        party.tally.did();
        // A token with a header and a user, and 32 random bytes where the signature stands.
        let signature = format!("{:032x}{:011x}", rand::random::<u128>(), rand::random::<u32>());
        let token = format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4ifQ.{signature}");
        let client = Client::connect(party, &format!(r#""token":"{token}""#)).await?;
        client.answered(0).await
    })
    .await;
}

pub(in super::super) async fn join_secrets(party: Party) {
    guess(&party, OTHERS, async |party, beat| {
        beat.next().await;
        party.tally.did();
        let mut stream = TcpStream::connect(party.field.link).await?;
        stream.write_all(&knock()?).await?;
        let head = &mut [0; 12 + 4];
        stream.read_exact(head).await?;
        let length = u32::from_le_bytes([head[12], head[13], head[14], head[15]]);
        let mut hello = vec![0; (length as usize).min(4096)];
        stream.read_exact(&mut hello).await?;
        let mut proof = BytesMut::new();
        encode_handshake(&Handshake::Proof(rand::random()), &mut proof)?;
        stream.write_all(&proof).await?;
        stream.read_to_end(&mut hello).await?;
        Ok(())
    })
    .await;
}

/// What a dialer says first.
fn knock() -> anyhow::Result<BytesMut> {
    let identity = Identity {
        id: MemberId::new("stranger")?,
        incarnation: Incarnation(rand::random()),
        roles: Roles { gateway: false, node: true },
        address: Arc::from("127.0.0.1:1"),
        client_address: None,
        keeps_registry: false,
        birth: None,
    };
    let hello = Hello { nonce: rand::random(), cluster: "".into(), identity, purpose: Purpose::Probe };
    let mut bytes = BytesMut::from(&preamble(Versions::OURS)[..]);
    encode_handshake(&Handshake::Hello(Box::new(hello)), &mut bytes)?;
    Ok(bytes)
}

/// Guessers that go on whatever becomes of their tries.
async fn guess<F>(party: &Party, per_second: u32, go: F)
where
    F: AsyncFn(&Party, &Beat) -> anyhow::Result<()> + Clone + 'static,
{
    let beat = Beat::new(per_second);
    let local = tokio::task::LocalSet::new();
    let mut tasks = JoinSet::new();
    for _ in 0..GUESSERS {
        let (party, beat, go) = (party.clone(), beat.clone(), go.clone());
        let keep = async move {
            loop {
                // Being refused is what it is for.
                let _ = go(&party, &beat).await;
                tokio::task::yield_now().await;
            }
        };
        tasks.spawn_local_on(keep, &local);
    }
    local.run_until(async move { while tasks.join_next().await.is_some() {} }).await;
}
