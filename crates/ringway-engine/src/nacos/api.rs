//! What is read of Nacos over HTTP: the open API of its version 1, which all of its versions 2 have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nacos_sdk::api::naming::ServiceInstance;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::Config;
use super::session::Session;
use crate::census::{Absent, Reason, Standing};

/// A service there, and the way to it.
pub(super) struct Api {
    session: Arc<Session>,
    service: [(&'static str, String); 3],
    cluster: String,
    /// The server that answered last.
    server: AtomicUsize,
}

/// An instance, as the list has it and as it is told alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instance {
    ip: String,
    port: i32,
    #[serde(default = "one")]
    weight: f64,
    #[serde(default = "yes")]
    healthy: bool,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

impl Instance {
    pub(super) fn of(instance: &ServiceInstance) -> Self {
        let ServiceInstance { ip, port, weight, healthy, enabled, metadata, .. } = instance.clone();
        Self { ip, port, weight, healthy, enabled, metadata: metadata.into_iter().collect() }
    }

    /// The member that it is, if it is one.
    pub(super) fn member(&self) -> Option<String> {
        self.metadata.get("id").cloned()
    }

    pub(super) fn standing(&self) -> Standing {
        match self {
            Self { enabled: false, .. } => Standing::Off(Reason::Disabled),
            Self { healthy: false, .. } => Standing::Off(Reason::Unhealthy),
            Self { weight, .. } if *weight > 0.0 => Standing::Well { weight: *weight },
            _ => Standing::Off(Reason::Weightless),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    #[serde(default)]
    hosts: Vec<Instance>,
    #[serde(default)]
    reach_protection_threshold: bool,
}

impl Api {
    pub(super) fn new(session: Arc<Session>, config: &Config) -> Self {
        let service = [
            ("serviceName", config.service.clone()),
            ("groupName", config.group.clone()),
            ("namespaceId", config.namespace.clone()),
        ];
        Self { session, service, cluster: config.cluster.clone(), server: AtomicUsize::new(0) }
    }

    /// Everybody in the list, and whether it is protected.
    pub(super) async fn list(&self) -> Result<(Vec<Instance>, bool), Absent> {
        let (status, body) = self.get("/nacos/v1/ns/instance/list", &self.service).await?;
        let answered = serde_json::from_slice::<Answered>(&body).ok().filter(|_| status.is_success());
        let answered = answered.ok_or_else(|| refused(status, &body))?;
        Ok((answered.hosts, answered.reach_protection_threshold))
    }

    /// One instance, as it is. `None`: there is none at this address.
    pub(super) async fn instance(&self, known: &Instance) -> Result<Option<Instance>, Absent> {
        let mut query = self.service.to_vec();
        query.extend([("ip", known.ip.clone()), ("port", known.port.to_string()), ("cluster", self.cluster.clone())]);
        let (status, body) = self.get("/nacos/v1/ns/instance", &query).await?;
        if status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED {
            return Err(refused(status, &body));
        }
        // Nacos says in several ways that there is none.
        Ok(serde_json::from_slice::<Instance>(&body).ok().filter(|_| status.is_success()))
    }

    /// The document at a path, where there is one.
    pub(super) async fn document(&self, path: &str) -> Result<Option<Value>, Absent> {
        let (status, body) = self.get(path, &self.service).await?;
        Ok(serde_json::from_slice(&body).ok().filter(|_| status.is_success()))
    }

    /// Asks one server after the other, beginning with the one that answered last.
    async fn get(&self, path: &str, query: &[(&'static str, String)]) -> Result<(StatusCode, Vec<u8>), Absent> {
        let servers = self.session.servers();
        let first = self.server.load(Ordering::Relaxed);
        let mut why = Absent("no server of Nacos is named".to_owned());
        for at in (0..servers.len()).map(|step| (first + step) % servers.len()) {
            match self.get_at(&servers[at], path, query).await {
                Ok(answer) => {
                    self.server.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => why = Absent(format!("Nacos at {} does not answer: {}", servers[at], reason(&error))),
            }
        }
        Err(why)
    }

    async fn get_at(
        &self,
        server: &str,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
        self.session.log_in().await;
        let request = self.session.http.get(format!("http://{server}{path}")).query(query);
        let request = match self.session.token() {
            Some(token) => request.query(&[token]),
            None => request,
        };
        let answer = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = answer.status();
        if status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED {
            self.session.forget();
        }
        Ok((status, answer.bytes().await.map_err(reqwest::Error::without_url)?.to_vec()))
    }
}

/// What lies under an error, which alone says only that a request failed.
fn reason(error: &reqwest::Error) -> String {
    let mut error: &dyn std::error::Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn refused(status: StatusCode, body: &[u8]) -> Absent {
    let said: String = String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).take(120).collect();
    match status {
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Absent(format!(
            "Nacos asks for a user who may read this service (HTTP {}): set `nacos.user` and `nacos.password`",
            status.as_u16()
        )),
        _ => Absent(format!("Nacos answers HTTP {}: {said}", status.as_u16())),
    }
}
