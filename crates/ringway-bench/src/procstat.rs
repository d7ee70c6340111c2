//! What the server's processes use, read from Linux's `/proc`: resident memory and processor time.

use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

/// The unit of processor times in `/proc/PID/stat`: Linux shows them to programs in hundredths of a second on every architecture.
const TICK: Duration = Duration::from_millis(10);
/// Memory is asked for this often while it settles ...
const SETTLE_EVERY: Duration = Duration::from_millis(200);
/// ... and is settled when this many samples in a row, two seconds' worth, ...
const SETTLE_SAMPLES: usize = 10;
/// ... lie within this of one another: what a server's own timers and metrics may move.
const SETTLE_BYTES: u64 = 256 * 1024;
/// A server whose memory never comes to rest is measured as it is after this time.
const SETTLE_LONGEST: Duration = Duration::from_secs(30);

/// The sum over some processes at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory (`VmRSS`) in bytes.
    pub resident: u64,
    /// Processor time used since their start, in user and kernel mode.
    pub cpu: Duration,
}

/// Reads and adds up what `pids` use now.
///
/// # Errors
/// One of them is gone or may not be read.
pub fn usage(pids: &[u32]) -> anyhow::Result<Usage> {
    let mut sum = Usage { resident: 0, cpu: Duration::ZERO };
    for pid in pids {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {path}: is the server's process id right?"))
        };
        sum.resident += resident(&read("status")?).with_context(|| format!("/proc/{pid}/status names no VmRSS"))?;
        sum.cpu += cpu(&read("stat")?).with_context(|| format!("/proc/{pid}/stat names no processor times"))?;
    }
    Ok(sum)
}

/// Processor time that the host has taken from this virtual machine since it was started, all processors together. Zero where no host tells.
pub fn stolen() -> Duration {
    std::fs::read_to_string("/proc/stat").ok().and_then(|stat| steal(&stat)).unwrap_or_default()
}

/// Waits until the memory of `pids` no longer moves, or the longest settling time is over, and gives the last reading.
///
/// # Errors
/// As [`usage`].
pub async fn settled(pids: &[u32]) -> anyhow::Result<Usage> {
    let end = Instant::now() + SETTLE_LONGEST;
    let mut samples = std::collections::VecDeque::with_capacity(SETTLE_SAMPLES);
    loop {
        let now = usage(pids)?;
        if samples.len() == SETTLE_SAMPLES {
            samples.pop_front();
        }
        samples.push_back(now.resident);
        let spread = samples.iter().max().zip(samples.iter().min()).map_or(0, |(max, min)| max - min);
        if (samples.len() == SETTLE_SAMPLES && spread <= SETTLE_BYTES) || Instant::now() >= end {
            return Ok(now);
        }
        tokio::time::sleep(SETTLE_EVERY).await;
    }
}

/// `VmRSS` of a `/proc/PID/status`, in bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// User and system time of a `/proc/PID/stat`. The program's name, second of the fields, may hold anything: count from its closing bracket.
fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * user.checked_add(system)?)
}

/// The eighth time of the first line of `/proc/stat`, which sums up all processors.
fn steal(stat: &str) -> Option<Duration> {
    let ticks: u32 = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().nth(7)?.parse().ok()?;
    Some(TICK * ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_fields_whatever_the_name() {
        let stat =
            "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 100 1000 200 18446744073709551615";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!(resident("Name:\ta\nVmPeak:\t   9 kB\nVmRSS:\t    1234 kB\n"), Some(1234 * 1024));
        assert_eq!(resident("Name: zombie\n"), None);
        assert_eq!(steal("cpu  1 2 3 4 5 6 7 250 9 10\ncpu0 0 0 0 0 0 0 0 0 0 0\n"), Some(Duration::from_millis(2500)));
        assert_eq!(steal("cpu  1 2 3 4\n"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let pid = std::process::id();
        let once = usage(&[pid]).unwrap();
        assert!(once.resident > 100_000);
        assert!(usage(&[pid, pid]).unwrap().resident > once.resident);
    }

    #[test]
    fn a_process_that_is_gone_is_named() {
        let error = usage(&[u32::MAX]).unwrap_err().to_string();
        assert!(error.contains("4294967295"), "{error}");
    }

    #[tokio::test]
    async fn memory_that_rests_is_settled_before_the_longest_time() {
        let start = Instant::now();
        assert!(settled(&[]).await.unwrap().resident == 0);
        assert!(start.elapsed() < SETTLE_LONGEST);
    }
}
