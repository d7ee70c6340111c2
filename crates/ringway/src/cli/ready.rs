//! What `demo` and `serve --dev` print once they serve: an address to open, and commands to paste.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::paint::on_stdout;
use super::percent::percent_encoded;
use super::program::{self, quoted};
use crate::beacon::Beacon;
use crate::config::Config;
use crate::demo::{Ready, reachable};

/// Where what is told of stands.
const LABEL: usize = 21;

/// The page's address. The token stands in the fragment, which browsers keep to themselves.
fn page(base: &str, token: &str) -> String {
    format!("{base}/#token={}", percent_encoded(token))
}

pub(super) fn told_ready(ready: &Ready) -> String {
    let on = on_stdout();
    let beacon = &ready.beacon;
    let mut text = format!("\n  {}\n\n", on.bold(&page(&beacon.url, &beacon.token)));
    let mut tell = |label: &str, value: &str| {
        let _infallible = writeln!(text, "  {label:<LABEL$} {value}");
    };
    if !ready.gateways.is_empty() {
        let gateways = ready.gateways.iter().map(|address| format!("http://{}", reachable(*address)));
        tell("More gateways", &gateways.collect::<Vec<_>>().join("  "));
    }
    let found = ready.not_found.is_none();
    for (label, command) in
        ["Open that page, then", ""].iter().chain(&[""; 2]).zip(commands(ready.nodes, beacon, found))
    {
        tell(label, &command);
    }
    tell("Admin token", &beacon.token);
    tell("API key", &beacon.api_key);
    tell("Members' logs", &ready.logs.display().to_string());
    if let Some(why) = &ready.not_found {
        let _infallible = writeln!(text, "  {}", on.red(why));
    }
    let warning = "This is the open config for trying things out: anybody who reaches the port may connect and talk. Ctrl-C stops everything.";
    let _infallible = writeln!(text, "\n  {}\n", on.yellow(warning));
    text
}

/// Commands that work as they stand, for a demo of so many nodes. One that the command line does not find by itself is named in each.
fn commands(nodes: usize, beacon: &Beacon, found: bool) -> [String; 4] {
    let program = program::name();
    let url = |key: &str, secret: &str| match found {
        true => String::new(),
        false => format!(" --url {} --{key} {}", quoted(&beacon.url), quoted(secret)),
    };
    let (admin, server) = (url("token", &beacon.token), url("api-key", &beacon.api_key));
    let change = if nodes > 1 { "kill node-2" } else { "add" };
    [
        format!("{program} members{admin}"),
        format!("{program} top{admin}"),
        format!("{program} node {change}{admin}"),
        format!("{program} send bob hello{server}"),
    ]
}

pub(super) fn told_open(config: &Config, address: SocketAddr) -> String {
    let on = on_stdout();
    let token = config.admin.token.as_ref().map_or("", |token| token.0.as_str());
    let key = config.gateway.api_key.as_deref().unwrap_or_default();
    let warning = "THIS CONFIG IS OPEN: anybody who reaches the port may connect and talk. For development only.";
    let base = format!("http://{}", reachable(address));
    format!(
        "\n  {}\n\n  Admin token  {token}\n  API key      {key}\n\n  {}\n\n",
        on.bold(&page(&base, token)),
        on.red(warning)
    )
}

#[cfg(test)]
mod tests {
    use super::super::args::Cli;
    use super::*;
    use clap::Parser;

    #[test]
    fn what_is_printed_is_understood_and_names_nodes_that_there_are() {
        let beacon = Beacon::new("http://127.0.0.1:9888".into(), "it's a token".into(), "k".into());
        for (nodes, found) in [(3, true), (2, false), (1, true)] {
            for command in commands(nodes, &beacon, found) {
                let words = shlex::split(&command).expect("a shell's line");
                Cli::try_parse_from(&words).unwrap_or_else(|why| panic!("{command}: {why}"));
                assert!(nodes > 1 || !command.contains("node-2"), "{command}");
                assert_ne!(found, command.contains("--url"), "{command}");
            }
        }
        let told = commands(3, &beacon, false);
        assert!(told[0].ends_with("members --url http://127.0.0.1:9888 --token \"it's a token\""), "{told:?}");
    }
}
