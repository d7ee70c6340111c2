//! The cluster that is disturbed: a demo of our own, or one that runs already.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
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
use super::{ChaosArgs, tell};
use ringway_http::Site;
use ringway_http::Target;

/// A demo is healthy within ten seconds, or says why not.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// It ends within five seconds of being asked to.
const END_LIMIT: Duration = Duration::from_secs(10);
/// Names the parent to a demo, which ends with it then, however it goes.
const PARENT_PID: &str = "RINGWAY_PARENT_PID";

/// A cluster, and its process if it is ours. Dropping it kills that process, and its children go with it.
#[derive(Debug)]
pub(crate) struct Cluster {
    admin: Admin,
    demo: Option<(Child, PathBuf)>,
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
        let config = args.config.as_deref();
        Self::start(Own { program, directory, nodes: args.nodes, gateways: args.gateways, config, api_key: None }).await
    }

    /// Starts a demo of our own.
    pub(crate) async fn start(own: Own<'_>) -> anyhow::Result<Self> {
        let Own { program, directory, nodes, gateways, config, api_key } = own;
        let token = format!("{:032x}", rand::random::<u128>());
        let log = directory.join("demo.log");
        let arguments: [OsString; 6] =
            ["demo", "--port", "0", "--nodes", &nodes.to_string(), "--gateways"].map(Into::into);
        let mut command = Command::new(program);
        command.args(arguments).arg(gateways.to_string());
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        if let Some(key) = api_key {
            command.env("RINGWAY_API_KEY", key);
        }
        // Its files lie beside its log, so that it is not mistaken for a demo that somebody works with.
        command.env("XDG_RUNTIME_DIR", &directory).env("XDG_STATE_HOME", &directory);
        command.env("RINGWAY_ADMIN_TOKEN", &token).env(PARENT_PID, std::process::id().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        // In a group of its own: Ctrl-C is for us to handle.
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let address = tokio::time::timeout(READY_LIMIT, address(&mut child)).await;
        let Ok(Ok(address)) = address else {
            bail!("the demo did not start; see {}", log.display());
        };
        let admin = Admin::new(Target::resolve(&address).await?.into(), &token);
        Ok(Self { admin, demo: Some((child, directory)) })
    }

    pub(crate) fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Ends the demo if it is ours. Its logs are kept where there is something to find in them.
    pub(crate) async fn end(self, logs: Logs) {
        let Some((mut demo, directory)) = self.demo else { return };
        if let Some(pid) = demo.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended on its own, which the run has noticed.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if tokio::time::timeout(END_LIMIT, demo.wait()).await.is_err() {
            tell("the demo did not end in time and is killed");
            let _ = demo.kill().await;
        }
        match logs {
            Logs::Keep => tell(&format!("the members' logs are in {}", directory.display())),
            // What cannot be removed is in nobody's way.
            Logs::Remove => drop(std::fs::remove_dir_all(directory)),
        }
    }
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
