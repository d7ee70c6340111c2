//! A running Ringway with its APIs, as tests ask them: `demo` or `serve`, on a port of the system's choice.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use crate::process::{Builder, Process};
use crate::wait::{eventually, eventually_ok};
use ringway_http::{self as http, Answer, Connection};

/// The admin API's token in all tests.
pub const TOKEN: &str = "an admin token for tests";
/// The server API's key in all tests.
pub const KEY: &str = "an API key for tests";
/// What members say of themselves is no older than this, some pings long, even on a busy machine.
const CALM: Duration = Duration::from_millis(600);
/// A change that is not over by then hangs.
const SETTLED_LIMIT: Duration = Duration::from_secs(40);

/// A process that serves clients. Dropping it ends it with all that it started.
#[derive(Debug)]
pub struct Server {
    /// The process itself.
    pub process: Process,
    addr: SocketAddr,
}

/// Where one name belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The node that owns it; empty while no node does.
    pub owner: String,
    /// The node that would own it next; empty while there is only one.
    pub standby: String,
}

/// A member as the admin API lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// `joining`, `active`, `draining`, `suspect` or `down`.
    pub state: String,
    /// Its process, or 0.
    pub pid: u32,
    /// It is a node.
    pub is_node: bool,
    /// Where clients reach a gateway, or members a node.
    pub address: String,
}

impl Server {
    /// Starts what `builder` prepared, and waits until it prints its address.
    ///
    /// # Panics
    /// It did not within `limit`.
    pub async fn start(builder: Builder, limit: Duration) -> Self {
        let mut process = builder.env("RINGWAY_ADMIN_TOKEN", TOKEN).env("RINGWAY_API_KEY", KEY).start();
        let found = process.wait_for(r"http://([0-9.]+:[0-9]+)/", limit).await;
        let addr = found[1].parse().expect("an address, by the pattern");
        Self { process, addr }
    }

    /// Where clients reach it.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `GET` with the admin token.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn admin_get(&self, path: &str) -> anyhow::Result<Answer> {
        http::get(self.addr, path, &[("authorization", &bearer())]).await
    }

    /// `POST` with the admin token and no body.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn admin_post(&self, path: &str) -> anyhow::Result<Answer> {
        http::post_raw(self.addr, path, &[("authorization", &bearer())], "").await
    }

    /// `POST` with the admin token and a body.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn admin_post_json(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        http::post(self.addr, path, &[("authorization", &bearer())], body).await
    }

    /// A call of the server API, with its key; gives `result`.
    ///
    /// # Errors
    /// It does not answer, or with an error.
    pub async fn api(&self, method: &str, body: Value) -> anyhow::Result<Value> {
        let answer = http::post(self.addr, &format!("/api/{method}"), &[("x-api-key", KEY)], &body).await?;
        let mut answer = answer.json()?;
        ensure!(answer.get("error").is_none(), "{method}: {answer}");
        Ok(answer["result"].take())
    }

    /// Publishes through the server API.
    ///
    /// # Errors
    /// As [`Server::api`].
    pub async fn publish(&self, channel: &str, data: Value) -> anyhow::Result<Value> {
        self.api("publish", json!({"channel": channel, "data": data})).await
    }

    /// The members as they are listed.
    ///
    /// # Errors
    /// It does not answer, or with something else.
    pub async fn members(&self) -> anyhow::Result<Vec<Listed>> {
        let answer = self.admin_get("/admin/members").await?.json()?;
        let members = answer["members"].as_array().with_context(|| format!("no members in {answer}"))?;
        members.iter().map(|member| listed(member).with_context(|| format!("an odd member: {member}"))).collect()
    }

    /// One member as it is listed.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn member(&self, id: &str) -> anyhow::Result<Listed> {
        let members = self.members().await?;
        members.into_iter().find(|member| member.id == id).with_context(|| format!("no member {id}"))
    }

    /// Does something to a member (`stop`, `kill` …); gives the member as it is then.
    ///
    /// # Errors
    /// It was refused.
    pub async fn act(&self, id: &str, action: &str) -> anyhow::Result<Listed> {
        self.changed(&format!("/admin/members/{id}/{action}")).await
    }

    /// Adds a node; gives it.
    ///
    /// # Errors
    /// It was refused.
    pub async fn add(&self) -> anyhow::Result<Listed> {
        self.changed("/admin/members").await
    }

    async fn changed(&self, path: &str) -> anyhow::Result<Listed> {
        let answer = self.admin_post(path).await?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
        listed(&answer.json()?["member"]).with_context(|| format!("{path}: {}", answer.text()))
    }

    /// Waits until a member is in this state.
    ///
    /// # Panics
    /// It never was.
    pub async fn wait_state(&self, id: &str, state: &str, limit: Duration) {
        eventually_ok(limit, || async {
            let member = self.member(id).await?;
            ensure!(member.state == state, "{id} is {}", member.state);
            Ok(())
        })
        .await;
    }

    /// Waits until `nodes` nodes are active, none is on its way in or out, every slot has its copies, and it stays so for some pings.
    ///
    /// # Panics
    /// It does not come to that.
    pub async fn settled(&self, nodes: usize) {
        let since = Cell::new(None);
        eventually_ok(SETTLED_LIMIT, || async {
            if let Err(why) = self.look(nodes).await {
                since.set(None);
                return Err(why);
            }
            let before: Instant = since.get().unwrap_or_else(Instant::now);
            since.set(Some(before));
            ensure!(before.elapsed() >= CALM, "settled, but not for long yet");
            Ok(())
        })
        .await;
    }

    async fn look(&self, nodes: usize) -> anyhow::Result<()> {
        let health = http::get(self.addr, "/health", &[]).await?;
        ensure!(health.status == 200, "not healthy: {}", health.text());
        let members = self.members().await?;
        let count = |state: &str| members.iter().filter(|member| member.is_node && member.state == state).count();
        ensure!(count("active") == nodes, "not {nodes} active: {members:?}");
        ensure!(
            count("active") + count("down") == members.iter().filter(|member| member.is_node).count(),
            "{members:?}"
        );
        let unsettled = self.metrics("ringway_node_slots_unsettled").await?;
        ensure!(unsettled.len() == nodes && unsettled.values().all(|slots| *slots == 0.0), "unsettled: {unsettled:?}");
        Ok(())
    }

    /// The values of one metric by what its labels say.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metrics(&self, name: &str) -> anyhow::Result<BTreeMap<String, f64>> {
        Ok(http::get(self.addr, "/metrics", &[]).await?.metric(name))
    }

    /// Where each of these names (`user=bob`, `key=news`) belongs, all in one and the same view.
    ///
    /// # Errors
    /// It does not answer, or the view keeps changing.
    pub async fn places(&self, names: &[String]) -> anyhow::Result<BTreeMap<String, Place>> {
        let mut connection = Connection::open(self.addr).await?;
        let mut places = BTreeMap::new();
        let mut epoch = None;
        for name in names {
            let path = format!("/admin/ring?{name}");
            let answer = connection.request(Method::GET, &path, &[("authorization", &bearer())], Bytes::new()).await?;
            let place = answer.json()?;
            let text = |field: &str| place[field].as_str().unwrap_or_default().to_owned();
            places.insert(name.clone(), Place { owner: text("owner"), standby: text("standby") });
            let seen = epoch.get_or_insert_with(|| place["epoch"].clone());
            ensure!(*seen == place["epoch"], "the view changed from {seen} to {} meanwhile", place["epoch"]);
        }
        Ok(places)
    }

    /// Waits until a user has no socket any more, as far as the user's owner knows.
    ///
    /// # Panics
    /// Somebody stays connected.
    pub async fn nobody_connected(&self, limit: Duration) {
        eventually(limit, || async {
            let sockets = self.metrics("ringway_sockets").await.ok()?;
            let users = self.metrics("ringway_node_users").await.ok()?;
            sockets.values().chain(users.values()).all(|count| *count == 0.0).then_some(())
        })
        .await;
    }
}

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

fn listed(member: &Value) -> Option<Listed> {
    Some(Listed {
        id: member["id"].as_str()?.to_owned(),
        state: member["state"].as_str()?.to_owned(),
        pid: u32::try_from(member["pid"].as_u64()?).ok()?,
        is_node: member["roles"].as_array()?.iter().any(|role| role == "node"),
        address: member["address"].as_str()?.to_owned(),
    })
}
