//! The HTTP API as the client commands use it: where it is, with which token, and what its errors become.

use axum::http::Method;
use bytes::Bytes;
use ringway_bench::http::{Answer, Connection};
use ringway_bench::target::Target;
use serde_json::Value;

use super::args::ClientArgs;
use super::error::CliError;
use crate::beacon::{Beacon, directory};

/// A cluster's API.
#[derive(Debug)]
pub(super) struct Api {
    target: Target,
    /// Header that shows who we are.
    key: (&'static str, String),
}

impl Api {
    /// The admin API of the cluster that the flags name, or of the running demo.
    pub(super) async fn admin(args: &ClientArgs) -> Result<Self, CliError> {
        let beacon = beacon(args.url.as_deref());
        let token = args.token.clone().or_else(|| beacon.as_ref().map(|beacon| beacon.token.clone()));
        let target = target(args.url.as_deref(), beacon.as_ref()).await?;
        let token = token.ok_or_else(|| {
            CliError::Usage("the admin API needs its token: give --token, or set RINGWAY_ADMIN_TOKEN".to_owned())
        })?;
        Ok(Self { target, key: ("authorization", format!("Bearer {token}")) })
    }

    /// The server API in the same way.
    pub(super) async fn server(url: Option<&str>, key: Option<&str>) -> Result<Self, CliError> {
        let beacon = beacon(url);
        let key = key.map(str::to_owned).or_else(|| beacon.as_ref().map(|beacon| beacon.api_key.clone()));
        let target = target(url, beacon.as_ref()).await?;
        let key = key.ok_or_else(|| {
            CliError::Usage("the server API needs its key: give --api-key, or set RINGWAY_API_KEY".to_owned())
        })?;
        Ok(Self { target, key: ("x-api-key", key) })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        self.call(Method::POST, path, body.map_or_else(Bytes::new, |body| body.to_string().into())).await
    }

    /// What keeps the cluster from doing its work, as the one that answers sees it.
    pub(super) async fn trouble(&self) -> Result<Option<String>, CliError> {
        let path = format!("{}/health", self.target.prefix);
        let health = self.exchange(Method::GET, &path, Bytes::new()).await?.json().unwrap_or_default();
        let word = |name: &str| health[name].as_str();
        Ok(word("why").map(|why| format!("{}: {why}", word("status").unwrap_or("not well"))))
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Value, CliError> {
        let path = format!("{}{path}", self.target.prefix);
        let answer = self.exchange(method, &path, body).await?;
        self.read(&path, &answer)
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, CliError> {
        let headers = [(self.key.0, self.key.1.as_str()), ("content-type", "application/json")];
        let exchange = async { Connection::open(self.target.addr).await?.request(method, path, &headers, body).await };
        exchange.await.map_err(|why: anyhow::Error| {
            CliError::Unavailable(format!(
                "no answer from {}: {why:#}. Is it running? `ringway demo` starts a cluster",
                self.target.addr
            ))
        })
    }

    fn read(&self, path: &str, answer: &Answer) -> Result<Value, CliError> {
        let value = answer.json().ok();
        match value {
            Some(value) if answer.status < 300 && value.get("error").is_none() => Ok(value),
            Some(value) => Err(CliError::Failed(refusal(answer.status, &value))),
            None if answer.status == 404 => Err(CliError::Failed(format!(
                "{} has no {path}: it was started without an admin token (--admin-token), or is no ringway",
                self.target.addr
            ))),
            None => Err(CliError::Failed(format!(
                "{} answered {path} with status {}: {}",
                self.target.addr,
                answer.status,
                answer.text().trim()
            ))),
        }
    }
}

/// Both APIs' errors in words: the admin API's is a text, the server API's has a code.
fn refusal(status: u16, value: &Value) -> String {
    match value.get("error") {
        Some(Value::String(text)) => text.clone(),
        Some(error) => {
            format!("refused: {} (code {})", error["message"].as_str().unwrap_or("no reason given"), error["code"])
        }
        None => format!("refused with status {status}: {value}"),
    }
}

/// The running demo, unless the address is given: its token is nobody else's business.
fn beacon(url: Option<&str>) -> Option<Beacon> {
    let beacon = Beacon::find(&directory())?;
    let same = |url: &str| url.trim_end_matches('/') == beacon.url;
    url.is_none_or(same).then_some(beacon)
}

async fn target(url: Option<&str>, beacon: Option<&Beacon>) -> Result<Target, CliError> {
    let Some(url) = url.or(beacon.map(|beacon| beacon.url.as_str())) else {
        let why = "no running demo was found, and no --url given. Start one with `ringway demo`, or name a cluster: --url http://HOST:PORT --token TOKEN";
        return Err(CliError::Unavailable(why.to_owned()));
    };
    Target::resolve(url).await.map_err(|why| CliError::Usage(format!("--url {why:#}")))
}
