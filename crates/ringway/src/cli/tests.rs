//! What can be written, and what is refused.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::args::NodeOrder;
use super::bench::Measured;
use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("ringway").chain(line.split_whitespace()))
}

fn command(line: &str) -> Command {
    parse(line).unwrap_or_else(|why| panic!("{why}")).command
}

#[test]
fn the_definition_has_no_contradictions() {
    Cli::command().debug_assert();
}

#[test]
fn members_are_run_with_their_flags() {
    let Command::Serve(serve) = command("serve --config a.toml --port 0 --listen 0.0.0.0 --dev") else {
        panic!("no serve")
    };
    assert_eq!((serve.port.port, serve.dev), (Some(0), true));
    assert_eq!(serve.port.listen.unwrap().to_string(), "0.0.0.0");
    let Command::Gateway(gateway) = command("gateway --join h:1") else { panic!("no gateway") };
    assert_eq!(gateway.join.as_deref(), Some("h:1"));
    let Command::Demo(demo) = command("demo --nodes 5 --admin-token x --api-key y") else { panic!("no demo") };
    assert_eq!((demo.nodes, demo.port.admin_token.as_deref(), demo.port.api_key.as_deref()), (5, Some("x"), Some("y")));
    let Command::Demo(demo) = command("demo") else { panic!("no demo") };
    assert_eq!((demo.nodes, demo.port.port), (3, None));
}

#[test]
fn node_runs_one_or_orders_one() {
    let Command::Node(node) = command("node --join 127.0.0.1:1 --id node-7") else { panic!("no node") };
    assert!(node.order.is_none());
    assert_eq!((node.run.join.as_deref(), node.run.member.id.unwrap().as_str()), (Some("127.0.0.1:1"), "node-7"));
    let Command::Node(node) = command("node kill node-2 --json") else { panic!("no node") };
    let Some(NodeOrder::Kill(order)) = node.order else { panic!("no kill") };
    assert_eq!((order.one.id.as_str(), order.one.client.json, order.clients.body()), ("node-2", true, None));
    for order in
        ["add", "stop node-1", "start node-1", "freeze node-1", "thaw node-1", "remove node-1", "weight node-1 0.5"]
    {
        assert!(matches!(command(&format!("node {order}")), Command::Node(node) if node.order.is_some()), "{order}");
    }
}

#[test]
fn what_becomes_of_clients_goes_with_what_moves_them() {
    for order in ["add", "stop node-1", "start node-1", "kill node-1", "weight node-1 2"] {
        let Command::Node(node) = command(&format!("node {order} --mode reset-all --window 500ms")) else {
            panic!("no node")
        };
        let clients = match node.order {
            Some(NodeOrder::Add(order)) => order.clients,
            Some(NodeOrder::Stop(order) | NodeOrder::Start(order) | NodeOrder::Kill(order)) => order.clients,
            Some(NodeOrder::Weight(order)) => order.clients,
            other => panic!("{other:?}"),
        };
        assert_eq!(clients.body(), Some(serde_json::json!({"mode": "reset-all", "window": "500ms"})));
    }
}

#[test]
fn clients_take_json_and_an_address() {
    for line in [
        "members",
        "ring",
        "ring news:1",
        "ring --user bob",
        "send bob hello",
        "top",
        "node add",
        "plan add",
        "changes",
        "plan weight node-1 2",
        "doctor",
    ] {
        command(&format!("{line} --json --url http://127.0.0.1:1"));
    }
    let line = "bench idle --users 5 --json";
    let Command::Bench { measured: Measured::Server(load) } = command(line) else { panic!("no bench") };
    assert!(load.json());
}

#[test]
fn nonsense_is_refused_as_wrong_usage() {
    for (line, kind) in [
        ("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("sing", ErrorKind::InvalidSubcommand),
        ("demo --nodes 0", ErrorKind::ValueValidation),
        ("demo --nodes 65", ErrorKind::ValueValidation),
        ("demo --port 70000", ErrorKind::ValueValidation),
        ("serve --listen here", ErrorKind::ValueValidation),
        ("demo --admin-token=", ErrorKind::InvalidValue),
        ("node --id a/b", ErrorKind::ValueValidation),
        ("node explode node-1", ErrorKind::InvalidSubcommand),
        ("node kill", ErrorKind::MissingRequiredArgument),
        ("node weight node-1", ErrorKind::MissingRequiredArgument),
        ("node weight node-1 much", ErrorKind::ValueValidation),
        ("node kill node-1 --mode rest", ErrorKind::InvalidValue),
        ("node kill node-1 --window 11m", ErrorKind::ValueValidation),
        ("node freeze node-1 --mode reset", ErrorKind::UnknownArgument),
        ("plan explode", ErrorKind::InvalidSubcommand),
        ("plan kill", ErrorKind::MissingRequiredArgument),
        ("ring a --user b", ErrorKind::ArgumentConflict),
        ("top --every 1ms", ErrorKind::ValueValidation),
        ("send bob", ErrorKind::MissingRequiredArgument),
    ] {
        let why = parse(line).expect_err(line);
        assert_eq!(why.kind(), kind, "{line}: {why}");
    }
}

#[test]
fn help_teaches_with_examples_and_tells_the_exit_codes() {
    let help = Cli::command().render_help().to_string();
    for words in ["ringway demo", "ringway node kill node-2", "Exit codes", "64 the config has faults", "RINGWAY_LOG"] {
        assert!(help.contains(words), "no {words:?} in\n{help}");
    }
}

#[test]
fn tokens_survive_the_way_through_an_address() {
    assert_eq!(percent::percent_encoded("aZ09-._~").to_string(), "aZ09-._~");
    assert_eq!(percent::percent_encoded("a b/ä#%").to_string(), "a%20b%2F%C3%A4%23%25");
}

#[test]
fn receipts_are_told_in_a_table_with_what_is_to_be_said() {
    let receipt = serde_json::json!({
        "number": 7, "action": "kill", "member": "node-2", "mode": "migrate", "began": "2026-01-02T03:04:05.678Z",
        "epochs": {"before": 4, "after": 5}, "state": "unsettled", "why": "node-3 is away",
        "predicted": {"slots": 10, "bystander_moves": 0, "users": null, "sockets_closed": 0},
        "moved": {"slots": 10, "users": 3}, "bystander_moves": 0, "detection_ms": 12.5, "settled_ms": null,
        "sockets_closed": 0, "gaps": 0, "doubles": 0, "reorders": 0,
        "pauses": {"count": 2, "p50_ms": 20.1, "p99_ms": 31.0, "max_ms": 31.0},
    });
    let text = changes::told(&changes::read(serde_json::json!([receipt])).unwrap(), None);
    let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
    let wanted = "7 03:04:05.678 kill node-2 unsettled 10 10 0 3 12.5 - 0 0 0 0 2 20.1 31 31";
    assert_eq!(words.join(" "), wanted);
    assert!(text.ends_with("7: node-3 is away\n") && !text.contains("connect anew"), "{text}");
    let mut reset = receipt;
    reset["mode"] = "reset-all".into();
    let text = changes::told(&changes::read(serde_json::json!([reset])).unwrap(), None);
    assert!(text.contains("7: clients were asked to connect anew (reset-all)\n"), "{text}");
}

#[test]
fn a_plan_is_told_with_what_everybody_has_afterwards() {
    let plan = plan::Plan::read(serde_json::json!({
        "action": "kill", "member": "node-2", "weight": 0.0, "epoch": 4, "slots": 10, "bystander_moves": 0,
        "users": 3, "user_names": ["ada", "bob"], "max_over_mean": 1.0, "estimated_ms": 200,
        "busiest_heir": {"id": "node-1", "slots": 10, "of_fair_share": 1.0},
        "nodes": [
            {"id": "node-1", "weight": 1.0, "slots": 6, "slots_after": 16},
            {"id": "node-2", "weight": 0.0, "slots": 10, "slots_after": 0},
        ],
    }));
    let text = plan.unwrap().told(None);
    for words in
        ["node-1       1      6     16     +10", "10 slots would move, 0 of them between", "ada, bob, ...", "200 ms"]
    {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
}

mod printed;
