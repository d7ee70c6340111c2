//! `ringway plan add|stop|kill|weight`: what a change would come to.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Api;
use super::args::{NewNode, NodeWeight, OneNode, PlanOrder};
use super::error::CliError;
use super::say;
use super::table::{Table, width};

/// The answer of `POST /admin/plan`, as far as it is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Plan {
    member: String,
    slots: u32,
    users: u64,
    user_names: Vec<String>,
    bystander_moves: u32,
    nodes: Vec<Node>,
    max_over_mean: f64,
    busiest_heir: Option<Heir>,
    estimated_ms: u64,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    weight: f64,
    slots: u32,
    slots_after: u32,
}

#[derive(Debug, Deserialize)]
struct Heir {
    id: String,
    slots: u32,
    of_fair_share: f64,
}

pub(super) async fn run(order: PlanOrder) -> Result<(), CliError> {
    let (body, client) = match order {
        PlanOrder::Add(NewNode { id, weight, client }) => {
            (json!({ "action": "add", "member": id, "weight": weight }), client)
        }
        PlanOrder::Stop(OneNode { id, client }) => (json!({ "action": "stop", "member": id }), client),
        PlanOrder::Kill(OneNode { id, client }) => (json!({ "action": "kill", "member": id }), client),
        PlanOrder::Weight(NodeWeight { one, weight }) => {
            (json!({ "action": "weight", "member": one.id, "weight": weight }), one.client)
        }
    };
    let answer = Api::admin(&client).await?.post("/admin/plan", Some(&body)).await?;
    if client.json {
        return say(&format!("{answer}\n"));
    }
    say(&Plan::read(answer)?.told(width()))
}

impl Plan {
    pub(super) fn read(answer: Value) -> Result<Self, CliError> {
        serde_json::from_value(answer).map_err(|why| {
            CliError::Failed(format!("the plan could not be read: {why}. Is the server of another version?"))
        })
    }

    /// For people: the nodes before and after, in a table within so many characters a line, then what moves.
    pub(super) fn told(&self, width: Option<usize>) -> String {
        let row = |node: &Node| {
            let gain = i64::from(node.slots_after) - i64::from(node.slots);
            vec![
                node.id.clone(),
                node.weight.to_string(),
                node.slots.to_string(),
                node.slots_after.to_string(),
                format!("{gain:+}"),
            ]
        };
        let rows: Vec<Vec<String>> = self.nodes.iter().map(row).collect();
        let table = Table {
            head: &["NODE ", "WEIGHT", "SLOTS", "AFTER", "CHANGE"],
            rows: &rows,
            spare: &["WEIGHT"],
            quiet: &[],
        };
        let mut text = table.within(width, |_, _, cell| cell);
        let _infallible = writeln!(
            text,
            "\n{}: {} slots would move, {} of them between other nodes; max/mean afterwards {:.3}",
            self.member, self.slots, self.bystander_moves, self.max_over_mean
        );
        if let Some(heir) = &self.busiest_heir {
            let (id, slots, fair) = (&heir.id, heir.slots, heir.of_fair_share);
            let _infallible = writeln!(text, "most of them, {slots}, to {id}: {fair:.3} of its fair share");
        }
        let named = if self.user_names.is_empty() { "" } else { ": " };
        let more = if self.users > self.user_names.len() as u64 { ", ..." } else { "" };
        let names = self.user_names.join(", ");
        let _infallible = writeln!(text, "{} users of this gateway would move{named}{names}{more}", self.users);
        let _infallible = writeln!(text, "about {} ms; nothing was changed", self.estimated_ms);
        text
    }
}
