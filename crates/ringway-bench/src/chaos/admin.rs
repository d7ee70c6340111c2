//! The admin API as faults are made and watched with.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use ringway_http::{Answer, Site};

/// A cluster's admin API, at its first gateway.
#[derive(Debug, Clone)]
pub struct Admin {
    site: Site,
    bearer: String,
}

/// A member as it is listed, as far as it is asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Member {
    /// Its name.
    pub id: String,
    /// `gateway`, `node`, or both.
    pub roles: Vec<String>,
    /// `joining`, `active`, `draining`, `suspect` or `down`.
    pub state: String,
    /// Its process; 0 if it has none.
    #[serde(default)]
    pub pid: u32,
    /// Where clients reach a gateway.
    #[serde(default)]
    pub address: String,
    /// It starts and stops the others.
    #[serde(default)]
    pub orchestrator: bool,
}

impl Member {
    /// Has the role of a node.
    pub fn is_node(&self) -> bool {
        self.roles.iter().any(|role| role == "node")
    }

    /// Is in the view and does its work.
    pub fn is_active(&self) -> bool {
        self.state == "active"
    }

    /// Is out of the view.
    pub fn is_down(&self) -> bool {
        self.state == "down"
    }
}

impl Admin {
    /// The API at `site`, with its token.
    pub fn new(site: Site, token: &str) -> Self {
        Self { site, bearer: format!("Bearer {token}") }
    }

    /// All members.
    ///
    /// # Errors
    /// No answer, or an odd one.
    pub async fn members(&self) -> anyhow::Result<Vec<Member>> {
        let mut answer = self.get("/admin/members").await?;
        serde_json::from_value(answer["members"].take()).with_context(|| format!("an odd list of members: {answer}"))
    }

    /// The gateways that are active, the first one first.
    pub(crate) async fn gateways(&self) -> anyhow::Result<Vec<Member>> {
        let mut members = self.members().await?;
        members.retain(|member| member.roles.iter().any(|role| role == "gateway") && member.is_active());
        ensure!(
            members.iter().any(|member| member.orchestrator),
            "{} starts no members, so it cannot be disturbed: give the address of a demo's first gateway",
            self.site.host()
        );
        members.sort_by_key(|member| !member.orchestrator);
        Ok(members)
    }

    /// `stop`, `start`, `kill`, `freeze` or `thaw`.
    pub(super) async fn act(&self, id: &str, action: &str) -> anyhow::Result<()> {
        self.post(&format!("/admin/members/{id}/{action}"), &Value::Null).await.map(drop)
    }

    /// Starts one more node; gives its id.
    pub(super) async fn add(&self) -> anyhow::Result<String> {
        let answer = self.post("/admin/members", &Value::Null).await?;
        Ok(answer["member"]["id"].as_str().context("a new member has an id")?.to_owned())
    }

    pub(super) async fn weigh(&self, id: &str, weight: f64) -> anyhow::Result<()> {
        self.post(&format!("/admin/members/{id}/weight"), &json!({ "weight": weight })).await.map(drop)
    }

    pub(super) async fn cut(&self, id: &str, from: &str, seconds: f64, one_way: bool) -> anyhow::Result<()> {
        let body = json!({ "from": from, "seconds": seconds, "one_way": one_way });
        self.post(&format!("/admin/members/{id}/cut"), &body).await.map(drop)
    }

    /// Why the cluster has not settled: all members active or down, and every slot with its copies. `None` if it has.
    pub(super) async fn unsettled(&self, members: &[Member]) -> anyhow::Result<Option<String>> {
        if let Some(member) = members.iter().find(|member| !member.is_active() && !member.is_down()) {
            return Ok(Some(format!("{} is {}", member.id, member.state)));
        }
        let slots = self.metric("ringway_node_slots_unsettled").await?;
        let nodes = members.iter().filter(|member| member.is_node() && member.is_active()).count();
        let open: f64 = slots.values().sum();
        Ok((slots.len() != nodes || open > 0.0).then(|| format!("{open} slots lack a copy or an owner")))
    }

    /// What the server says of its changes itself, oldest first; nothing if it does not.
    pub(super) async fn changes(&self) -> Vec<Value> {
        let Ok(mut answer) = self.get("/admin/changes").await else { return Vec::new() };
        serde_json::from_value(answer["changes"].take()).unwrap_or_default()
    }

    /// The values of one metric by its labels.
    async fn metric(&self, name: &str) -> anyhow::Result<BTreeMap<String, f64>> {
        Ok(self.site.call(Method::GET, "/metrics", &[], Bytes::new()).await?.metric(name))
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let headers = [("authorization", self.bearer.as_str())];
        read(path, &self.site.call(Method::GET, path, &headers, Bytes::new()).await?)
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let headers = [("authorization", self.bearer.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        read(path, &self.site.call(Method::POST, path, &headers, body.into()).await?)
    }
}

fn read(path: &str, answer: &Answer) -> anyhow::Result<Value> {
    let value = answer.json()?;
    match (answer.status, value["error"].as_str()) {
        (200, _) => Ok(value),
        (_, Some(why)) => bail!("{why}"),
        (status, None) => bail!("{path}: status {status}"),
    }
}
