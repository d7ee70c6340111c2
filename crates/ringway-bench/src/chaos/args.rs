//! The command line of `ringway chaos`, for the binary to embed.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::plan::Fault;

/// What `ringway chaos` is told.
#[derive(Debug, Clone, Args)]
pub struct ChaosArgs {
    /// Number that the faults follow from; the same one gives the same wishes [default: a random one, which is printed]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Minutes of faults; fractions are allowed
    #[arg(long, value_name = "M", default_value_t = 2.0, value_parser = positive)]
    pub minutes: f64,
    /// So many faults instead, however long they take
    #[arg(long, value_name = "N", conflicts_with = "minutes")]
    pub changes: Option<usize>,
    /// The next fault comes only once the last one has settled, instead of at random moments
    #[arg(long)]
    pub settle: bool,
    /// Which faults there are, separated by commas; kill-all is none of the default ones
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FAULT,...", default_values_t = Fault::ALL)]
    pub faults: Vec<Fault>,
    /// Nodes of the cluster that is started
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub nodes: u16,
    /// Gateways of the cluster that is started; the first one starts the others and is left alone
    #[arg(long, value_name = "G", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub gateways: u16,
    /// Settings of the cluster that is started, laid over the demo's own
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub config: Option<PathBuf>,
    /// Folder of the cluster that is started: it keeps the cluster there, and the log of channels that outlive every process
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub data_dir: Option<PathBuf>,
    /// Namespaces that the channels take turns through, of those in the settings [default: channels have none]. After a kill-all those
    /// with durability = "log" must go on where they were; the others may begin anew, and clients must be told
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub namespaces: Vec<String>,
    /// Clients of the Centrifuge protocol, which publish to channels with history
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub clients: usize,
    /// Subscribers of a channel; the channels take turns through a range
    #[arg(long, value_name = "A..B", default_value = "1..4")]
    pub subscribers: Subscribers,
    /// Users of the plain protocol, who write to one another
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub plain: usize,
    /// Messages per second from all clients together
    #[arg(long, value_name = "N", default_value_t = 1000.0, value_parser = positive)]
    pub rate: f64,
    /// Bytes of text or data in a message; about 50 at least
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    pub payload: usize,
    /// Fail, too, if detection, pauses or the resolving of a freeze took longer than what is aimed at
    #[arg(long)]
    pub expect: bool,
    /// Disturb this running demo instead of one of our own: the address of its first gateway; clients connect to the gateways' own ports, without TLS
    #[arg(long, value_name = "URL", requires = "token")]
    pub url: Option<String>,
    /// Token of its admin API
    #[arg(long, value_name = "TOKEN", env = "RINGWAY_ADMIN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// For an https:// address: trust the certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE", env = "RINGWAY_CA")]
    pub ca: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// How many subscribers channels have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribers {
    /// The fewest.
    pub from: usize,
    /// The most.
    pub to: usize,
}

impl FromStr for Subscribers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let number = |text: &str| text.parse::<usize>().ok().filter(|number| *number > 0);
        match (number(from), number(to.trim_start_matches('='))) {
            (Some(from), Some(to)) if from <= to => Ok(Self { from, to }),
            _ => Err("expected a number above 0 or a range, such as 4 or 1..4".to_owned()),
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|error| error.to_string())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("it must be more than 0".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_subscribers_is_read() {
        assert_eq!("1..4".parse(), Ok(Subscribers { from: 1, to: 4 }));
        assert_eq!("2..=3".parse(), Ok(Subscribers { from: 2, to: 3 }));
        assert_eq!("4".parse(), Ok(Subscribers { from: 4, to: 4 }));
        for wrong in ["0..4", "4..1", "x", "1..", ""] {
            assert!(wrong.parse::<Subscribers>().is_err(), "{wrong}");
        }
    }
}
