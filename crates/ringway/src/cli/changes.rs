//! `ringway changes`: what every change came to.

use serde_json::Value;

use super::api::Api;
use super::args::ClientArgs;
use super::error::CliError;
use super::paint::on_stdout;
use super::say;
use super::table::{Table, width, words_within};
use crate::changes::{Receipt, State};
use crate::rebalance::Mode;

pub(super) async fn run(args: ClientArgs) -> Result<(), CliError> {
    let mut answer = Api::admin(&args).await?.get("/admin/changes").await?;
    if args.json {
        return say(&format!("{answer}\n"));
    }
    let receipts = read(answer["changes"].take())?;
    say(&match receipts.is_empty() {
        true => "nothing has changed yet\n".to_owned(),
        false => told(&receipts, width()),
    })
}

pub(super) fn read(receipts: Value) -> Result<Vec<Receipt>, CliError> {
    serde_json::from_value(receipts).map_err(|why| {
        CliError::Failed(format!("the receipts could not be read: {why}. Is the server of another version?"))
    })
}

const HEAD: [&str; 19] = [
    "NO", "BEGAN ", "ACTION ", "MEMBER ", "STATE ", "PLANNED", "MOVED", "OTHERS", "USERS", "DETECTED", "SETTLED",
    "CLOSED", "GAPS", "DOUBLES", "REORDERS", "PAUSES", "P50", "P99", "MAX",
];

/// What can be missed where there is no room, first of all.
const SPARE: [&str; 12] =
    ["P50", "REORDERS", "DOUBLES", "GAPS", "PLANNED", "OTHERS", "P99", "PAUSES", "USERS", "CLOSED", "BEGAN", "MOVED"];

const LEGEND: &str = "times in ms; OTHERS: slots moved between members that were not changed";

/// As a table for people, within so many characters a line; then what is to be said of some.
pub(super) fn told(receipts: &[Receipt], width: Option<usize>) -> String {
    let on = on_stdout();
    let rows: Vec<Vec<String>> = receipts.iter().map(row).collect();
    let table = Table { head: &HEAD, rows: &rows, spare: &SPARE, quiet: &SPARE };
    let mut text = table.within(width, |row, column, cell| match (HEAD[column], receipts[row].state) {
        ("STATE ", State::Settled) => on.state("active", &cell),
        ("STATE ", State::Running) => on.state("joining", &cell),
        ("STATE ", State::Unsettled) => on.state("down", &cell),
        _ => cell,
    });
    text.push_str(&words_within(width, LEGEND));
    for receipt in receipts {
        if receipt.mode != Mode::Migrate {
            let (number, mode) = (receipt.number, receipt.mode.name());
            let told = if receipt.moved.slots == 0 { "nothing moved, so nobody was" } else { "clients were" };
            text.push_str(&format!("{number}: {told} asked to connect anew ({mode})\n"));
        }
        if let Some(why) = &receipt.why {
            text.push_str(&format!("{}: {why}\n", receipt.number));
        }
    }
    text
}

fn row(receipt: &Receipt) -> Vec<String> {
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let state = match receipt.state {
        State::Running => "running",
        State::Settled => "settled",
        State::Unsettled => "unsettled",
    };
    // 2026-01-02T03:04:05.678Z: the day is known, the time is looked for.
    let time = receipt.began.get(11..23).unwrap_or(&receipt.began);
    let pauses = receipt.pauses;
    let pause = |millis: f64| or_none((pauses.count > 0).then(|| millis.to_string()));
    vec![
        receipt.number.to_string(),
        time.to_owned(),
        receipt.action.name().to_owned(),
        receipt.member.clone(),
        state.to_owned(),
        or_none(receipt.predicted.map(|predicted| predicted.slots.to_string())),
        receipt.moved.slots.to_string(),
        receipt.bystander_moves.to_string(),
        receipt.moved.users.to_string(),
        or_none(receipt.detection_ms.map(|millis| millis.to_string())),
        or_none(receipt.settled_ms.map(|millis| millis.to_string())),
        receipt.sockets_closed.to_string(),
        receipt.gaps.to_string(),
        receipt.doubles.to_string(),
        receipt.reorders.to_string(),
        pauses.count.to_string(),
        pause(pauses.p50_ms),
        pause(pauses.p99_ms),
        pause(pauses.max_ms),
    ]
}
