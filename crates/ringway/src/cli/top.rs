//! `ringway top`: the members, looked at again and again. `q` or Ctrl-C ends it.

use std::io::{IsTerminal, Read, stdin, stdout};
use std::time::Duration;

use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::api::Api;
use super::args::TopArgs;
use super::error::CliError;
use super::members::Members;
use super::paint::on_stdout;
use super::say;
use super::table::{screen, words_within, wrapped};

/// Cursor to the upper left, and the rest of the screen emptied after the text.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";
/// Another screen for as long as we run, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

pub(super) async fn run(args: TopArgs) -> Result<(), CliError> {
    let api = Api::admin(&args.client).await?;
    let on_screen = !args.client.json && stdout().is_terminal();
    let screen = on_screen.then(Screen::enter).transpose()?;
    let quit = quit_pressed();
    let outcome = tokio::select! {
        outcome = look_again_and_again(&api, &args, on_screen) => outcome,
        () = quit => Ok(()),
    };
    drop(screen);
    outcome
}

async fn look_again_and_again(api: &Api, args: &TopArgs, on_screen: bool) -> Result<(), CliError> {
    let mut ticks = interval(args.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut left = args.count;
    while left != Some(0) {
        ticks.tick().await;
        let asked = Instant::now();
        let answer = api.get("/admin/members").await?;
        let took = asked.elapsed();
        if args.client.json {
            say(&format!("{answer}\n"))?;
        } else {
            let (members, trouble) = (Members::read(answer)?, api.trouble().await?);
            let look = Look { members: &members, trouble: trouble.as_deref(), took };
            say(&if on_screen { painted(&look, screen()) } else { page(&look, None) })?;
        }
        left = left.map(|left| left - 1);
    }
    Ok(())
}

/// What one look has shown.
pub(super) struct Look<'a> {
    pub(super) members: &'a Members,
    /// What is amiss, as `/health` says it.
    pub(super) trouble: Option<&'a str>,
    pub(super) took: Duration,
}

/// The whole page, within so many characters a line.
pub(super) fn page(look: &Look<'_>, width: Option<usize>) -> String {
    let Look { members, trouble, took } = look;
    let sum = |number: fn(&super::members::Member) -> u64| members.members.iter().map(number).sum::<u64>();
    let active = members.members.iter().filter(|member| member.state == "active").count();
    let head = [
        "ringway".to_owned(),
        format!("epoch {}", members.epoch),
        format!("{active} of {} members active", members.members.len()),
        format!("{} users", sum(|member| member.users)),
        format!("{} sockets", sum(|member| member.sockets)),
        format!("answered in {took:.1?}"),
        "q quits".to_owned(),
    ];
    let head = wrapped(&head, "  ", width);
    // Above the table, where a short screen still has it.
    let trouble =
        trouble.map(|trouble| on_stdout().red(words_within(width, trouble).trim_end()) + "\n").unwrap_or_default();
    format!("{head}\n{trouble}\n{}", members.table(width))
}

/// Written over the last page, so that nothing flickers; no more of it than the screen holds, or that would move.
pub(super) fn painted(look: &Look<'_>, screen: Option<(usize, usize)>) -> String {
    let page = page(look, screen.map(|(columns, _)| columns));
    let lines: Vec<&str> = page.lines().collect();
    // The cursor stands below the last line.
    let room = screen.map_or(lines.len(), |(_, lines)| lines.saturating_sub(1));
    let mut shown = lines.clone();
    let more = format!("... {} more lines", lines.len().saturating_sub(room.saturating_sub(1)));
    if lines.len() > room {
        shown.truncate(room.saturating_sub(1));
        shown.push(&more);
    }
    let shown = shown.iter().map(|line| format!("{line}{CLEAR_LINE}\n")).collect::<String>();
    format!("{HOME}{shown}{CLEAR_REST}")
}

/// The terminal in our hands: another screen, keys without Enter. Dropping it gives it back.
struct Screen(Option<Termios>);

impl Screen {
    fn enter() -> Result<Self, CliError> {
        // Without a terminal as input there are no keys, and Ctrl-C still ends it.
        let before = tcgetattr(stdin()).ok();
        if let Some(before) = &before {
            let mut keys = before.clone();
            keys.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            keys.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
            keys.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
            tcsetattr(stdin(), SetArg::TCSANOW, &keys).map_err(CliError::failed)?;
        }
        let screen = Self(before);
        say(ENTER)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // At the end nothing can be done about a terminal that is gone.
        let _ = say(LEAVE);
        if let Some(before) = &self.0 {
            let _ = tcsetattr(stdin(), SetArg::TCSANOW, before);
        }
    }
}

/// Resolves when `q` or Ctrl-C is pressed.
async fn quit_pressed() {
    let (pressed, quit) = oneshot::channel();
    if stdin().is_terminal() {
        // Reading a terminal cannot be broken off: the thread ends with the process.
        std::thread::spawn(move || {
            if stdin().lock().bytes().map_while(Result::ok).any(|key| matches!(key, b'q' | b'Q')) {
                // The receiver is gone if everything ends anyway.
                let _ = pressed.send(());
            }
        });
    }
    tokio::select! {
        Ok(()) = quit => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn painted_with(trouble: Option<&str>, lines: usize) -> Vec<String> {
        let member = |id: &str| {
            json!({"id": id, "roles": ["node"], "state": "active", "weight": 1.0, "slots": 8, "users": 0, "sockets": 0,
                   "pid": 1, "address": "127.0.0.1:1"})
        };
        let answer = json!({"epoch": 7, "members": [member("node-1"), member("node-2"), member("node-3")]});
        let members = Members::read(answer).unwrap();
        let text = painted(&Look { members: &members, trouble, took: Duration::ZERO }, Some((60, lines)));
        let plain = text.replace(HOME, "").replace(CLEAR_LINE, "").replace(CLEAR_REST, "");
        plain.lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_amiss_stands_above_the_members_and_within_the_screen() {
        let sentence = "degraded: 8 slots have no second copy: a node is away, and what it held is being copied";
        let shown = painted_with(Some(sentence), 10);
        let first = shown.iter().position(|line| line.starts_with("degraded:")).expect("it is said");
        let table = shown.iter().position(|line| line.starts_with("MEMBER")).expect("the table");
        assert!(first < table, "{shown:#?}");
        assert!(shown.len() < 10 && shown.iter().all(|line| line.chars().count() <= 60), "{shown:#?}");
        assert_eq!(shown[first..table - 1].join(" "), sentence);
        assert!(painted_with(None, 10).iter().all(|line| !line.contains("degraded")));
    }
}
