//! Where a siege takes place: the cluster's ports and settings, and what loads find there.

use std::net::SocketAddr;
use std::sync::Mutex;

use anyhow::{Context, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use ringway_http::Connection;
use ringway_http::Target;

/// Settings of the cluster. Channels have a limit that a load can reach within its time, tokens have a key that nobody knows,
/// and HTTP connections have the default number.
pub(super) const CONFIG: &str = "[client.token]\nhmac_secret_key = \"known to nobody but this very cluster\"\n\n\
                                 [limits.node]\nchannels = 20000\n\n\
                                 [server]\nmax_http = 2048\n";
/// As [`CONFIG`] says.
pub(super) const MAX_HTTP: usize = 2_048;

/// What the loads are aimed at.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) target: Target,
    /// Where members dial the first one.
    pub(super) link: SocketAddr,
    api_key: String,
    /// Channels that have been filled.
    filled: Mutex<Vec<&'static str>>,
}

impl Field {
    pub(super) fn new(target: Target, pids: &[u32], api_key: String) -> anyhow::Result<Self> {
        let link = pids.iter().find_map(|pid| joins(*pid)).context("no node says where it joins")?;
        Ok(Self { target, link, api_key, filled: Mutex::default() })
    }

    /// Sees to it that a channel has so many publications of so many bytes.
    pub(super) async fn fill(&self, channel: &'static str, count: usize, bytes: usize) -> anyhow::Result<()> {
        let mut filled = self.filled.lock().map(|filled| filled.clone()).unwrap_or_default();
        if !filled.contains(&channel) {
            let mut api = Connection::open(self.target.addr).await?;
            for _ in 0..count {
                self.publish(&mut api, channel, bytes).await?;
            }
            filled.push(channel);
            self.filled.lock().map(|mut known| *known = filled).unwrap_or_default();
        }
        Ok(())
    }

    /// Publishes through the server API.
    pub(super) async fn publish(&self, api: &mut Connection, channel: &str, bytes: usize) -> anyhow::Result<()> {
        self.call(api, "publish", &json!({ "channel": channel, "data": "x".repeat(bytes) })).await.map(drop)
    }

    /// One call of the server API.
    pub(super) async fn call(&self, api: &mut Connection, method: &str, body: &Value) -> anyhow::Result<Value> {
        let headers = [("content-type", "application/json"), ("x-api-key", self.api_key.as_str())];
        let path = format!("{}/api/{method}", self.target.prefix);
        let answer = api.request(Method::POST, &path, &headers, Bytes::from(body.to_string())).await?;
        ensure!(answer.status == 200, "{path}: status {}: {}", answer.status, answer.text());
        let mut answer = answer.json()?;
        ensure!(answer.get("error").is_none(), "{path}: {answer}");
        Ok(answer["result"].take())
    }

    /// The head of a call whose body is announced and does not come.
    pub(super) fn head(&self, body: usize) -> String {
        let (host, key) = (&self.target.host, &self.api_key);
        format!("POST /api/publish HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\nContent-Length: {body}\r\n\r\n")
    }
}

/// The address that a node of this machine was told to join.
fn joins(pid: u32) -> Option<SocketAddr> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    line.split('\0').skip_while(|word| *word != "--join").nth(1)?.parse().ok()
}
