//! Connections that hold a place: they say nothing, or slowly, or do not read.

use std::io;
use std::time::Duration;

use ringway_protocol::link::{Versions, preamble};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::super::field::MAX_HTTP;
use super::super::party::{Beat, Party};
use super::AGAIN;

/// Connections to the clients' port, and how many are made in a second.
const IDLE: usize = 5_000;
const CONNECTS: u32 = 1_000;
/// Connections to the link port, and how many are made in a second.
const HALF_OPEN: usize = 600;
const KNOCKS: u32 = 300;
/// Between two bytes of a slow body, and two looks whether a connection is still there.
const SLOWLY: Duration = Duration::from_secs(1);
/// Requests on one connection whose answers are not read: far more than its buffers take.
const UNREAD: usize = 400;
/// What the kernel takes in for a connection that does not read.
const SMALL: u32 = 4_096;

pub(in super::super) async fn idle(party: Party) {
    let stay = async |party: &Party| until_closed(TcpStream::connect(party.field.target.addr).await?).await;
    hold(&party, IDLE, CONNECTS, stay).await;
}

pub(in super::super) async fn slow_bodies(party: Party) {
    let stay = async |party: &Party| {
        let mut stream = TcpStream::connect(party.field.target.addr).await?;
        stream.write_all(party.field.head(999).as_bytes()).await?;
        loop {
            tokio::select! {
                end = stream.read_u8() => return end.map(drop),
                () = sleep(SLOWLY) => {}
            }
            stream.write_u8(b' ').await?;
        }
    };
    hold(&party, MAX_HTTP, CONNECTS, stay).await;
}

pub(in super::super) async fn unread_answers(party: Party) {
    let stay = async |party: &Party| {
        let target = &party.field.target;
        let socket = if target.addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_recv_buffer_size(SMALL)?;
        let mut stream = socket.connect(target.addr).await?;
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", target.host);
        stream.write_all(request.repeat(UNREAD).as_bytes()).await?;
        loop {
            sleep(SLOWLY).await;
            // An empty line between two requests is none. It fails once the connection is gone.
            stream.write_all(b"\r\n").await?;
        }
    };
    hold(&party, MAX_HTTP, CONNECTS, stay).await;
}

pub(in super::super) async fn half_open(party: Party) {
    let stay = async |party: &Party| {
        let mut stream = TcpStream::connect(party.field.link).await?;
        stream.write_all(&preamble(Versions::OURS)).await?;
        until_closed(stream).await
    };
    hold(&party, HALF_OPEN, KNOCKS, stay).await;
}

/// Reads and forgets until the other end closes.
async fn until_closed(mut stream: TcpStream) -> io::Result<()> {
    let mut forgotten = [0; 512];
    while stream.read(&mut forgotten).await? > 0 {}
    Ok(())
}

/// Keeps so many connections, by making so many new ones a second at most in the place of those that were closed.
async fn hold<F>(party: &Party, count: usize, per_second: u32, stay: F)
where
    F: AsyncFn(&Party) -> io::Result<()> + Clone + 'static,
{
    let beat = Beat::new(per_second);
    let local = tokio::task::LocalSet::new();
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let (party, beat, stay) = (party.clone(), beat.clone(), stay.clone());
        let keep = async move {
            loop {
                beat.next().await;
                party.tally.did();
                if stay(&party).await.is_err() {
                    sleep(AGAIN).await;
                }
            }
        };
        tasks.spawn_local_on(keep, &local);
    }
    local.run_until(async move { while tasks.join_next().await.is_some() {} }).await;
}
