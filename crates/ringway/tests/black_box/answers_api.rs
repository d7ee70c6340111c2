//! What the server API, tokens and the HTTP side answer, row by row, beside the reference server. The same rows for one process and for
//! a cluster; by hand, for the reference server itself (CONTRIBUTING.md says how).

mod handshakes;
mod publishes;
mod tokens;

use std::net::SocketAddr;

use ringway_testkit::server::KEY;
use ringway_testkit::{CentrifugeClient, Process, Server, http};
use serde_json::{Value, json};

use crate::support::{BINARY, CHANGE, SOON, configured};

/// Channels without a namespace keep everything, those of `live` nothing.
const CONFIG: &str = r#"
[client.token]
hmac_secret_key = "a signing key for tests alone"
[channels.without_namespace]
enabled = true
history_size = 1000
history_ttl = "300s"
force_recovery = true
allow_history_for_subscriber = true
allow_history_for_anonymous = true
presence = true
[channels.namespaces.live]
allow_subscribe_for_client = true
allow_subscribe_for_anonymous = true
[cluster]
slots = 1024
"#;

/// A server that is asked, and what it answered otherwise than it should.
pub(super) struct Asked {
    addr: SocketAddr,
    key: String,
    wrong: Vec<String>,
}

impl Asked {
    fn new(addr: SocketAddr, key: &str) -> Self {
        Self { addr, key: key.to_owned(), wrong: Vec::new() }
    }

    /// An answer as JSON, without what is another one each time; a body that is none as text.
    pub(super) async fn call(&self, method: &str, body: &Value) -> Value {
        let answer = http::post(self.addr, &format!("/api/{method}"), &[("x-api-key", &self.key)], body).await;
        let answer = answer.expect("an answer");
        let mut json = answer.json().unwrap_or_else(|_| json!(format!("{}", answer.status)));
        if let Some(result) = json.get_mut("result").and_then(Value::as_object_mut) {
            result.remove("epoch");
        }
        json
    }

    pub(super) fn check(&mut self, sent: &str, right: &Value, answered: &Value) {
        if right != answered {
            self.wrong.push(format!("{sent}\n    right: {right}\n    here:  {answered}"));
        }
    }

    /// Sends a request and compares the answer.
    pub(super) async fn row(&mut self, method: &str, body: Value, right: Value) {
        let answered = self.call(method, &body).await;
        self.check(&format!("{method} {body}"), &right, &answered);
    }

    /// Compares what a listener got of a channel, up to a publication that says the end.
    pub(super) async fn delivered(&mut self, listener: &mut CentrifugeClient, channel: &str, right: Value) {
        self.call("publish", &json!({"channel": channel, "data": "the end"})).await;
        let mut got = Vec::new();
        while let Ok(publication) = listener.recv(SOON).await {
            if publication.data == "the end" {
                break;
            }
            got.push(publication.data);
        }
        self.check(&format!("delivered on {channel}"), &right, &json!(got));
    }

    /// Compares what is kept of a channel.
    pub(super) async fn kept(&mut self, channel: &str, right: Value) {
        let answered = self.call("history", &json!({"channel": channel, "limit": -1})).await;
        let publications = answered["result"]["publications"].as_array().cloned().unwrap_or_default();
        let data: Vec<Value> = publications.into_iter().map(|publication| publication["data"].clone()).collect();
        self.check(&format!("kept of {channel}"), &right, &json!(data));
    }

    async fn everything(&mut self) {
        publishes::rows(self).await;
        tokens::rows(self).await;
        handshakes::rows(self).await;
    }
}

async fn all_is_right(server: &Server) {
    let mut asked = Asked::new(server.addr(), KEY);
    asked.everything().await;
    assert!(asked.wrong.is_empty(), "{} wrong answers:\n{}", asked.wrong.len(), asked.wrong.join("\n"));
}

#[tokio::test]
async fn answers_of_one_process() {
    let builder =
        Process::builder(&*BINARY, &["serve", "--dev", "--port", "0"]).env("RINGWAY_LINK_LISTEN", "127.0.0.1:0");
    let server = Server::start(configured(builder, CONFIG), SOON).await;
    all_is_right(&server).await;
    // People are told more of tokens than their bearers.
    let refused = server.metrics("ringway_tokens_refused_total").await.unwrap();
    for reason in ["expired", "not_yet_valid", "signature", "claims", "for_a_channel", "user_name"] {
        assert!(refused[&format!("{{reason=\"{reason}\"}}")] > 0.0, "{reason}: {refused:?}");
    }
}

#[tokio::test]
async fn answers_of_three_nodes() {
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "3"]);
    let server = Server::start(configured(builder, CONFIG), CHANGE).await;
    server.settled(3).await;
    all_is_right(&server).await;
}

/// Versions and keys are known to whoever owns the channel next.
#[tokio::test]
async fn answers_stay_right_when_the_owner_is_killed() {
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "3"]);
    let server = Server::start(configured(builder, CONFIG), CHANGE).await;
    server.settled(3).await;
    let mut asked = Asked::new(server.addr(), KEY);
    let mut listener = CentrifugeClient::connect(server.addr()).await.unwrap();
    for channel in ["failover", "live:failover"] {
        listener.subscribe(channel).await.unwrap();
        let once = json!({"channel": channel, "data": 1, "version": 5, "version_epoch": "a", "idempotency_key": "k"});
        asked.call("publish", &once).await;
        let names = [format!("key={channel}")];
        let owner = server.places(&names).await.unwrap().remove(&names[0]).unwrap().owner;
        server.act(&owner, "kill").await.unwrap();
        let has_history = channel == "failover";
        let place = if has_history { json!({"result": {"offset": 1}}) } else { json!({"result": {}}) };
        asked.row("publish", once, place.clone()).await;
        if has_history {
            let older = json!({"channel": channel, "data": 2, "version": 4});
            asked.row("publish", older, place).await;
        }
        asked.delivered(&mut listener, channel, json!([1])).await;
    }
    assert!(asked.wrong.is_empty(), "{}", asked.wrong.join("\n"));
}

/// Asks the reference server, and says where it differs. It fails where that is not the expected server at all.
#[tokio::test]
#[ignore = "by hand, beside the reference server: see CONTRIBUTING.md"]
async fn answers_of_the_reference() {
    let setting = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: see CONTRIBUTING.md"));
    let addr = setting("REFERENCE_ADDR").parse().expect("REFERENCE_ADDR is an IP address and a port");
    let mut asked = Asked::new(addr, &setting("REFERENCE_KEY"));
    assert_eq!(asked.call("publish", &json!({"channel": "live:here", "data": 1})).await, json!({"result": {}}));
    asked.everything().await;
    println!("{} rows differ\n{}", asked.wrong.len(), asked.wrong.join("\n"));
}
