//! What these tests share: ways to start the program, and users who are named.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};
use ringway_testkit::process::Builder;
use ringway_testkit::{CentrifugeClient, PlainClient, Process, Server, Target, http};
use serde_json::{Value, json};

/// The program under test: the one that was built with these tests, or the one that `RINGWAY_BIN` names. With that, a test of a fault
/// that was mended is shown to fail on a release that still had it.
pub(crate) static BINARY: LazyLock<String> = LazyLock::new(|| {
    let Some(other) = std::env::var_os("RINGWAY_BIN") else { return env!("CARGO_BIN_EXE_ringway").to_owned() };
    let other = other.into_string().expect("RINGWAY_BIN is a path of UTF-8");
    let version = Command::new(&other).arg("--version").output().expect("RINGWAY_BIN names a program");
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    // Past the capture of the test's output: whoever looks at a result must see of what it is.
    let _ = writeln!(std::io::stderr(), "RINGWAY_BIN is set: the program under test is {other} ({version})");
    other
});
/// For what should take milliseconds, on a machine that does other things as well.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// For a whole cluster to start or to change.
pub(crate) const CHANGE: Duration = Duration::from_secs(40);
/// Two namespaces with histories: one outlives every process, the other is in memory.
pub(crate) const LOG_AND_MEMORY: &str = "\
[cluster]
slots = 256
[client]
allow_anonymous_connect_without_token = true
[channels.namespaces.log]
history_size = 10000
history_ttl = \"1h\"
force_recovery = true
allow_history_for_subscriber = true
allow_history_for_anonymous = true
durability = \"log\"
allow_subscribe_for_client = true
allow_subscribe_for_anonymous = true
allow_publish_for_client = true
allow_publish_for_anonymous = true
[channels.namespaces.memory]
history_size = 10000
history_ttl = \"1h\"
force_recovery = true
allow_history_for_subscriber = true
allow_history_for_anonymous = true
allow_subscribe_for_client = true
allow_subscribe_for_anonymous = true
allow_publish_for_client = true
allow_publish_for_anonymous = true
";
/// What the tests' servers sign tokens with.
const SIGNING_KEY: &str = "a signing key for tests alone";
/// Named users need a token; the rest of the open config stays.
const NAMED_USERS: &str = "[client]\ntoken.hmac_secret_key = \"a signing key for tests alone\"\n";

/// `serve --dev` with named users and what `config` says besides.
pub(crate) async fn dev(config: &str) -> Server {
    let builder =
        Process::builder(&*BINARY, &["serve", "--dev", "--port", "0"]).env("RINGWAY_LINK_LISTEN", "127.0.0.1:0");
    Server::start(configured(builder, &format!("{NAMED_USERS}{config}")), SOON).await
}

/// `serve` as it is for real use.
pub(crate) async fn serve(config: &str) -> Server {
    let builder = Process::builder(&*BINARY, &["serve", "--port", "0"]).env("RINGWAY_LINK_LISTEN", "127.0.0.1:0");
    Server::start(configured(builder, config), SOON).await
}

/// A demo of so many nodes with named users. Few slots: what these tests look at does not depend on their number.
pub(crate) async fn demo(nodes: usize) -> Server {
    let server = Server::start(demo_builder(nodes), CHANGE).await;
    server.settled(nodes).await;
    server
}

pub(crate) fn demo_builder(nodes: usize) -> Builder {
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", &nodes.to_string()]);
    configured(builder, &format!("{NAMED_USERS}[cluster]\nslots = 1024\n"))
}

/// A demo of so many nodes with two gateways, and where the second one is. Named users and few slots, as in [`demo`].
pub(crate) async fn two_gateways(nodes: usize, config: &str) -> (Server, SocketAddr) {
    let count = nodes.to_string();
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", &count, "--gateways", "2"]);
    let builder = configured(builder, &format!("{NAMED_USERS}[cluster]\nslots = 1024\n{config}"));
    let server = Server::start(builder, CHANGE).await;
    server.settled(nodes).await;
    server.wait_state("gateway-1", "active", CHANGE).await;
    let second = server.member("gateway-1").await.expect("the demo has a second gateway");
    let addr = second.address.parse().expect("an address and a port");
    (server, addr)
}

pub(crate) fn configured(builder: Builder, config: &str) -> Builder {
    let file = builder.file("ringway.toml", config);
    builder.arg("--config").arg(file)
}

/// Connects a named user, with further fields of the connect request.
pub(crate) async fn named(addr: SocketAddr, user: &str, fields: Value) -> anyhow::Result<CentrifugeClient> {
    CentrifugeClient::connect_with(&Target::from(addr), named_request(user, fields)).await
}

/// The connect request of a named user, with further fields.
pub(crate) fn named_request(user: &str, mut fields: Value) -> Value {
    fields["token"] = token(&json!({"sub": user})).into();
    fields
}

/// A token that says this.
pub(crate) fn token(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SIGNING_KEY.as_bytes());
    encode(&Header::default(), claims, &key).expect("a token")
}

/// A plain user who has been welcomed.
pub(crate) async fn plain(addr: SocketAddr, user: &str) -> PlainClient {
    let mut client = PlainClient::connect(addr, user).await.expect("a plain user");
    let welcome = client.recv(SOON).await.expect("a welcome");
    assert_eq!(welcome["type"], 1, "{welcome}");
    client
}

/// Waits until the gateway knows that this client has all that was written to it.
pub(crate) async fn confirmed(client: &mut PlainClient) {
    client.wait_confirmed(SOON).await.expect("a ping");
    // The pong went first, so it is worked off first.
    client.send_text("?").expect("an open socket");
    client.recv_type(5, SOON).await.expect("what to write instead");
}

/// Sends a message to a plain user, acknowledged.
pub(crate) async fn tell(server: &Server, user: &str, text: &str) {
    let answer = http::get(server.addr(), &format!("/websocket/to/{user}/{text}"), &[]).await.expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "OK"));
}

/// Runs the command line as the user who started what has its home in `home`.
pub(crate) async fn ringway(home: &Path, args: &[&str]) -> Output {
    let mut command = command(home);
    command.args(args);
    output(command).await
}

/// The command line of that user, without arguments and with no `RINGWAY_` variable from outside.
pub(crate) fn command(home: &Path) -> Command {
    let mut command = Command::new(&*BINARY);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RINGWAY_")) {
        command.env_remove(name);
    }
    for variable in ["HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR"] {
        command.env(variable, home);
    }
    command
}

/// Runs a command to its end.
pub(crate) async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().expect("the program starts")).await.expect("it ends")
}
