//! What can be written on the command line. Every flag of a member is an environment variable too.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};
use ringway_core::MemberId;
use ringway_core::ring::Weight;

use super::tokens::{CheckTokenArgs, GenkeyArgs, SubtokenArgs, TokenArgs};
use crate::config;
use crate::rebalance::{LONGEST_WINDOW, Mode};
use crate::telemetry::LogFormat;

const EXAMPLES: &str = "\
Examples:
  ringway demo                          three nodes around a gateway; prints the page's address
  ringway members                       who is in the running demo, and what they own
  ringway ring --user bob               which node owns bob's inbox
  ringway plan kill node-2              what would move if it were gone
  ringway node kill node-2              kill -9; watch the sockets stay open
  ringway changes                       what that came to
  ringway send bob 'hello there'        to bob, wherever he is connected
  ringway config check ringway.toml     every fault of a config; starts nothing
  ringway token --config ringway.toml --user ann    a token to connect with
  ringway serve --config ringway.toml   one process, both roles: for real use on one machine

Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 64 the config has faults (no port was opened);
69 nobody answers, or a port is not to be had; 75 ended as asked, but out of time: not all was handed
over; 130 ended at once by a second Ctrl-C.

Logs go to stderr; RINGWAY_LOG=debug shows more. NO_COLOR turns colours off.";

const NODE_EXAMPLES: &str = "\
Without a subcommand this runs a node. With one, it asks a running demo to do something to one of its nodes.

Examples:
  ringway node --join 10.0.0.1:9889 --id node-7    run a node here and join (RINGWAY_SECRET holds the secret)
  ringway node add                                 have the demo start one more
  ringway node stop node-2                         let it hand over and leave
  ringway node weight node-2 2                     let it own about twice as much
  ringway node stop node-2 --mode reset            and ask the clients that it served to connect anew
  ringway node freeze node-2 && ringway node thaw node-2";

const DOCTOR_EXAMPLES: &str = "\
It looks at the config, the limits of this machine, the ports, the data folder, NATS, Nacos, and a running member. It changes nothing; in the data
folder it writes a small file and removes it. Each finding has a level: ok, note (worth knowing), warning (works, and will hurt), fault
(does not work). Run it on the machine and as the user of the member, with the same environment: limits and folders are those of whoever runs it.

Examples:
  ringway doctor                                    the running demo, and this machine
  ringway doctor --config ringway.toml              before the first start, and beside the running member
  ringway doctor --config ringway.toml --json       one document: {\"findings\":[{\"what\":…,\"level\":…,\"seen\":…,\"do\":…}]}
  ringway doctor --url http://10.0.0.1:9888 --token T
  ringway doctor --config ringway.toml --monitor http://10.0.0.5:8222

Exit codes: 0 there is no fault (warnings are none); 1 there is one; 64 the config has faults.";

const IMPORT_EXAMPLES: &str = "\
What is set by default there and otherwise here is written down too: the address, the port, and whether users are subscribed to their personal channels.

Examples:
  ringway config import config.json                  with `> ringway.toml` behind it, into a file
  ringway config import --env                        of this environment's variables alone
  ringway config import config.yaml --env --json     one document for programs

Exit codes: 0 translated; 1 the file cannot be read; 64 what came out has faults, which are told: correct them.";

#[cfg(feature = "load")]
const CHAOS_EXAMPLES: &str = "\
Starts a cluster of its own (or takes the one at --url), connects clients that come back when their socket ends, lets them
talk, makes faults at random, and checks every message. Progress goes to stderr, the report to stdout. The exit code is 0 only
if nothing acknowledged was lost, doubled or reordered, no subscription lost its position, and no socket closed but those
of gateways that were killed, frozen or stopped. Faults overlap, but what may cost a copy waits until the last such one has settled.

Examples:
  ringway chaos                                          two minutes of everything
  ringway chaos --seed 7 --minutes 30                    the same wishes each time
  ringway chaos --settle --changes 20 --faults kill,start,add
  ringway chaos --settle --changes 5 --faults freeze --plain 0 --expect
  ringway chaos --clients 0 --plain 2000 --rate 5000     users who write to one another
  ringway chaos --settle --changes 3 --faults kill-all --data-dir data    everything ends at once, three times
  ringway chaos --config ringway.toml --namespaces orders,news            channels of two namespaces of that file
  ringway chaos --url http://127.0.0.1:9888 --token T    a demo that is running

Exit codes: 0 all promises kept; 1 one was broken, or with --expect it took too long; 2 that cannot be done; 69 there is no cluster;
130 ended at once by a second Ctrl-C. The first Ctrl-C ends the faults and reports.";

/// A WebSocket cluster: any number of users on any number of gateways, every user and channel owned by one node.
#[derive(Debug, Parser)]
#[command(name = "ringway", version, propagate_version = true, after_help = EXAMPLES)]
pub(super) struct Cli {
    /// How log lines are written
    #[arg(long, global = true, value_enum, default_value_t, env = "RINGWAY_LOG_FORMAT")]
    pub(super) log_format: LogFormat,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run gateway and node in one process: the default for one machine
    Serve(ServeArgs),
    /// Run a gateway: the first of a cluster, or with --join another one
    Gateway(GatewayArgs),
    /// Run a node, or do something to one of a running demo's
    #[command(args_conflicts_with_subcommands = true, after_help = NODE_EXAMPLES)]
    Node(Box<NodeArgs>),
    /// Run a whole cluster of real processes on this machine
    Demo(DemoArgs),
    /// List the members of a running cluster
    Members(ClientArgs),
    /// Show which node owns a channel or a user, or the shares of all nodes
    Ring(RingArgs),
    /// Show what a change of the nodes would come to; changes nothing
    Plan {
        #[command(subcommand)]
        order: PlanOrder,
    },
    /// Show what every change came to: what moved, what was noticed, how long it took
    Changes(ClientArgs),
    /// Send a message to a user's inbox
    Send(SendArgs),
    /// Watch the members
    Top(TopArgs),
    /// Look at what an operator should know before a member starts and while it runs, and say what to do
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(Box<DoctorArgs>),
    /// Look at settings; starts nothing
    Config {
        #[command(subcommand)]
        order: ConfigOrder,
    },
    /// Make a connection token, for trying things out
    Token(Box<TokenArgs>),
    /// Make a subscription token, for trying things out
    Subtoken(Box<SubtokenArgs>),
    /// Show what a token says, and whether and why it is not good
    Checktoken(CheckTokenArgs),
    /// Make a secret for signing tokens
    Genkey(GenkeyArgs),
    /// Measure a running server over real sockets, or the log alone
    #[cfg(feature = "load")]
    Bench {
        #[command(subcommand)]
        measured: super::bench::Measured,
    },
    /// Disturb a cluster under load at random, and check every message
    #[cfg(feature = "load")]
    #[command(after_help = CHAOS_EXAMPLES)]
    Chaos(Box<ringway_bench::chaos::ChaosArgs>),
}

/// Settings that all members take from file, flags and environment.
#[derive(Debug, Default, Args)]
pub(super) struct MemberArgs {
    /// Settings; see ringway.example.toml for all of them
    #[arg(long, value_name = "FILE", env = "RINGWAY_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Stable name of this member
    #[arg(long, value_name = "ID", env = "RINGWAY_ID", value_parser = MemberId::new)]
    pub(super) id: Option<MemberId>,
    /// Where to listen for other members; port 0 takes a free one [default: 127.0.0.1:9889 for the first process; with --join this
    /// machine's address on the way there]
    #[arg(long, value_name = "ADDR", env = "RINGWAY_LINK_LISTEN")]
    pub(super) link_listen: Option<SocketAddr>,
    /// host:port told to the other members, if that is not where it listens
    #[arg(long, value_name = "ADDR", env = "RINGWAY_LINK_ADVERTISE", value_parser = address)]
    pub(super) link_advertise: Option<String>,
    /// Where health, metrics, admin API and page are, instead of on the clients' port; port 0 takes a free one. A node has them nowhere else
    #[arg(long, value_name = "ADDR", env = "RINGWAY_INTERNAL_LISTEN", value_parser = internal_listen)]
    pub(super) internal_listen: Option<InternalListen>,
}

/// An address, or an empty text: no internal port, whatever the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InternalListen(pub(super) Option<SocketAddr>);

fn internal_listen(text: &str) -> Result<InternalListen, String> {
    let wrong = |_| "expected an IP address with a port, such as 127.0.0.1:9890".to_owned();
    let address = (!text.is_empty()).then(|| text.parse().map_err(wrong)).transpose();
    address.map(InternalListen)
}

/// Settings of the process that keeps the registry.
#[derive(Debug, Default, Args)]
pub(super) struct RegistryArgs {
    /// Folder that remembers the cluster when this process is started again, and has the log of channels that outlive all processes; only
    /// the first process uses it
    #[arg(long, value_name = "DIR", env = "RINGWAY_DATA_DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Start though records of the log in that folder cannot be read, without them and what came after them in their slots
    #[arg(long)]
    pub(super) accept_loss: bool,
}

/// Settings of members that have a port for clients.
#[derive(Debug, Default, Args)]
pub(super) struct ClientPortArgs {
    /// Port for clients, page and APIs; 0 takes a free one [default: 9888]
    #[arg(long, value_name = "PORT", env = "RINGWAY_PORT")]
    pub(super) port: Option<u16>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, value_name = "IP", env = "RINGWAY_LISTEN")]
    pub(super) listen: Option<IpAddr>,
    /// host:port where clients reach it, if that is not where it listens
    #[arg(long, value_name = "ADDR", env = "RINGWAY_ADVERTISE", value_parser = address)]
    pub(super) advertise: Option<String>,
    /// Token of the admin API; any text
    #[arg(long, value_name = "TOKEN", env = "RINGWAY_ADMIN_TOKEN", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    pub(super) admin_token: Option<String>,
    /// Key of the server API; any text
    #[arg(long, value_name = "KEY", env = "RINGWAY_API_KEY", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    pub(super) api_key: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) member: MemberArgs,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
    #[command(flatten)]
    pub(super) port: ClientPortArgs,
    /// The demo's open config: anybody may connect and talk. For development only
    #[arg(long, env = "RINGWAY_DEV")]
    pub(super) dev: bool,
}

#[derive(Debug, Args)]
pub(super) struct GatewayArgs {
    #[command(flatten)]
    pub(super) member: MemberArgs,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
    #[command(flatten)]
    pub(super) port: ClientPortArgs,
    /// Link address of the first gateway; without it this is the first
    #[arg(long, value_name = "ADDR", env = "RINGWAY_JOIN", value_parser = address)]
    pub(super) join: Option<String>,
    /// The demo's open config: anybody may connect and talk. For development only
    #[arg(long, env = "RINGWAY_DEV")]
    pub(super) dev: bool,
    /// host:port of the gateway that starts and stops the members, to be named to whoever asks this one for it
    #[arg(long, value_name = "ADDR", env = "RINGWAY_ORCHESTRATOR")]
    pub(super) orchestrator: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    #[command(subcommand)]
    pub(super) order: Option<NodeOrder>,
    #[command(flatten)]
    pub(super) run: NodeRun,
}

#[derive(Debug, Args)]
pub(super) struct NodeRun {
    /// Link address of the first gateway
    #[arg(long, value_name = "ADDR", env = "RINGWAY_JOIN", value_parser = address)]
    pub(super) join: Option<String>,
    #[command(flatten)]
    pub(super) member: MemberArgs,
    /// Token of the admin API on the internal port; any text
    #[arg(long, value_name = "TOKEN", env = "RINGWAY_ADMIN_TOKEN", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    pub(super) admin_token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum NodeOrder {
    /// Start one more node
    Add(AddNode),
    /// Let it hand over and leave (SIGTERM)
    Stop(MoveNode),
    /// Start one that is down, under the same id
    Start(MoveNode),
    /// kill -9: no goodbye
    Kill(MoveNode),
    /// SIGSTOP: alive, but silent
    Freeze(OneNode),
    /// SIGCONT: go on after a freeze
    Thaw(OneNode),
    /// Give it another share of the slots: 2 owns about twice what 1 does
    Weight(WeighNode),
    /// Forget one that is down
    Remove(OneNode),
}

#[derive(Debug, Subcommand)]
pub(super) enum PlanOrder {
    /// If one more node joined
    Add(NewNode),
    /// If it handed over and left
    Stop(OneNode),
    /// If it were killed
    Kill(OneNode),
    /// If it had another weight
    Weight(NodeWeight),
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigOrder {
    /// Name every fault of a file. The exit code is 0 without faults, 64 with some
    Check(CheckArgs),
    /// Translate a config of Centrifugo: ours goes to stdout, and what has no counterpart to stderr
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Its settings: .json, .yaml or .toml of version 5 or 6, or .env with its variables (CENTRIFUGO_…)
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Lay the variables CENTRIFUGO_… of this environment over it
    #[arg(long)]
    pub(super) env: bool,
    /// Print JSON: {"config":"…","choices":[{"key":"…","why":"…"}],"without_counterpart":[…],"faults":["…"]}
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The settings; see ringway.example.toml for all of them
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// As settings of `demo` and `serve --dev`, which begin with an open config
    #[arg(long)]
    pub(super) dev: bool,
    /// Print JSON: {"file":"…","faults":["…"]}
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// The member's settings [default: those of a member without a file]
    #[arg(long, value_name = "FILE", env = "RINGWAY_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// As settings of `demo` and `serve --dev`, which begin with an open config
    #[arg(long)]
    pub(super) dev: bool,
    /// The member's data folder, if it is not the config's
    #[arg(long, value_name = "DIR", env = "RINGWAY_DATA_DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// A running member, http:// or https:// [default: the one at the config's ports; without a config the running demo]
    #[arg(long, value_name = "URL", env = "RINGWAY_URL")]
    pub(super) url: Option<String>,
    /// For an https:// address: trust the certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE", env = "RINGWAY_CA")]
    pub(super) ca: Option<PathBuf>,
    /// Token of the admin API [default: the config's, or the running demo's]
    #[arg(long, value_name = "TOKEN", env = "RINGWAY_ADMIN_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// The monitoring port of a NATS server, which tells when it syncs to disk
    #[arg(long, value_name = "URL", env = "RINGWAY_NATS_MONITOR")]
    pub(super) monitor: Option<String>,
    /// Print JSON: {"findings":[{"what":"…","level":"…","seen":"…","do":"…"}]}
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct OneNode {
    /// Which, as `ringway members` lists it
    #[arg(value_name = "ID")]
    pub(super) id: String,
    #[command(flatten)]
    pub(super) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(super) struct NewNode {
    /// Its id [default: the next one that a demo would start]
    #[arg(value_name = "ID")]
    pub(super) id: Option<String>,
    /// Its share in relation to the others'; fractions are allowed
    #[arg(long, value_name = "W", value_parser = weight, default_value_t = 1.0)]
    pub(super) weight: f64,
    #[command(flatten)]
    pub(super) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(super) struct NodeWeight {
    #[command(flatten)]
    pub(super) one: OneNode,
    /// Its share in relation to the others'; fractions are allowed
    #[arg(value_name = "W", value_parser = weight)]
    pub(super) weight: f64,
}

#[derive(Debug, Args)]
pub(super) struct AddNode {
    #[command(flatten)]
    pub(super) client: ClientArgs,
    #[command(flatten)]
    pub(super) clients: ModeArgs,
}

#[derive(Debug, Args)]
pub(super) struct MoveNode {
    #[command(flatten)]
    pub(super) one: OneNode,
    #[command(flatten)]
    pub(super) clients: ModeArgs,
}

#[derive(Debug, Args)]
pub(super) struct WeighNode {
    #[command(flatten)]
    pub(super) node: NodeWeight,
    #[command(flatten)]
    pub(super) clients: ModeArgs,
}

/// What becomes of the clients whose owner another node is afterwards.
#[derive(Debug, Args)]
pub(super) struct ModeArgs {
    /// What becomes of clients whose owner changes [default: as the cluster is configured]
    #[arg(long, value_enum)]
    pub(super) mode: Option<Mode>,
    /// Spread those who must connect anew over this time, such as 5s [default: as the cluster is configured]
    #[arg(long, value_name = "TIME", value_parser = window)]
    pub(super) window: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 3, env = "RINGWAY_NODES", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) nodes: u16,
    /// How many gateways; gateway i is on the port i above the first one's
    #[arg(long, value_name = "G", default_value_t = 1, env = "RINGWAY_GATEWAYS", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(super) gateways: u16,
    /// Settings laid over the demo's own; see ringway.example.toml
    #[arg(long, value_name = "FILE", env = "RINGWAY_CONFIG")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
    #[command(flatten)]
    pub(super) port: ClientPortArgs,
}

/// Which cluster a client asks. Without flags: the running demo.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ServerArgs {
    /// The cluster's address, http:// or https:// [default: the running demo's; the newest of several]
    #[arg(long, value_name = "URL", env = "RINGWAY_URL")]
    pub(super) url: Option<String>,
    /// For an https:// address: trust the certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE", env = "RINGWAY_CA")]
    pub(super) ca: Option<PathBuf>,
}

/// Whom a client of the admin API asks, and how it tells.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ClientArgs {
    #[command(flatten)]
    pub(super) at: ServerArgs,
    /// Token of the admin API [default: the running demo's]
    #[arg(long, value_name = "TOKEN", env = "RINGWAY_ADMIN_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// Print JSON, as the API answers it
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RingArgs {
    /// A channel's full name
    #[arg(value_name = "KEY", conflicts_with = "user")]
    pub(super) key: Option<String>,
    /// A user, for the personal channel
    #[arg(long, value_name = "USER")]
    pub(super) user: Option<String>,
    #[command(flatten)]
    pub(super) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// To whom
    pub(super) user: String,
    /// What
    pub(super) text: String,
    /// Who the message says it is from
    #[arg(long, value_name = "USER")]
    pub(super) from: Option<String>,
    /// Key of the server API [default: the running demo's]
    #[arg(long, value_name = "KEY", env = "RINGWAY_API_KEY", hide_env_values = true)]
    pub(super) api_key: Option<String>,
    #[command(flatten)]
    pub(super) at: ServerArgs,
    /// Print JSON, as the API answers it
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct TopArgs {
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub(super) every: Duration,
    /// End after so many looks
    #[arg(long, value_name = "N")]
    pub(super) count: Option<u64>,
    #[command(flatten)]
    pub(super) client: ClientArgs,
}

/// Checked here, and kept as it was written: a name is looked up when it is dialed.
fn address(text: &str) -> Result<String, String> {
    crate::address::host_and_port(text).map(|_| text.to_owned())
}

fn interval(text: &str) -> Result<Duration, String> {
    let parsed = config::duration(text).filter(|time| *time >= Duration::from_millis(100));
    parsed.ok_or_else(|| "expected a time of 100ms or more, such as 500ms, 1s or 1m".to_owned())
}

/// Checked here, and sent as it was written.
fn window(text: &str) -> Result<String, String> {
    let parsed = config::duration(text).filter(|time| *time <= LONGEST_WINDOW);
    parsed.map(|_| text.to_owned()).ok_or_else(|| "expected a time of 10m or less, such as 500ms, 5s or 1m".to_owned())
}

fn weight(text: &str) -> Result<f64, String> {
    let weight = text.parse().map_err(|_| "expected a number, such as 2 or 0.5".to_owned())?;
    Weight::from_number(weight).map_err(|why| why.to_string())?;
    Ok(weight)
}
