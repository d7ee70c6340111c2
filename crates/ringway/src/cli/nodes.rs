//! `ringway node add|stop|start|kill|freeze|thaw|weight|remove`: orders to a running demo.

use serde_json::{Map, Value, json};

use super::api::Api;
use super::args::{AddNode, ModeArgs, MoveNode, NodeOrder, NodeWeight, OneNode, WeighNode};
use super::error::CliError;
use super::percent::percent_encoded;
use super::say;

pub(super) async fn run(order: NodeOrder) -> Result<(), CliError> {
    let moving = |MoveNode { one, clients }| (one, clients.body());
    let (action, done, (one, body)) = match order {
        NodeOrder::Add(order) => return add(order).await,
        NodeOrder::Weight(order) => return weight(order).await,
        NodeOrder::Stop(order) => ("stop", "is handing over and will leave", moving(order)),
        NodeOrder::Start(order) => ("start", "is starting", moving(order)),
        NodeOrder::Kill(order) => ("kill", "was killed", moving(order)),
        NodeOrder::Freeze(one) => ("freeze", "is frozen", (one, None)),
        NodeOrder::Thaw(one) => ("thaw", "goes on", (one, None)),
        NodeOrder::Remove(one) => ("remove", "is forgotten", (one, None)),
    };
    let OneNode { id, client } = one;
    let path = format!("/admin/members/{}/{action}", percent_encoded(&id));
    let answer = Api::admin(&client).await?.post(&path, body.as_ref()).await?;
    match client.json {
        true => say(&format!("{answer}\n")),
        false => say(&format!("{id} {done}\n")),
    }
}

async fn weight(WeighNode { node: NodeWeight { one, weight }, clients }: WeighNode) -> Result<(), CliError> {
    let path = format!("/admin/members/{}/weight", percent_encoded(&one.id));
    let mut body = clients.body().unwrap_or_else(|| json!({}));
    body["weight"] = json!(weight);
    let answer = Api::admin(&one.client).await?.post(&path, Some(&body)).await?;
    match one.client.json {
        true => say(&format!("{answer}\n")),
        false => say(&format!("{} is given weight {weight}; its slots follow\n", one.id)),
    }
}

async fn add(AddNode { client, clients }: AddNode) -> Result<(), CliError> {
    let answer = Api::admin(&client).await?.post("/admin/members", clients.body().as_ref()).await?;
    let member = &answer["member"];
    match client.json {
        true => say(&format!("{answer}\n")),
        false => say(&format!("{} is starting (pid {})\n", member["id"].as_str().unwrap_or("a node"), member["pid"])),
    }
}

impl ModeArgs {
    /// As the admin API takes it; none if nothing is asked for.
    pub(super) fn body(&self) -> Option<Value> {
        let mode = self.mode.map(|mode| ("mode".to_owned(), Value::from(mode.name())));
        let window = self.window.as_ref().map(|window| ("window".to_owned(), Value::from(window.as_str())));
        let body: Map<String, Value> = mode.into_iter().chain(window).collect();
        (!body.is_empty()).then_some(Value::Object(body))
    }
}
