//! The command line of `ringway bench siege`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::load::Load;
use crate::args::positive;

/// `ringway bench siege`
#[derive(Debug, Clone, Args)]
pub struct SiegeArgs {
    /// Which loads, separated by commas, in this order
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LOAD,...", default_values_t = Load::ALL)]
    pub loads: Vec<Load>,
    /// Seconds of each load that are measured
    #[arg(long, value_name = "S", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Seconds of calm between two loads that are measured
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub calm: u64,
    /// Seconds that a load has to build up before measuring begins
    #[arg(long, value_name = "S", default_value_t = 2)]
    pub build_up: u64,
    /// How often all loads come
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub rounds: usize,
    /// Good users
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(4..))]
    pub users: usize,
    /// Messages per second from all good users together
    #[arg(long, value_name = "N", default_value_t = 1000.0, value_parser = positive)]
    pub rate: f64,
    /// Nodes of the cluster that is started
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub nodes: u16,
    /// A p99 below so many milliseconds is good whatever it is when calm
    #[arg(long, value_name = "MS", default_value_t = 20.0, value_parser = positive)]
    pub floor: f64,
    /// Fail, too, if the p99 of good users is above twice its calm value and above the floor
    #[arg(long)]
    pub expect: bool,
    /// The binary whose demo is besieged, another release for instance [default: this one]
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

impl SiegeArgs {
    pub(super) fn calm(&self) -> Duration {
        Duration::from_secs(self.calm)
    }

    pub(super) fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    pub(super) fn build_up(&self) -> Duration {
        Duration::from_secs(self.build_up)
    }
}
