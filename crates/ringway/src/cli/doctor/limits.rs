//! What the system allows. Each number is read by one function and judged by another, so that the judgements can be tested as tables.

use std::ops::RangeInclusive;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};

use super::bytes;
use super::finding::{Finding, What};
use crate::app::sockets_within;
use crate::config::Config;

/// Connections that wait to be accepted: the listeners ask for so many, and the system gives no more than its own limit.
const BACKLOG: u64 = 1024;
/// A gateway that takes fewer clients than this is rarely meant.
const FEW_SOCKETS: usize = 1_000;
/// Fewer ports than this are used up soon by whoever connects from here: a proxy, the load driver.
const FEW_PORTS: u32 = 20_000;

/// Of this machine, as this process sees them, against what these settings ask for.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let system = Path::new("/proc/sys/net");
    let number = |path: &str| number(&system.join(path));
    vec![
        open_files(getrlimit(Resource::RLIMIT_NOFILE).map_err(|why| why.to_string()), config),
        somaxconn(number("core/somaxconn")),
        syn_backlog(number("ipv4/tcp_max_syn_backlog")),
        port_range(range(&system.join("ipv4/ip_local_port_range")), &ports(config)),
        memory(memory_available(), memory_wanted(config)),
    ]
}

fn unknown(what: What, why: &str) -> Finding {
    Finding::note(what, format!("It is not known: {why}."), "Ask whoever runs this machine.")
}

/// A process raises the soft limit to the hard one by itself.
fn open_files(limits: Result<(u64, u64), String>, config: &Config) -> Finding {
    let what = What::OpenFiles;
    let (soft, hard) = match limits {
        Ok(limits) => limits,
        Err(why) => return unknown(what, &why),
    };
    let fits = sockets_within(hard, &config.server);
    let seen = format!(
        "A process of this user may open {hard} files (soft limit {soft}, which a member raises by itself): room for {fits} client sockets."
    );
    let advice = "Raise the hard limit: LimitNOFILE= of a systemd unit, `nofile` in /etc/security/limits.conf, or the ulimit of a container.";
    match config.server.max_connections {
        Some(wanted) if wanted > fits => Finding::warning(
            what,
            format!("{seen} [server] max_connections asks for {wanted}, and gets {fits}."),
            advice,
        ),
        None if fits < FEW_SOCKETS => Finding::warning(what, seen, advice),
        Some(_) | None => Finding::ok(what, seen),
    }
}

fn somaxconn(read: Result<u64, String>) -> Finding {
    let what = What::Somaxconn;
    match read {
        Err(why) => unknown(what, &why),
        Ok(limit) if limit < BACKLOG => Finding::warning(
            what,
            format!(
                "net.core.somaxconn is {limit}: of clients that connect at the same moment, more are dropped and try again after a second or more."
            ),
            format!("Set net.core.somaxconn to {BACKLOG} or more with sysctl."),
        ),
        Ok(limit) => Finding::ok(what, format!("net.core.somaxconn is {limit}; a member asks for {BACKLOG}.")),
    }
}

fn syn_backlog(read: Result<u64, String>) -> Finding {
    let what = What::SynBacklog;
    match read {
        Err(why) => unknown(what, &why),
        Ok(limit) if limit < BACKLOG => Finding::note(
            what,
            format!(
                "net.ipv4.tcp_max_syn_backlog is {limit}: when many clients come back at once, some wait for a second try."
            ),
            format!(
                "Set net.ipv4.tcp_max_syn_backlog to {BACKLOG} or more with sysctl, if many clients may come at once."
            ),
        ),
        Ok(limit) => Finding::ok(what, format!("net.ipv4.tcp_max_syn_backlog is {limit}.")),
    }
}

/// The system takes ports of this range for connections that begin here.
fn port_range(read: Result<RangeInclusive<u16>, String>, ports: &[u16]) -> Finding {
    let what = What::PortRange;
    let range = match read {
        Ok(range) => range,
        Err(why) => return unknown(what, &why),
    };
    let (first, last) = (range.start(), range.end());
    let count = u32::from(*last).saturating_sub(u32::from(*first)) + 1;
    let seen = format!("net.ipv4.ip_local_port_range is {first} to {last}: {count} ports.");
    let inside: Vec<String> = ports.iter().filter(|port| range.contains(*port)).map(u16::to_string).collect();
    if !inside.is_empty() {
        return Finding::warning(
            what,
            format!(
                "{seen} The config listens at {} of them, and any connection that begins here may take it first.",
                inside.join(", ")
            ),
            "Listen at ports outside of the range, or name them in net.ipv4.ip_local_reserved_ports.",
        );
    }
    if count < FEW_PORTS {
        return Finding::note(
            what,
            seen,
            "Widen it, if a proxy or a load driver on this machine connects to one address.",
        );
    }
    Finding::ok(what, seen)
}

/// The ports that the settings name.
fn ports(config: &Config) -> Vec<u16> {
    let server = &config.server;
    let named =
        [Some(server.port), server.internal_listen.map(|at| at.port()), config.cluster.link_listen.map(|at| at.port())];
    named.into_iter().flatten().filter(|port| *port != 0).collect()
}

/// Histories and what waits for clients, at their limits.
fn memory_wanted(config: &Config) -> u64 {
    config.limits.node.history_bytes as u64 + config.gateway.limits.sockets_bytes as u64
}

fn memory(available: Result<u64, String>, wanted: u64) -> Finding {
    let what = What::Memory;
    let available = match available {
        Ok(available) => available,
        Err(why) => return unknown(what, &why),
    };
    let seen = format!(
        "{} are available; [limits.node] history_bytes and [limits.gateway] sockets_bytes let a process take {} and more.",
        bytes(available),
        bytes(wanted)
    );
    if available < wanted {
        let advice =
            "Lower these limits, or give it more memory: the system kills a process that takes what is not there.";
        return Finding::warning(what, seen, advice);
    }
    Finding::ok(what, seen)
}

/// What the machine has left, or what its container lets it have, whichever is less.
fn memory_available() -> Result<u64, String> {
    let text = text(Path::new("/proc/meminfo"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    let machine = kib.ok_or("/proc/meminfo does not say what is available")?.saturating_mul(1024);
    // Not there outside of a container, and `max` where there is no limit.
    let group = number(Path::new("/sys/fs/cgroup/memory.max")).unwrap_or(u64::MAX);
    Ok(machine.min(group))
}

fn text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))
}

fn number(path: &Path) -> Result<u64, String> {
    text(path)?.trim().parse().map_err(|_| format!("{} has no number", path.display()))
}

fn range(path: &Path) -> Result<RangeInclusive<u16>, String> {
    let text = text(path)?;
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) => Ok(first..=last),
        _ => Err(format!("{} has no range", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{self, Note, Ok as Good, Warning};
    use super::*;

    fn config(text: &str) -> Config {
        let mut config = Config::default();
        config.apply(text).unwrap_or_else(|faults| panic!("{faults}"));
        config
    }

    #[test]
    fn open_files_are_compared_with_the_sockets_asked_for() {
        for (limits, text, level) in [
            (Ok((1024, 1 << 20)), "", Good),
            (Ok((1024, 1024)), "", Warning),
            (Ok((1024, 20_000)), "[server]\nmax_connections = 10000\n", Good),
            (Ok((20_000, 20_000)), "[server]\nmax_connections = 20000\n", Warning),
            (Ok((1024, 1024)), "[server]\nmax_connections = 16\n", Good),
            (Err("refused".to_owned()), "", Note),
        ] {
            assert_eq!(open_files(limits.clone(), &config(text)).level, level, "{limits:?} {text}");
        }
    }

    #[test]
    fn short_queues_are_told() {
        let away = || Err("not there".to_owned());
        for (read, of_accepts, of_syns) in [
            (Ok(128), Warning, Note),
            (Ok(1023), Warning, Note),
            (Ok(1024), Good, Good),
            (Ok(4096), Good, Good),
            (away(), Note, Note),
        ] {
            let found = (somaxconn(read.clone()).level, syn_backlog(read.clone()).level);
            assert_eq!(found, (of_accepts, of_syns), "{read:?}");
        }
    }

    #[test]
    fn a_port_that_the_system_may_give_away_is_told() {
        for (read, ports, level) in [
            (Ok(32_768..=60_999), &[9888, 9889][..], Good),
            (Ok(32_768..=60_999), &[9888, 40_000], Warning),
            (Ok(1_024..=65_535), &[9888], Warning),
            (Ok(50_000..=60_000), &[9888], Note),
            (Err("not there".to_owned()), &[], Note),
        ] {
            assert_eq!(port_range(read.clone(), ports).level, level, "{read:?} {ports:?}");
        }
        let named =
            config("[server]\nport = 0\ninternal_listen = \"127.0.0.1:7\"\n[cluster]\nlink_listen = \"127.0.0.1:8\"\n");
        assert_eq!(ports(&named), [7, 8]);
    }

    #[test]
    fn memory_is_compared_with_the_limits() {
        let table: [(Result<u64, String>, Level); 3] = [(Ok(10), Good), (Ok(9), Warning), (Err("x".to_owned()), Note)];
        for (available, level) in table {
            assert_eq!(memory(available.clone(), 10).level, level, "{available:?}");
        }
        assert_eq!(memory_wanted(&Config::default()), (1 << 30) + (256 << 20));
    }

    #[test]
    fn what_the_system_does_not_say_is_a_note() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert!(number(&path).unwrap_err().contains("file"));
        for (text, one, two) in [("7\n", Some(7), None), ("1\t9\n", None, Some(1..=9)), ("max\n", None, None)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!((number(&path).ok(), range(&path).ok()), (one, two), "{text}");
        }
    }
}
