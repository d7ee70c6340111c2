//! `ringway node add|stop|start|kill|freeze|thaw|weight|remove`: orders to a running demo.

use serde_json::json;

use super::api::Api;
use super::args::{ClientArgs, NodeOrder, NodeWeight};
use super::error::CliError;
use super::run::percent_encoded;
use super::say;

pub(super) async fn run(order: NodeOrder) -> Result<(), CliError> {
    let (action, done, one) = match order {
        NodeOrder::Add(client) => return add(client).await,
        NodeOrder::Weight(order) => return weight(order).await,
        NodeOrder::Stop(one) => ("stop", "is handing over and will leave", one),
        NodeOrder::Start(one) => ("start", "is starting", one),
        NodeOrder::Kill(one) => ("kill", "was killed", one),
        NodeOrder::Freeze(one) => ("freeze", "is frozen", one),
        NodeOrder::Thaw(one) => ("thaw", "goes on", one),
        NodeOrder::Remove(one) => ("remove", "is forgotten", one),
    };
    let path = format!("/admin/members/{}/{action}", percent_encoded(&one.id));
    let answer = Api::admin(&one.client).await?.post(&path, None).await?;
    match one.client.json {
        true => say(&format!("{answer}\n")),
        false => say(&format!("{} {done}\n", one.id)),
    }
}

async fn weight(NodeWeight { one, weight }: NodeWeight) -> Result<(), CliError> {
    let path = format!("/admin/members/{}/weight", percent_encoded(&one.id));
    let answer = Api::admin(&one.client).await?.post(&path, Some(&json!({ "weight": weight }))).await?;
    match one.client.json {
        true => say(&format!("{answer}\n")),
        false => say(&format!("{} is given weight {weight}; its slots follow\n", one.id)),
    }
}

async fn add(client: ClientArgs) -> Result<(), CliError> {
    let answer = Api::admin(&client).await?.post("/admin/members", None).await?;
    let member = &answer["member"];
    match client.json {
        true => say(&format!("{answer}\n")),
        false => say(&format!("{} is starting (pid {})\n", member["id"].as_str().unwrap_or("a node"), member["pid"])),
    }
}
