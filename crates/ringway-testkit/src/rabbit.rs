//! A real RabbitMQ server on this machine. The program is the one that `RINGWAY_RABBITMQ_SERVER` names; `./scripts/setup tests` installs one as
//! `rabbitmq-server`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::outside::{self, free_port};

/// The variable that names the program.
const PROGRAM: &str = "RINGWAY_RABBITMQ_SERVER";

/// A server with a folder of its own, which outlives its process. It ends with this value.
#[derive(Debug)]
pub struct RabbitServer {
    folder: TempDir,
    port: u16,
    /// Of the servers of its language among each other, and of their list of names.
    inner: (u16, u16),
    config: String,
    /// Tells servers of its language of one another. One that the server starts by itself would outlive it.
    names: Child,
    running: Option<Child>,
}

impl RabbitServer {
    /// Starts one that listens without TLS, with these further settings in its file. It takes seconds until it answers.
    ///
    /// # Panics
    /// If there is no program to start.
    pub fn start(settings: &str) -> Self {
        let port = free_port();
        Self::with(port, &format!("listeners.tcp.1 = 127.0.0.1:{port}\n{settings}\n"))
    }

    /// Starts one that listens with TLS alone, and shows this certificate.
    ///
    /// # Panics
    /// If there is no program to start.
    pub fn start_tls(certificate: &Path, key: &Path, authority: &Path) -> Self {
        let port = free_port();
        let (certificate, key, authority) = (certificate.display(), key.display(), authority.display());
        let files = format!(
            "ssl_options.cacertfile = {authority}\nssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n"
        );
        Self::with(port, &format!("listeners.tcp = none\nlisteners.ssl.1 = 127.0.0.1:{port}\n{files}"))
    }

    fn with(port: u16, config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Where it is started by root it runs as a user of its own.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(folder.path(), open).expect("a folder of ours");
        let inner = (free_port(), free_port());
        let mut names = Command::new("epmd");
        names.args(["-address", "127.0.0.1", "-port", &inner.1.to_string()]);
        let names = names.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let names = names.expect("epmd, which comes with the server's language, starts");
        let mut server = Self { folder, port, inner, config: config.to_owned(), names, running: None };
        server.run();
        server
    }

    /// Starts it, again if it was killed, with what it kept.
    ///
    /// # Panics
    /// If there is no program to start.
    pub fn run(&mut self) {
        let program = std::env::var_os(PROGRAM).map(PathBuf::from);
        let program = program.unwrap_or_else(|| {
            panic!("{PROGRAM} must name the rabbitmq-server program: ./scripts/setup tests installs one as /usr/lib/rabbitmq/bin/rabbitmq-server")
        });
        let at = |name: &str| self.folder.path().join(name);
        fs::write(at("rabbitmq.conf"), &self.config).expect("a file of ours");
        let log = fs::File::options().create(true).append(true).open(at("output.log")).expect("a log");
        let mut command = Command::new(program);
        command
            .env("HOME", self.folder.path())
            .env("RABBITMQ_NODENAME", format!("ringway-{}@localhost", self.port))
            .env("RABBITMQ_DIST_PORT", self.inner.0.to_string())
            .env("ERL_EPMD_PORT", self.inner.1.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1")
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config"))
            .env("RABBITMQ_CONF_ENV_FILE", at("environment.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", at("mnesia"))
            .env("RABBITMQ_LOG_BASE", at("log"))
            .env("RABBITMQ_PID_FILE", at("pid"))
            // The script then becomes the server, which is what is to be killed.
            .env("detached", "1")
            .env_remove("NOTIFY_SOCKET");
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        self.running = Some(command.spawn().expect("the program starts"));
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// If the system does not let us.
    pub fn kill(&mut self) {
        outside::kill(&mut self.running);
    }

    /// Its port for clients.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is, without TLS.
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.port)
    }

    /// What it wrote, for whoever looks why something went wrong.
    pub fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output.log")).unwrap_or_default()
    }
}

impl Drop for RabbitServer {
    fn drop(&mut self) {
        self.kill();
        self.names.kill().expect("a process of ours");
        self.names.wait().expect("it has ended");
    }
}
