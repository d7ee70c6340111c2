//! The process as its system sees it, under the names that Prometheus' clients use in every language; and which version it is.
//!
//! What the system does not tell is left out.

use std::fmt;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads what the system says when asked.
#[derive(Debug)]
pub(super) struct Process {
    /// When it was started, on the wall clock.
    started: Duration,
}

impl Default for Process {
    /// Made while the process starts.
    fn default() -> Self {
        Self { started: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(seconds) = cpu_seconds() {
            let counter = ConstCounter::new(seconds);
            let help = "Total user and system CPU time spent in seconds";
            counter.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, counter.metric_type())?)?;
        }
        let (virtual_bytes, resident_bytes) = memory().unzip();
        let (max_fds, open_fds) = (max_fds(), open_fds());
        let gauges = [
            ("process_resident_memory_bytes", "Resident memory size in bytes", resident_bytes),
            ("process_virtual_memory_bytes", "Virtual memory size in bytes", virtual_bytes),
            ("process_open_fds", "Number of open file descriptors", open_fds),
            ("process_max_fds", "Maximum number of open file descriptors", max_fds),
        ];
        for (name, help, value) in gauges {
            if let Some(gauge) = value.map(ConstGauge::new) {
                gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
            }
        }
        let gauge = ConstGauge::new(self.started.as_secs_f64());
        let help = "Start time of the process since unix epoch in seconds";
        gauge.encode(encoder.encode_descriptor("process_start_time_seconds", help, None, gauge.metric_type())?)
    }
}

fn cpu_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Some(Duration::from_micros(u64::try_from(microseconds).ok()?).as_secs_f64())
}

/// Virtual and resident size in bytes, from Linux's `/proc`.
fn memory() -> Option<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some((kilobytes(&status, "VmSize:")? * 1024, kilobytes(&status, "VmRSS:")? * 1024))
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// One of them reads the directory.
fn open_fds() -> Option<u64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as u64)
}

fn max_fds() -> Option<u64> {
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft)
}

/// Which version this is.
#[derive(Debug)]
pub(super) struct Build;

impl Collector for Build {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let gauge = ConstGauge::new(1_u64);
        let help = "1, labelled with the version of the program";
        let mut family = encoder.encode_descriptor("build_info", help, None, gauge.metric_type())?;
        gauge.encode(family.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_of_this_process() {
        assert!(cpu_seconds().is_some_and(|seconds| seconds > 0.0));
        let (size, resident) = memory().unwrap();
        assert!(size >= resident && resident > 100_000, "{size} {resident}");
        let (before, _file) = (open_fds().unwrap(), fs::File::open("/proc/self/status").unwrap());
        assert!(before >= 3 && before <= max_fds().unwrap());
    }

    #[test]
    fn a_line_that_is_not_there_is_left_out() {
        assert_eq!(kilobytes("Name:\ta\nVmRSS:\t    1234 kB\n", "VmRSS:"), Some(1234));
        assert_eq!(kilobytes("Name: zombie\n", "VmRSS:"), None);
    }
}
