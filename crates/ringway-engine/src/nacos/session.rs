//! The user's session: what Nacos gives for a user and a password, and what it is shown with every request.

use std::time::{Duration, Instant};

use nacos_sdk::api::plugin::{AuthContext, AuthPlugin, LoginIdentityContext, RequestResource};
use parking_lot::Mutex;
use reqwest::Client;
use serde::Deserialize;
use std::sync::Arc;

use crate::census::Absent;

/// One request may take so long.
const ANSWER: Duration = Duration::from_secs(2);

/// A login that was refused is tried again after this.
const PAUSE: Duration = Duration::from_secs(10);

/// The name under which Nacos takes a token.
const TOKEN: &str = "accessToken";

/// Whom requests are from, and over which connections.
pub(super) struct Session {
    servers: Vec<String>,
    user: Option<(String, String)>,
    pub(super) http: Client,
    token: Mutex<Option<Token>>,
    trouble: Mutex<Option<Absent>>,
    /// When it was last asked to log in.
    asked: Mutex<Option<Instant>>,
}

#[derive(Debug, Clone)]
struct Token {
    text: String,
    /// It is asked for again from then on.
    until: Instant,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoggedIn {
    access_token: String,
    token_ttl: u64,
}

impl Session {
    pub(super) fn new(servers: Vec<String>, user: Option<(String, String)>) -> Self {
        // Nothing is set that could be wrong. A proxy for the web is no way to Nacos.
        let http = Client::builder().timeout(ANSWER).no_proxy().build().expect("a client without TLS");
        Self { servers, user, http, token: Mutex::default(), trouble: Mutex::default(), asked: Mutex::default() }
    }

    pub(super) fn servers(&self) -> &[String] {
        &self.servers
    }

    /// Why Nacos does not let this user in, if it does not.
    pub(super) fn trouble(&self) -> Option<Absent> {
        self.trouble.lock().clone()
    }

    /// What requests show.
    pub(super) fn token(&self) -> Option<(&'static str, String)> {
        self.token.lock().as_ref().map(|token| (TOKEN, token.text.clone()))
    }

    /// The token was not taken: the next login asks for another one.
    pub(super) fn forget(&self) {
        *self.token.lock() = None;
    }

    /// Logs in where there is a user and no good token.
    pub(super) async fn log_in(&self) {
        let Some((user, password)) = &self.user else { return };
        let is_good = |token: &Token| token.until > Instant::now();
        if self.token.lock().as_ref().is_some_and(is_good) {
            return;
        }
        // A user whose password is wrong again and again may be locked out.
        let last = self.asked.lock().replace(Instant::now());
        if self.trouble.lock().is_some() && last.is_some_and(|last| last.elapsed() < PAUSE) {
            *self.asked.lock() = last;
            return;
        }
        for server in &self.servers {
            match self.log_in_at(server, user, password).await {
                Some(Ok(token)) => {
                    *self.token.lock() = Some(token);
                    *self.trouble.lock() = None;
                    return;
                }
                Some(Err(why)) => *self.trouble.lock() = Some(why),
                None => {}
            }
        }
    }

    /// `None`: this server does not answer. The password goes in the body, for addresses end up in logs.
    async fn log_in_at(&self, server: &str, user: &str, password: &str) -> Option<Result<Token, Absent>> {
        let url = format!("http://{server}/nacos/v1/auth/login");
        let answer = self.http.post(url).form(&[("username", user), ("password", password)]).send().await.ok()?;
        let status = answer.status();
        let body = answer.bytes().await.ok()?;
        if status.is_server_error() && status.as_u16() != 500 {
            return None;
        }
        let refused = || {
            Absent(format!(
                "Nacos at {server} does not let the user {user} in (HTTP {}): correct `nacos.user` and `nacos.password`",
                status.as_u16()
            ))
        };
        let logged_in = serde_json::from_slice::<LoggedIn>(&body).ok().filter(|_| status.is_success());
        Some(logged_in.ok_or_else(refused).map(|LoggedIn { access_token, token_ttl }| Token {
            text: access_token,
            until: Instant::now() + Duration::from_secs(token_ttl) / 2,
        }))
    }
}

/// The same session for the makers' client, which would write the password into its log.
pub(super) struct Shown(pub(super) Arc<Session>);

#[async_trait::async_trait]
impl AuthPlugin for Shown {
    async fn login(&self, _servers: Arc<Vec<String>>, _context: Arc<AuthContext>) {
        self.0.log_in().await;
    }

    fn get_login_identity(&self, _resource: RequestResource) -> LoginIdentityContext {
        let shown = LoginIdentityContext::default();
        match self.0.token() {
            Some((name, token)) => shown.add_context(name, token),
            None => shown,
        }
    }
}
