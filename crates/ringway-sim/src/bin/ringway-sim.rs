//! Runs many seeds and prints the first that shows a violation: `ringway-sim --seeds 100000 --mode wild`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use ringway_sim::{Large, Measures, Mode, Outcome, Sabotage, Script, run};

/// Runs the rules of Ringway in a simulated world, seed by seed, under one checker.
#[derive(Debug, Parser)]
#[command(name = "ringway-sim")]
struct Options {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// What may go wrong; without it the modes take turns.
    #[arg(long, value_enum)]
    mode: Option<Choice>,
    /// Threads to run on.
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// The store of a registry outside may come back without what it has acknowledged
    #[arg(long)]
    forgets: bool,
    /// Print the event log of the first violation, or of the only seed.
    #[arg(long)]
    trace: bool,
    /// Print a summary as JSON.
    #[arg(long)]
    json: bool,
    /// Go on after a violation and count them.
    #[arg(long)]
    all: bool,
    /// Leave a rule out, by the name of its sabotage: `all` tries each, and says which checks found it.
    #[arg(long, value_parser = named)]
    sabotage: Option<Left>,
    /// Run a large cluster, in which members join, leave and die, and print what it comes to.
    #[arg(long, conflicts_with_all = ["mode", "sabotage"])]
    large: bool,
    /// Nodes of a large cluster.
    #[arg(long, default_value_t = Large::default().nodes, requires = "large")]
    nodes: usize,
    /// Channels of a large cluster.
    #[arg(long, default_value_t = Large::default().channels, requires = "large")]
    channels: usize,
    /// Slots of a large cluster: a power of two.
    #[arg(long, default_value_t = Large::default().slots, requires = "large")]
    slots: u32,
    /// Longest delay of its links, in milliseconds.
    #[arg(long, default_value_t = Large::default().delay.as_millis() as u64, requires = "large")]
    delay: u64,
    /// Megabytes that are published to each of its few large channels.
    #[arg(long, default_value_t = Large::default().large_bytes >> 20, requires = "large")]
    large_channel: usize,
    /// Simulated seconds in which members join, leave and die.
    #[arg(long, default_value_t = Large::default().disturbed.as_secs(), requires = "large")]
    disturbed: u64,
}

/// What is left out.
#[derive(Debug, Clone, Copy)]
enum Left {
    Each,
    One(Sabotage),
}

fn named(name: &str) -> Result<Left, String> {
    if name == "all" {
        return Ok(Left::Each);
    }
    let unknown = || format!("no such sabotage; there are {:?}, and all", Sabotage::ALL);
    Sabotage::named(name).map(Left::One).ok_or_else(unknown)
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Choice {
    Planned,
    One,
    Wild,
}

impl Choice {
    fn mode(self) -> Mode {
        match self {
            Self::Planned => Mode::Planned,
            Self::One => Mode::One,
            Self::Wild => Mode::Wild,
        }
    }
}

impl Options {
    fn script(&self, seed: u64) -> Script {
        if self.large {
            return Script {
                seed,
                mode: Mode::One,
                large: Some(self.large_one()),
                forgets: false,
                sabotage: None,
                trace: false,
            };
        }
        let turns = [Mode::One, Mode::Wild, Mode::Planned];
        let mode = self.mode.map_or(turns[(seed % 3) as usize], Choice::mode);
        let sabotage = match self.sabotage {
            Some(Left::One(sabotage)) => Some(sabotage),
            _ => None,
        };
        Script { seed, mode, large: None, forgets: self.forgets, sabotage, trace: false }
    }

    fn large_one(&self) -> Large {
        Large {
            nodes: self.nodes,
            channels: self.channels,
            slots: self.slots,
            delay: Duration::from_millis(self.delay),
            large_bytes: self.large_channel << 20,
            disturbed: Duration::from_secs(self.disturbed),
        }
    }
}

#[derive(Debug, Default)]
struct Sum {
    runs: u64,
    acknowledged: u64,
    views: u64,
    faults: u64,
    events: u64,
    failed: Vec<(Script, Outcome)>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if matches!(options.sabotage, Some(Left::Each)) {
        try_each(options);
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    let sum = run_all(&options, begun);
    let seconds = begun.elapsed().as_secs_f64();
    let Sum { runs, acknowledged, views, faults, events, failed } = &sum;
    let violations = failed.len();
    if options.json {
        println!(
            "{{\"runs\":{runs},\"acknowledged\":{acknowledged},\"views\":{views},\"faults\":{faults},\"events\":{events},\
             \"violations\":{violations},\"seconds\":{seconds:.3}}}"
        );
    } else {
        println!(
            "{runs} runs, {acknowledged} acknowledgements, {views} views, {faults} faults and changes, {events} events, \
             {violations} violations, {seconds:.1} s, {:.0} runs/s",
            *runs as f64 / seconds
        );
    }
    for (script, outcome) in failed {
        report(&options, *script, outcome);
    }
    ExitCode::from(u8::from(violations > 0))
}

/// Leaves each rule out in turn: what found it, how often, and first at which seed.
fn try_each(mut options: Options) {
    options.all = true;
    for sabotage in Sabotage::ALL {
        options.sabotage = Some(Left::One(sabotage));
        let sum = run_all(&options, Instant::now());
        let mut found = BTreeMap::<&str, (u64, Script)>::new();
        for (script, outcome) in &sum.failed {
            let rule = outcome.violation.as_ref().map_or("", |violation| violation.rule);
            found.entry(rule).or_insert((0, *script)).0 += 1;
        }
        let said = |(rule, (times, first)): (&&str, &(u64, Script))| {
            format!("{rule} {times} (first {} {})", first.seed, mode_of(first))
        };
        println!("{sabotage:?}: {}", found.iter().map(said).collect::<Vec<_>>().join(", "));
    }
}

/// What a run of a large cluster came to, in lines.
fn said(seed: u64, outcome: &Outcome, measures: &Measures) -> String {
    let seconds = |micros: u64| micros as f64 / 1e6;
    let m = measures;
    let changes = m.views.max(1);
    format!(
        "seed {seed}: {} publications acknowledged, {} unanswered; {} views after {} joins, leaves and deaths\n         settled at the latest after {:.1} s; after the last of them everything was at rest within {:.1} s\n         {} frames, {} bytes; {} bytes for changes: {} for each view (of these {} are views), {} bytes of pings\n         most that waited: {} bytes on a link, {} at a member; most of states under way: {} bytes; largest frame {} bytes, of several publications {}\n         longest pause of a channel {:.2} s, usual {:.2} s",
        outcome.acknowledged,
        m.unanswered,
        m.views,
        m.disturbances,
        seconds(m.settling),
        seconds(m.last_settling),
        m.frames,
        m.bytes,
        m.bytes_of_changes,
        m.bytes_of_changes / changes,
        m.bytes_of_views / changes,
        m.bytes_of_pings,
        m.queue,
        m.member_queues,
        m.bulk,
        m.largest_frame,
        m.largest_batch,
        seconds(m.longest_pause),
        seconds(m.usual_pause)
    )
}

fn mode_of(script: &Script) -> String {
    format!("{:?}", script.mode).to_lowercase()
}

fn run_all(options: &Options, begun: Instant) -> Sum {
    let next = AtomicU64::new(options.from);
    let end = options.from + options.seeds;
    let (found, results) = mpsc::sync_channel(64);
    let mut sum = Sum::default();
    std::thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            let (found, next) = (found.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let script = options.script(seed);
                    let outcome = run(script);
                    if let Some(measures) = &outcome.measures {
                        println!("{}", said(seed, &outcome, measures));
                    }
                    if found.send((script, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(found);
        let mut told = begun;
        while let Ok((script, outcome)) = results.recv() {
            add(&mut sum, script, outcome);
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                eprintln!("{} runs, {} violations, {:.0} s", sum.runs, sum.failed.len(), begun.elapsed().as_secs_f64());
            }
            if !sum.failed.is_empty() && !options.all {
                next.store(end, Ordering::Relaxed);
            }
        }
    });
    sum.failed.sort_by_key(|(script, _)| script.seed);
    sum
}

fn add(sum: &mut Sum, script: Script, outcome: Outcome) {
    sum.runs += 1;
    sum.acknowledged += outcome.acknowledged;
    sum.views += outcome.views;
    sum.faults += outcome.faults;
    sum.events += outcome.events;
    if outcome.violation.is_some() {
        sum.failed.push((script, outcome));
    }
}

/// Shows a violation, and how to see it again.
fn report(options: &Options, script: Script, outcome: &Outcome) {
    let Some(violation) = &outcome.violation else { return };
    let mode = mode_of(&script);
    let at = violation.at as f64 / 1e6;
    println!("seed {} ({mode}) violates {} at {at:.6} s: {}", script.seed, violation.rule, violation.text);
    if options.all && options.seeds > 1 {
        return;
    }
    let again = run(Script { trace: true, ..script });
    let lines = if options.trace { 0 } else { again.trace.len().saturating_sub(25) };
    for line in &again.trace[lines..] {
        println!("{line}");
    }
    let sabotage = script.sabotage.map(|sabotage| format!(" --sabotage {sabotage:?}")).unwrap_or_default();
    let forgets = if script.forgets { " --forgets" } else { "" };
    println!("again: ringway-sim --from {} --seeds 1 --mode {mode}{sabotage}{forgets} --trace", script.seed);
}
