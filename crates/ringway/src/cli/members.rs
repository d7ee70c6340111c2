//! `ringway members` and `ringway ring`.

use serde::Deserialize;
use serde_json::Value;

use super::api::Api;
use super::args::{ClientArgs, RingArgs};
use super::error::CliError;
use super::paint::on_stdout;
use super::percent::percent_encoded;
use super::table::{self, Table};
use super::{program, say};

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

    /// As a table for people, within so many characters a line.
    pub(super) fn table(&self, width: Option<usize>) -> String {
        let head = ["MEMBER ", "ROLES ", "STATE ", "WEIGHT", "SLOTS", "SHARE", "USERS", "SOCKETS", "PID", "ADDRESS "];
        let spare = ["PID", "WEIGHT", "SHARE", "ADDRESS", "ROLES", "SOCKETS", "USERS", "SLOTS"];
        let total: u64 = self.members.iter().map(|member| member.slots).sum();
        let rows: Vec<Vec<String>> = self.members.iter().map(|member| member.row(total)).collect();
        let on = on_stdout();
        Table { head: &head, rows: &rows, spare: &spare, quiet: &[] }.within(width, |row, column, cell| {
            match head[column] {
                "STATE " => on.state(&self.members[row].state, &cell),
                _ => cell,
            }
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
    say(&format!("{}\nepoch {}\n{trouble}", members.table(table::width()), members.epoch))
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
    let answer = api.get("/admin/members").await?;
    if json {
        return say(&format!("{answer}\n"));
    }
    let members = Members::read(answer)?;
    let program = program::name();
    say(&format!(
        "{}\nepoch {}; the owner of a channel or a user is told by\n  {program} ring NAME\n  {program} ring --user USER\n",
        members.shares(table::width()),
        members.epoch
    ))
}

impl Members {
    /// Each node's slots with a bar, which is as long as there is room.
    pub(super) fn shares(&self, width: Option<usize>) -> String {
        /// Length of the longest bar, of the shortest one worth drawing, and of the slots' column with what stands around it.
        const BAR: usize = 40;
        const STUB: usize = 8;
        const SLOTS: usize = 10;
        let nodes = self.members.iter().filter(|member| member.roles.iter().any(|role| role == "node"));
        let nodes: Vec<&Member> = nodes.collect();
        let most = nodes.iter().map(|node| node.slots).max().unwrap_or(0).max(1);
        let longest = nodes.iter().map(|node| node.id.len()).max().unwrap_or(0);
        let room = width.map_or(BAR, |width| width.saturating_sub(longest + SLOTS).clamp(STUB, BAR));
        let bar = |slots: u64| "#".repeat((room as f64 * slots as f64 / most as f64) as usize);
        let row = |node: &&Member| vec![node.id.clone(), node.slots.to_string(), bar(node.slots)];
        let rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
        Table { head: &["NODE ", "SLOTS", " "], rows: &rows, spare: &[], quiet: &[] }.within(width, |_, _, cell| cell)
    }
}
