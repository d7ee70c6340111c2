//! The command line of `ringway bench`, for the binary to embed.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::client::Form;
pub use crate::siege::SiegeArgs;

/// Which load.
#[derive(Debug, Clone, Subcommand)]
pub enum Bench {
    /// Connect many users that say nothing: connects per second, memory per connection
    Idle(IdleArgs),
    /// Publish to many subscribers of one channel, or of several: deliveries and acknowledgements per second, latencies
    Fanout(FanoutArgs),
    /// Let users write to one another: messages per second, latency
    P2p(P2pArgs),
    /// Attack a cluster of its own in many ways, one after the other: what good users notice of each
    Siege(SiegeArgs),
}

impl Bench {
    /// Whether the report is wanted as JSON.
    pub fn json(&self) -> bool {
        match self {
            Self::Idle(args) => args.common.json,
            Self::Fanout(args) => args.common.json,
            Self::P2p(args) => args.common.json,
            Self::Siege(args) => args.json,
        }
    }

    /// Whether more than a clean report is asked for.
    pub fn expects(&self) -> bool {
        matches!(self, Self::Siege(args) if args.expect)
    }
}

/// Where the server is and how to tell what was measured.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The server's address; clients are dealt out when there are several
    #[arg(long = "url", value_name = "URL", default_value = "ws://127.0.0.1:9888")]
    pub urls: Vec<String>,
    /// Process id of the server, for its memory and processor time; once for each of its processes
    #[arg(long = "pid", value_name = "PID")]
    pub pids: Vec<u32>,
    /// Where a process of the server shows its metrics, for the share of its member task; once for each [default: the addresses of --url]
    #[arg(long = "metrics", value_name = "URL")]
    pub metrics: Vec<String>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// How many clients may be connecting at once
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub connecting: usize,
}

/// What the clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// `/socket/{user}`
    Plain,
    /// `/connection/websocket`, in JSON
    Centrifuge,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Centrifuge => "centrifuge",
        }
    }
}

/// Who publishes in a fan-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// Some of the subscribers
    Clients,
    /// The server API
    Api,
}

/// How long and how fast; for loads that send.
#[derive(Debug, Clone, Args)]
pub struct Traffic {
    /// Seconds to measure
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Seconds to run before measuring begins
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub warmup: u64,
    /// Seconds that what is under way at the end has to arrive; then it is lost
    #[arg(long, value_name = "S", default_value_t = 5)]
    pub drain: u64,
    /// Stop early after about so many messages sent
    #[arg(long, value_name = "N")]
    pub messages: Option<u64>,
    /// Messages per second from all senders together [default: as fast as the window allows]
    #[arg(long, value_name = "N", conflicts_with = "window", value_parser = positive)]
    pub rate: Option<f64>,
    /// Messages each sender may have under way; the next one leaves when one has arrived everywhere
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub window: u64,
    /// Bytes of text or data in a message; about 50 at least
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    pub payload: usize,
    /// Centrifuge clients speak Protobuf in place of JSON
    #[arg(long)]
    pub protobuf: bool,
}

impl Traffic {
    pub(crate) fn form(&self) -> Form {
        if self.protobuf { Form::Protobuf } else { Form::Json }
    }

    pub(crate) fn warmup(&self) -> Duration {
        Duration::from_secs(self.warmup)
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain)
    }

    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// A rate that time can be divided by.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().map_err(|error| error.to_string())?;
    if rate.is_finite() && rate > 0.0 { Ok(rate) } else { Err("it must be more than 0".into()) }
}

/// `ringway bench idle`
#[derive(Debug, Clone, Args)]
pub struct IdleArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: Common,
    /// How many users
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub users: usize,
    /// What they speak
    #[arg(long, value_enum, default_value_t = Protocol::Plain)]
    pub protocol: Protocol,
    /// The channel each Centrifuge client subscribes to; {i} stands for its number
    #[arg(long, value_name = "NAME", default_value = "bench")]
    pub channel: String,
    /// How many users write to another one at the end, to show that the sockets are alive
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub sample: usize,
    /// Seconds to stay connected after measuring, for looking at the server by other means
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub hold: u64,
}

/// `ringway bench fanout`
#[derive(Debug, Clone, Args)]
pub struct FanoutArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: Common,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub traffic: Traffic,
    /// How many clients are subscribed
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub subscribers: usize,
    /// How many publish: so many of the subscribers, or so many connections to the API
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub publishers: usize,
    /// Who publishes
    #[arg(long, value_enum, default_value_t = Via::Clients)]
    pub via: Via,
    /// The server API's key
    #[arg(long, value_name = "KEY", env = "RINGWAY_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// The channel; of several, what their names begin with
    #[arg(long, value_name = "NAME", default_value = "bench")]
    pub channel: String,
    /// How many channels share the subscribers, each in one of them; publishers are spread over all
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub channels: usize,
    /// Namespace of the channels, which decides how they are kept
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// `ringway bench p2p`
#[derive(Debug, Clone, Args)]
pub struct P2pArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: Common,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub traffic: Traffic,
    /// How many users
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub users: usize,
    /// What they speak; Centrifuge clients talk in pairs, each pair in a channel of its own
    #[arg(long, value_enum, default_value_t = Protocol::Plain)]
    pub protocol: Protocol,
    /// To how many others each plain user writes in turn
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub peers: usize,
    /// Namespace of the channels of Centrifuge clients, which decides how they are kept
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
}
