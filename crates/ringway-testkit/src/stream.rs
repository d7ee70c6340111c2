//! A client of the Centrifuge protocol over a response that streams, for tests that look at each message.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use ringway_http::{self as http, Answer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A stream. Dropping it ends it.
#[derive(Debug)]
pub struct StreamClient {
    stream: BufReader<TcpStream>,
    /// Where its commands go.
    pub posts: SocketAddr,
    /// Names of the session and of its gateway, once it has them.
    pub session: String,
    /// As above.
    pub node: String,
    /// Header lines of the response.
    pub head: String,
    last_command: u64,
}

impl StreamClient {
    /// A session on lines or events, by the path. Its commands go to the same server.
    ///
    /// # Errors
    /// The connection, or the connect command, failed.
    pub async fn connect(addr: SocketAddr, path: &str, request: Value) -> anyhow::Result<Self> {
        let first = json!({"id": 1, "connect": request}).to_string();
        let mut client = Self::open(addr, path, &first).await?;
        let answer = client.next(REPLY_LIMIT).await?.context("the stream ended before the connect was answered")?;
        let result = &answer["connect"];
        client.session = result["session"].as_str().with_context(|| format!("no session: {answer}"))?.to_owned();
        client.node = result["node"].as_str().context("no node")?.to_owned();
        client.last_command = 1;
        Ok(client)
    }

    /// A stream that begins with a POST of this body.
    ///
    /// # Errors
    /// There is none; the error shows the answer.
    pub async fn open(addr: SocketAddr, path: &str, body: &str) -> anyhow::Result<Self> {
        let length = body.len();
        Self::ask(addr, &format!("POST {path} HTTP/1.1\r\nHost: {addr}\r\nContent-Length: {length}\r\n\r\n{body}"))
            .await
    }

    /// A stream that begins with this request.
    ///
    /// # Errors
    /// As above.
    pub async fn ask(addr: SocketAddr, request: &str) -> anyhow::Result<Self> {
        let mut stream = BufReader::new(TcpStream::connect(addr).await?);
        stream.write_all(request.as_bytes()).await?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let count = timeout(REPLY_LIMIT, stream.read_line(&mut head)).await??;
            ensure!(count > 0, "the head ends early: {head}");
        }
        if !head.starts_with("HTTP/1.1 200") {
            let mut rest = vec![0; 1024];
            let count = timeout(REPLY_LIMIT, stream.read(&mut rest)).await??;
            bail!("no stream: {head}{}", String::from_utf8_lossy(&rest[..count]));
        }
        let (session, node) = (String::new(), String::new());
        Ok(Self { stream, posts: addr, session, node, head, last_command: 0 })
    }

    /// The next message other than a ping, which is answered; `None` at the end of the stream.
    ///
    /// # Errors
    /// None came in time, or it is no JSON.
    pub async fn next(&mut self, limit: Duration) -> anyhow::Result<Option<Value>> {
        loop {
            match self.next_raw(limit).await? {
                Some(ping) if ping == json!({}) && !self.session.is_empty() => {
                    // The server says by a disconnect what it did not understand.
                    let _ = self.post("{}").await;
                }
                message => return Ok(message),
            }
        }
    }

    /// The same with pings.
    ///
    /// # Errors
    /// As above.
    pub async fn next_raw(&mut self, limit: Duration) -> anyhow::Result<Option<Value>> {
        loop {
            let mut line = String::new();
            if timeout(limit, self.stream.read_line(&mut line)).await.context("nothing came")?? == 0 {
                return Ok(None);
            }
            match line.trim_end().strip_prefix("data: ").unwrap_or(line.trim_end()) {
                "" => {}
                message => return Ok(Some(serde_json::from_str(message).with_context(|| message.to_owned())?)),
            }
        }
    }

    /// The next publication; other messages are skipped.
    ///
    /// # Errors
    /// None came in time.
    pub async fn publication(&mut self, limit: Duration) -> anyhow::Result<Value> {
        loop {
            let message = self.next(limit).await?.context("the stream ended")?;
            if !message["push"]["pub"].is_null() {
                return Ok(message["push"]["pub"].clone());
            }
        }
    }

    /// Posts commands, one a line.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn post(&self, commands: &str) -> anyhow::Result<Answer> {
        let body = json!({"session": self.session, "node": self.node, "data": commands}).to_string();
        http::post_raw(self.posts, "/emulation", &[("content-type", "application/json")], body).await
    }

    /// Posts a command and waits for its reply; what else comes meanwhile is dropped.
    ///
    /// # Errors
    /// The post was refused, or no reply came.
    pub async fn call(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.last_command += 1;
        let id = self.last_command;
        let answer = self.post(&json!({"id": id, method: params}).to_string()).await?;
        ensure!(answer.status == 204, "{}: {}", answer.status, answer.text());
        loop {
            let message = self.next(REPLY_LIMIT).await?.context("the stream ended before the reply")?;
            if message["id"] == id {
                return Ok(message);
            }
        }
    }
}

/// SDKs give up after five seconds.
const REPLY_LIMIT: Duration = Duration::from_secs(5);
