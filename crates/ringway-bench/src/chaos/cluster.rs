//! The cluster that is disturbed: a demo of our own, or one that runs already.

use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::{Range, RangeInclusive};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::admin::Admin;
use super::{ChaosArgs, Fault, tell};
use ringway_http::Site;
use ringway_http::Target;

/// A demo is healthy within ten seconds, or, where it goes on with what it remembers in NATS, within two minutes; or it says why not.
const READY_LIMIT: Duration = Duration::from_secs(150);
/// It ends within five seconds of being asked to.
const END_LIMIT: Duration = Duration::from_secs(10);
/// While ports are waited for, they are tried this often.
const LOOK: Duration = Duration::from_millis(10);
/// The first of a demo's ports, where they are to be the same again. Systems give out higher ones, to clients that come back meanwhile, too.
const PORTS: Range<u16> = 20_000..32_000;
/// So many rows of ports are tried.
const PORT_TRIES: usize = 100;
/// Names the parent to a demo, which ends with it then, however it goes.
const PARENT_PID: &str = "RINGWAY_PARENT_PID";

/// A cluster, and its process if it is ours. Dropping it kills that process, and its children go with it.
#[derive(Debug)]
pub(crate) struct Cluster {
    admin: Admin,
    demo: Option<Demo>,
}

/// A demo of our own, and how to start it again.
#[derive(Debug)]
struct Demo {
    child: Child,
    recipe: Recipe,
}

/// How a demo is started.
#[derive(Debug)]
struct Recipe {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    directory: PathBuf,
    /// Its gateways' ports, where it is to be reached there again.
    ports: Option<RangeInclusive<u16>>,
}

/// What a demo of our own is started with.
#[derive(Debug)]
pub(crate) struct Own<'a> {
    /// The binary.
    pub(crate) program: &'a Path,
    /// Where its files lie.
    pub(crate) directory: PathBuf,
    pub(crate) nodes: u16,
    pub(crate) gateways: u16,
    /// Settings laid over the demo's own.
    pub(crate) config: Option<&'a Path>,
    /// Where the cluster and its log are kept.
    pub(crate) data_dir: Option<&'a Path>,
    /// It is started again at the same ports.
    pub(crate) comes_back: bool,
    /// The server API's key; one that nobody knows if there is none.
    pub(crate) api_key: Option<&'a str>,
}

impl Cluster {
    pub(super) async fn find_or_start(args: &ChaosArgs, program: &Path) -> anyhow::Result<Self> {
        if let (Some(url), Some(token)) = (&args.url, &args.token) {
            let admin = Admin::new(Site::resolve(url, args.ca.as_deref()).await?, token);
            return Ok(Self { admin, demo: None });
        }
        let directory = directory("chaos")?;
        tell(&format!(
            "starting {} nodes and {} gateways; they log to {}",
            args.nodes,
            args.gateways,
            directory.display()
        ));
        Self::start(Own {
            program,
            directory,
            nodes: args.nodes,
            gateways: args.gateways,
            config: args.config.as_deref(),
            data_dir: args.data_dir.as_deref(),
            comes_back: args.faults.contains(&Fault::KillAll),
            api_key: None,
        })
        .await
    }

    /// Starts a demo of our own.
    pub(crate) async fn start(own: Own<'_>) -> anyhow::Result<Self> {
        let token = format!("{:032x}", rand::random::<u128>());
        let recipe = Recipe::new(own, &token)?;
        let (child, address) = recipe.start().await?;
        let admin = Admin::new(Target::resolve(&address).await?.into(), &token);
        Ok(Self { admin, demo: Some(Demo { child, recipe }) })
    }

    pub(crate) fn admin(&self) -> &Admin {
        &self.admin
    }

    /// `kill -9` of every process at once, and all of it is started again at the same ports, with the same folder.
    pub(super) async fn kill_all(&mut self) -> anyhow::Result<()> {
        let pids: Vec<u32> = self.admin.members().await?.iter().map(|member| member.pid).collect();
        let Demo { child, recipe } = self.demo.as_mut().context("the cluster is not ours to start again")?;
        // The demo first: nobody is left to tell what became of the others, which the system ends with it.
        child.start_kill()?;
        let pids = pids.into_iter().filter(|pid| *pid > 0 && Some(*pid) != child.id());
        for pid in pids.filter_map(|pid| i32::try_from(pid).ok()) {
            // It may have ended by now.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        child.wait().await?;
        recipe.ports_are_free().await?;
        (*child, _) = recipe.start().await.context("after everything was killed")?;
        Ok(())
    }

    /// Ends the demo if it is ours. Its logs are kept where there is something to find in them.
    pub(crate) async fn end(self, logs: Logs) {
        let Some(Demo { mut child, recipe }) = self.demo else { return };
        if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended on its own, which the run has noticed.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if tokio::time::timeout(END_LIMIT, child.wait()).await.is_err() {
            tell("the demo did not end in time and is killed");
            let _ = child.kill().await;
        }
        match logs {
            Logs::Keep => tell(&format!("the members' logs are in {}", recipe.directory.display())),
            // What cannot be removed is in nobody's way.
            Logs::Remove => drop(std::fs::remove_dir_all(recipe.directory)),
        }
    }
}

impl Recipe {
    fn new(own: Own<'_>, token: &str) -> anyhow::Result<Self> {
        let Own { program, directory, nodes, gateways, config, data_dir, comes_back, api_key } = own;
        let ports = comes_back.then(|| free_ports(gateways)).transpose()?;
        let port = ports.as_ref().map_or(0, |ports| *ports.start());
        let mut arguments: Vec<OsString> = vec!["demo".into()];
        for (flag, number) in [("--port", port), ("--nodes", nodes), ("--gateways", gateways)] {
            arguments.extend([flag.into(), number.to_string().into()]);
        }
        for (flag, path) in [("--config", config), ("--data-dir", data_dir)] {
            arguments.extend(path.into_iter().flat_map(|path| [flag.into(), path.into()]));
        }
        // Its files lie beside its log, so that it is not mistaken for a demo that somebody works with.
        let mut environment = vec![
            ("XDG_RUNTIME_DIR", directory.clone().into_os_string()),
            ("XDG_STATE_HOME", directory.clone().into_os_string()),
            ("RINGWAY_ADMIN_TOKEN", token.into()),
            (PARENT_PID, std::process::id().to_string().into()),
        ];
        environment.extend(api_key.map(|key| ("RINGWAY_API_KEY", key.into())));
        Ok(Self { program: program.to_owned(), arguments, environment, directory, ports })
    }

    /// The demo, and where its first gateway is, once it is healthy.
    async fn start(&self) -> anyhow::Result<(Child, String)> {
        let path = self.directory.join("demo.log");
        let log = OpenOptions::new().create(true).append(true).open(&path)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        // In a group of its own: Ctrl-C is for us to handle.
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        match tokio::time::timeout(READY_LIMIT, address(&mut child)).await {
            Ok(Ok(address)) => Ok((child, address)),
            _ => bail!("the demo did not start; see {}", path.display()),
        }
    }

    /// Waits until whoever was killed has let go of its gateways' ports.
    async fn ports_are_free(&self) -> anyhow::Result<()> {
        let Some(ports) = &self.ports else { return Ok(()) };
        let freed = async {
            while hold(ports.clone()).is_err() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let ended = tokio::time::timeout(END_LIMIT, freed).await;
        ended.with_context(|| format!("the ports {ports:?} are still in use {END_LIMIT:?} after everything was killed"))
    }
}

/// Ports in a row that nobody listens at, below those that systems give out by themselves.
fn free_ports(count: u16) -> anyhow::Result<RangeInclusive<u16>> {
    for _ in 0..PORT_TRIES {
        let first = rand::random_range(PORTS);
        let ports = first..=first + count.saturating_sub(1);
        if hold(ports.clone()).is_ok() {
            return Ok(ports);
        }
    }
    bail!("no {count} ports in a row from {} to {} are free", PORTS.start, PORTS.end)
}

fn hold(mut ports: RangeInclusive<u16>) -> std::io::Result<Vec<TcpListener>> {
    ports.try_fold(Vec::new(), |mut held, port| {
        held.push(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?);
        Ok(held)
    })
}

/// What becomes of the logs of a demo of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logs {
    /// Something went wrong.
    Keep,
    /// Nothing did.
    Remove,
}

/// The first address that the demo prints; the rest of what it says is read and forgotten, so that it never waits for us.
async fn address(demo: &mut Child) -> anyhow::Result<String> {
    let mut lines = BufReader::new(demo.stdout.take().context("its output is a pipe")?).lines();
    while let Some(line) = lines.next_line().await? {
        let Some(at) = line.find("http://") else { continue };
        let address = line[at..].split('/').nth(2).context("an address follows the scheme")?.to_owned();
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        return Ok(address);
    }
    bail!("it ended");
}

/// A fresh directory that only this user can enter.
pub(crate) fn directory(name: &str) -> anyhow::Result<PathBuf> {
    let directory =
        std::env::temp_dir().join(format!("ringway-{name}-{}-{:08x}", std::process::id(), rand::random::<u32>()));
    DirBuilder::new().mode(0o700).create(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}
