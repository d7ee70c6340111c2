//! The HTTP API as the client commands use it: where it is, with which token, and what its errors become.

use std::borrow::Cow;
use std::io;

use axum::http::Method;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use ringway_http::{Answer, Site};
use serde_json::Value;

use super::args::{ClientArgs, ServerArgs};
use super::error::CliError;
use super::program;
use crate::beacon::{Beacon, directory};
use crate::telemetry;

/// A cluster's API.
#[derive(Debug)]
pub(super) struct Api {
    site: Site,
    /// Header that shows who we are.
    key: (&'static str, String),
}

impl Api {
    /// The admin API of the cluster that the flags name, or of the running demo.
    pub(super) async fn admin(args: &ClientArgs) -> Result<Self, CliError> {
        let at = Place::of(&args.at)?;
        let token = args.token.clone().or_else(|| at.demo.as_ref().map(|demo| demo.token.clone()));
        let token = token.or_else(|| token_in(&at.url)).ok_or_else(|| {
            CliError::Usage("the admin API needs its token: give --token, or set RINGWAY_ADMIN_TOKEN".to_owned())
        })?;
        Ok(Self { site: at.site(&args.at).await?, key: ("authorization", format!("Bearer {token}")) })
    }

    /// The server API in the same way.
    pub(super) async fn server(args: &ServerArgs, key: Option<&str>) -> Result<Self, CliError> {
        let at = Place::of(args)?;
        let key = key.map(str::to_owned).or_else(|| at.demo.as_ref().map(|demo| demo.api_key.clone()));
        let key = key.ok_or_else(|| {
            CliError::Usage("the server API needs its key: give --api-key, or set RINGWAY_API_KEY".to_owned())
        })?;
        Ok(Self { site: at.site(args).await?, key: ("x-api-key", key) })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        self.call(Method::POST, path, body.map_or_else(Bytes::new, |body| body.to_string().into())).await
    }

    /// What keeps the cluster from doing its work, as the one that answers sees it.
    pub(super) async fn trouble(&self) -> Result<Option<String>, CliError> {
        let health = self.exchange(Method::GET, "/health", Bytes::new()).await?.json().unwrap_or_default();
        let why: Vec<&str> = health["why"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let status = health["status"].as_str().unwrap_or("not well");
        Ok((!why.is_empty()).then(|| format!("{status}: {}", why.join("; "))))
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Value, CliError> {
        let answer = self.exchange(method, path, body).await?;
        self.read(&self.site.path(path), &answer)
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, CliError> {
        let headers = [(self.key.0, self.key.1.as_str()), ("content-type", "application/json")];
        self.site.call(method, path, &headers, body).await.map_err(|why| {
            let nobody = || format!(". Is it running? `{} demo` starts a cluster", program::name());
            let hint = if is_refused(&why) { nobody() } else { String::new() };
            CliError::Unavailable(format!("no answer from {}: {why:#}{hint}", self.site.host()))
        })
    }

    fn read(&self, path: &str, answer: &Answer) -> Result<Value, CliError> {
        let value = answer.json().ok();
        match value {
            Some(value) if answer.status < 300 && value.get("error").is_none() => Ok(value),
            Some(value) => Err(CliError::Failed(refusal(answer.status, &value))),
            None if answer.status == 404 => Err(CliError::Failed(format!(
                "{} has no {path}: it was started without an admin token (--admin-token), or is no ringway",
                self.site.host()
            ))),
            None => Err(CliError::Failed(format!(
                "{} answered {path} with status {}: {}",
                self.site.host(),
                answer.status,
                answer.text().trim()
            ))),
        }
    }
}

/// Whether nobody listens there.
fn is_refused(why: &anyhow::Error) -> bool {
    let refused = |why: &io::Error| why.kind() == io::ErrorKind::ConnectionRefused;
    why.chain().any(|cause| cause.downcast_ref().is_some_and(refused))
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

/// Which cluster is meant, and the demo that it is, if it is one of the user's own.
struct Place {
    url: String,
    demo: Option<Beacon>,
}

impl Place {
    /// The one that the flags name, or the newest running demo. A demo's token is nobody else's business.
    fn of(args: &ServerArgs) -> Result<Self, CliError> {
        let demos = Beacon::all(&directory());
        let Some(url) = args.url.clone() else { return Self::newest(demos) };
        let is_meant = |demo: &Beacon| base(&url) == base(&demo.url);
        Ok(Self { demo: demos.into_iter().find(is_meant), url })
    }

    fn newest(demos: Vec<Beacon>) -> Result<Self, CliError> {
        let mut demos = demos.into_iter();
        let Some(newest) = demos.next() else {
            return Err(CliError::Unavailable(format!(
                "no running demo was found, and no --url given. Start one with `{} demo`, or name a cluster: --url http://HOST:PORT --token TOKEN",
                program::name()
            )));
        };
        let others: Vec<String> = demos.map(|demo| format!("--url {}", demo.url)).collect();
        if !others.is_empty() {
            telemetry::note(format_args!(
                "several demos are running; this is the newest, {}. For another: {}",
                newest.url,
                others.join(", or ")
            ));
        }
        Ok(Self { url: newest.url.clone(), demo: Some(newest) })
    }

    async fn site(&self, args: &ServerArgs) -> Result<Site, CliError> {
        Site::resolve(&self.url, args.ca.as_deref()).await.map_err(|why| CliError::Usage(format!("{why:#}")))
    }
}

/// An address without what stands behind it in a browser.
fn base(url: &str) -> &str {
    url.split('#').next().unwrap_or(url).trim_end_matches('/')
}

/// The token in a page's address, as the demo prints it.
fn token_in(url: &str) -> Option<String> {
    let (_, fragment) = url.split_once('#')?;
    let token = fragment.split('&').find_map(|part| part.strip_prefix("token="))?;
    percent_decode_str(token).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pages_address_can_be_given_as_it_is_printed() {
        assert_eq!(base("http://127.0.0.1:9888/#token=a"), base("http://127.0.0.1:9888"));
        assert_eq!(token_in("http://127.0.0.1:9888/#token=a%20b&x=1").as_deref(), Some("a b"));
        assert_eq!(token_in("http://127.0.0.1:9888/#x=1"), None);
        assert_eq!(token_in("http://127.0.0.1:9888/"), None);
        for (spelled, token) in [
            ("%C3%A4%2", Some("ä%2")),
            ("%c3%A4", Some("ä")),
            ("%+1%", Some("%+1%")),
            ("a+b", Some("a+b")),
            ("%FF", None),
        ] {
            assert_eq!(token_in(&format!("http://127.0.0.1:9888/#token={spelled}")).as_deref(), token, "{spelled}");
        }
    }
}
