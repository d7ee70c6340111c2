//! `ringway members` and `ringway ring`.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

use super::api::Api;
use super::args::{ClientArgs, RingArgs};
use super::error::CliError;
use super::paint::{on_stdout, table};
use super::run::percent_encoded;
use super::say;

/// A member as the admin API answers it; what else it may say is not needed here.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) roles: Vec<String>,
    pub(super) state: String,
    pub(super) weight: f64,
    pub(super) slots: u64,
    pub(super) users: u64,
    pub(super) sockets: u64,
    pub(super) pid: u32,
    pub(super) address: String,
}

/// The answer of `GET /admin/members`.
#[derive(Debug, Deserialize)]
pub(super) struct Members {
    pub(super) epoch: u64,
    pub(super) members: Vec<Member>,
}

impl Members {
    pub(super) fn read(value: Value) -> Result<Self, CliError> {
        serde_json::from_value(value).map_err(|why| {
            CliError::Failed(format!("the members could not be read: {why}. Is the server of another version?"))
        })
    }

    /// As a table for people.
    pub(super) fn table(&self) -> String {
        let head = ["MEMBER ", "ROLES ", "STATE ", "WEIGHT", "SLOTS", "SHARE", "USERS", "SOCKETS", "PID", "ADDRESS "];
        let total: u64 = self.members.iter().map(|member| member.slots).sum();
        let rows: Vec<Vec<String>> = self.members.iter().map(|member| member.row(total)).collect();
        let on = on_stdout();
        table(&head, &rows, |row, column, cell| match head[column] {
            "STATE " => on.state(&self.members[row].state, &cell),
            _ => cell,
        })
    }
}

impl Member {
    fn row(&self, total: u64) -> Vec<String> {
        let node = self.roles.iter().any(|role| role == "node");
        let gateway = self.roles.iter().any(|role| role == "gateway");
        let only = |has: bool, text: String| if has { text } else { "-".to_owned() };
        let share = if total == 0 { 0.0 } else { 100.0 * self.slots as f64 / total as f64 };
        vec![
            self.id.clone(),
            self.roles.join("+"),
            self.state.clone(),
            only(node, self.weight.to_string()),
            only(node, self.slots.to_string()),
            only(node, format!("{share:.1} %")),
            only(node, self.users.to_string()),
            only(gateway, self.sockets.to_string()),
            only(self.pid != 0, self.pid.to_string()),
            self.address.clone(),
        ]
    }
}

pub(super) async fn members(args: ClientArgs) -> Result<(), CliError> {
    let api = Api::admin(&args).await?;
    let answer = api.get("/admin/members").await?;
    if args.json {
        return say(&format!("{answer}\n"));
    }
    let members = Members::read(answer)?;
    let trouble = api.trouble().await?.map(|trouble| format!("{}\n", on_stdout().red(&trouble))).unwrap_or_default();
    say(&format!("{}\nepoch {}\n{trouble}", members.table(), members.epoch))
}

pub(super) async fn ring(args: RingArgs) -> Result<(), CliError> {
    let api = Api::admin(&args.client).await?;
    let query = match (&args.key, &args.user) {
        (Some(key), _) => format!("key={}", percent_encoded(key)),
        (None, Some(user)) => format!("user={}", percent_encoded(user)),
        (None, None) => return shares(&api, args.client.json).await,
    };
    let answer = api.get(&format!("/admin/ring?{query}")).await?;
    if args.client.json {
        return say(&format!("{answer}\n"));
    }
    let word = |name: &str| answer[name].as_str().unwrap_or("none").to_owned();
    let line = format!(
        "{} lies in slot {}: owner {}, standby {} (epoch {})\n",
        word("key"),
        answer["slot"],
        word("owner"),
        word("standby"),
        answer["epoch"]
    );
    say(&line)
}

/// Without a name: how the slots are shared out.
async fn shares(api: &Api, json: bool) -> Result<(), CliError> {
    /// Length of the longest bar.
    const BAR: f64 = 40.0;
    let answer = api.get("/admin/members").await?;
    if json {
        return say(&format!("{answer}\n"));
    }
    let members = Members::read(answer)?;
    let most = members.members.iter().map(|member| member.slots).max().unwrap_or(0).max(1);
    let nodes: Vec<&Member> =
        members.members.iter().filter(|member| member.roles.iter().any(|role| role == "node")).collect();
    let rows: Vec<Vec<String>> = nodes
        .iter()
        .map(|node| {
            vec![node.id.clone(), node.slots.to_string(), "#".repeat((BAR * node.slots as f64 / most as f64) as usize)]
        })
        .collect();
    let mut text = table(&["NODE ", "SLOTS", " "], &rows, |_, _, cell| cell);
    let _infallible =
        writeln!(text, "\nepoch {}; `ringway ring NAME` or `ringway ring --user USER` finds an owner", members.epoch);
    say(&text)
}
