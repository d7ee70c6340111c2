//! The real binary as a child process in a directory of its own.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use regex_lite::Regex;
use tempfile::TempDir;

use crate::machine::share_one_processor;

/// Output and exit are looked at this often.
const LOOK: Duration = Duration::from_millis(10);
/// A variable that names the child's directory to all that it starts: by this they are found again, whatever group or parent they have by then.
const MARK: &str = "TESTKIT_PROCESS_DIR";
/// How much of its output a failure shows: the end, where the reason is.
const SHOWN: usize = 8000;

/// A running child. Dropping it kills it with all that it started, and removes its directory.
#[derive(Debug)]
pub struct Process {
    child: Child,
    exited: Option<ExitStatus>,
    watchdog: Watchdog,
    dir: TempDir,
}

/// Starts a [`Process`].
#[derive(Debug)]
pub struct Builder {
    command: Command,
    dir: TempDir,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
}

impl Process {
    /// Prepares to start `binary` with `args`. Tests pass `env!("CARGO_BIN_EXE_ringway")`.
    ///
    /// It runs in a fresh directory, which is also its home, with no `RINGWAY_` variable from outside.
    ///
    /// # Panics
    /// No directory could be made.
    pub fn builder(binary: impl AsRef<OsStr>, args: &[&str]) -> Builder {
        let dir = tempfile::Builder::new().prefix("ringway-test-").tempdir().expect("a temporary directory");
        let mut command = Command::new(binary);
        command.args(args).current_dir(dir.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RINGWAY_") {
                command.env_remove(name);
            }
        }
        for home in ["HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR"] {
            command.env(home, dir.path());
        }
        command.env(MARK, dir.path());
        // A group of its own: Ctrl-C is for the test, which ends it in its own way.
        command.process_group(0);
        Builder { command, dir, stdout: None, stderr: None }
    }

    /// Starts `binary` with `args` and nothing else set.
    ///
    /// # Panics
    /// As [`Builder::start`].
    pub fn start(binary: impl AsRef<OsStr>, args: &[&str]) -> Self {
        Self::builder(binary, args).start()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its directory, which is its working directory and home.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        read(&stdout_path(&self.dir))
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        read(&stderr_path(&self.dir))
    }

    /// Waits until a line of stdout or stderr matches `pattern`; gives its groups, the whole match first.
    ///
    /// # Panics
    /// `limit` passed, or the process ended, without such a line; the message shows the output. Or `pattern` is no regular expression.
    #[track_caller]
    pub fn wait_for(&mut self, pattern: &str, limit: Duration) -> impl Future<Output = Vec<String>> {
        let regex = Regex::new(pattern).expect("a regular expression");
        let place = std::panic::Location::caller();
        async move {
            let end = Instant::now() + limit;
            loop {
                // In this order: what an ended process had written is complete.
                let ended = self.try_exit();
                let found = self.stdout().lines().chain(self.stderr().lines()).find_map(|line| groups(&regex, line));
                match (found, ended) {
                    (Some(found), _) => return found,
                    (None, Some(status)) => {
                        panic!("{place}: it ended ({status}) without {pattern:?}\n{}", self.output())
                    }
                    (None, None) if Instant::now() >= end => {
                        panic!("{place}: no {pattern:?} within {limit:?}\n{}", self.output())
                    }
                    (None, None) => tokio::time::sleep(LOOK).await,
                }
            }
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// `limit` passed first; the message shows the output.
    #[track_caller]
    pub fn wait_exit(&mut self, limit: Duration) -> impl Future<Output = ExitStatus> {
        let place = std::panic::Location::caller();
        async move {
            let end = Instant::now() + limit;
            loop {
                if let Some(status) = self.try_exit() {
                    return status;
                }
                assert!(Instant::now() < end, "{place}: it still runs after {limit:?}\n{}", self.output());
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// How it ended, if it has.
    pub fn try_exit(&mut self) -> Option<ExitStatus> {
        if self.exited.is_none() {
            self.exited = self.child.try_wait().ok().flatten();
        }
        self.exited
    }

    /// SIGKILL to the process alone; what becomes of its children is what a test wants to see.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// SIGTERM: asks it to finish.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// SIGINT, as Ctrl-C sends it, to the process alone.
    pub fn interrupt(&self) {
        self.signal(Signal::SIGINT);
    }

    /// SIGSTOP: it stands still without knowing.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT: it goes on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// The processes that it and its own children started and that still run, also after its own end.
    pub fn descendants(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.dir.path().display());
        let mut marked = processes_with(mark.as_bytes());
        marked.retain(|&pid| pid != self.pid() && alive(pid));
        marked
    }

    fn signal(&self, signal: Signal) {
        // Once it is reaped its id may be another's.
        if self.exited.is_none() {
            send(self.pid(), signal);
        }
    }

    /// The end of its output, for messages.
    fn output(&self) -> String {
        format!("--- stdout\n{}\n--- stderr\n{}", tail(&self.stdout()), tail(&self.stderr()))
    }

    /// The end of every log that what it started wrote into files of its directory.
    fn ends_of_logs(&self) -> String {
        self.logs().iter().map(|(path, log)| format!("\n--- {}\n{}", path.display(), tail(log))).collect()
    }

    /// The logs that what it started wrote into files of its directory, such as a demo's members.
    pub fn logs(&self) -> Vec<(PathBuf, String)> {
        let mut logs = Vec::new();
        find_logs(self.dir.path(), &mut logs);
        logs.sort();
        logs.retain(|path| *path != stdout_path(&self.dir) && *path != stderr_path(&self.dir));
        logs.into_iter().map(|path| (path.clone(), read(&path))).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("process {} of the failed test:\n{}{}", self.pid(), self.output(), self.ends_of_logs());
        }
        self.kill();
        // Twice: what was being started during the first look is there in the second.
        for _ in 0..2 {
            for pid in self.descendants() {
                kill(pid);
            }
        }
        let _ = self.child.wait();
        self.watchdog.dismiss();
    }
}

impl Builder {
    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Puts a file into its directory; gives its path for the arguments.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn file(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, contents).expect("a file in a fresh directory");
        path
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Puts something else in the place of stdout. What is written to it is not seen by [`Process::stdout`].
    #[must_use]
    pub fn stdout_to(mut self, out: impl Into<Stdio>) -> Self {
        self.stdout = Some(out.into());
        self
    }

    /// Puts something else in the place of stderr. What is written to it is not seen by [`Process::stderr`].
    #[must_use]
    pub fn stderr_to(mut self, out: impl Into<Stdio>) -> Self {
        self.stderr = Some(out.into());
        self
    }

    /// Starts it, on one processor with whoever calls: see [`crate::machine`].
    ///
    /// # Panics
    /// It cannot be started, or its output files cannot be made.
    pub fn start(mut self) -> Process {
        share_one_processor();
        let create = |path| File::create(path).expect("a file in a fresh directory");
        let (stdout, stderr) = (create(stdout_path(&self.dir)), create(stderr_path(&self.dir)));
        self.command.stdout(self.stdout.take().unwrap_or_else(|| stdout.into()));
        self.command.stderr(self.stderr.take().unwrap_or_else(|| stderr.into()));
        let child = self.command.spawn().unwrap_or_else(|error| panic!("cannot start {:?}: {error}", self.command));
        let watchdog = Watchdog::over(self.dir.path()).expect("a shell to watch over the process");
        Process { child, exited: None, watchdog, dir: self.dir }
    }
}

/// Ends a process and all that it started when the test itself is killed and can drop nothing: a shell that waits for the end of a pipe from us.
#[derive(Debug)]
struct Watchdog(Child);

impl Watchdog {
    fn over(dir: &Path) -> io::Result<Self> {
        let mark = format!("{MARK}={}", dir.display());
        let find = format!("grep -qsaF '{mark}' $process/environ");
        let script =
            format!("read -r gone; for process in /proc/[0-9]*; do {find} && kill -9 ${{process#/proc/}}; done");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        shell.spawn().map(Self)
    }

    /// Nothing is left to watch over.
    fn dismiss(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pipe that is full from the start; who writes to it waits until the other end is read, or dropped.
///
/// # Panics
/// The system has no pipe left.
pub fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    let set = |writer: &PipeWriter, flags| fcntl(writer, FcntlArg::F_SETFL(flags)).expect("flags of a pipe");
    set(&writer, OFlag::O_NONBLOCK);
    while writer.write(&[b' '; 4096]).is_ok() {}
    set(&writer, OFlag::empty());
    (reader, writer)
}

/// Sends a signal to any process, like a member of a demo known by its `pid` in the admin API. False if there is none of that id.
pub fn send(pid: u32, signal: Signal) -> bool {
    signal::kill(pid_of(pid), signal).is_ok()
}

/// SIGKILL by process id.
pub fn kill(pid: u32) -> bool {
    send(pid, Signal::SIGKILL)
}

/// SIGSTOP by process id.
pub fn freeze(pid: u32) -> bool {
    send(pid, Signal::SIGSTOP)
}

/// SIGCONT by process id.
pub fn thaw(pid: u32) -> bool {
    send(pid, Signal::SIGCONT)
}

/// Whether a process of this id runs; one that has ended but was not waited for does not.
pub fn alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).expect("Linux keeps process ids below 2^22"))
}

/// The processes whose environment holds `entry`, of those that may be asked.
fn processes_with(entry: &[u8]) -> Vec<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok());
    let holds = |environment: Vec<u8>| environment.split(|&byte| byte == 0).any(|its| its == entry);
    pids.filter(|pid| std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(holds)).collect()
}

/// The state, from `/proc/PID/stat`, counted from behind the name.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

fn groups(regex: &Regex, line: &str) -> Option<Vec<String>> {
    let captures = regex.captures(line)?;
    Some(captures.iter().map(|group| group.map_or_else(String::new, |found| found.as_str().to_owned())).collect())
}

fn stdout_path(dir: &TempDir) -> PathBuf {
    dir.path().join("stdout.log")
}

fn stderr_path(dir: &TempDir) -> PathBuf {
    dir.path().join("stderr.log")
}

fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn find_logs(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => find_logs(&path, found),
            Ok(_) if path.extension().is_some_and(|extension| extension == "log") => found.push(path),
            _ => {}
        }
    }
}

fn tail(text: &str) -> &str {
    &text[text.floor_char_boundary(text.len().saturating_sub(SHOWN))..]
}

#[cfg(test)]
mod tests;
