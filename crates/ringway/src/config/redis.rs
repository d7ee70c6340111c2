//! How to reach Redis: the section `[redis]`.

use std::path::PathBuf;

use super::reader::Section;
use super::sections::Secret;
use crate::address::host_and_port;

/// Most replicas that a write may wait for.
const MAX_REPLICAS: usize = 5;

/// How to reach Redis.
#[derive(Debug, Clone, PartialEq)]
pub struct Redis {
    /// Addresses of servers, of which the one is used that takes writes; with `sentinel`, of sentinels.
    pub urls: Vec<String>,
    /// Name under which the sentinels at `urls` watch the server.
    pub sentinel: Option<String>,
    /// A user of the sentinels, with `sentinel_password`.
    pub sentinel_user: Option<String>,
    /// What the sentinels ask for.
    pub sentinel_password: Option<Secret>,
    /// Names keys there: one for each cluster.
    pub name: String,
    /// A user of the access control list, with `password`.
    pub user: Option<String>,
    /// Alone, it is the default user's.
    pub password: Option<Secret>,
    /// Authorities to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// A certificate to show, with `key`.
    pub cert: Option<PathBuf>,
    /// Its key, with `cert`.
    pub key: Option<PathBuf>,
    /// Replicas that must have a write before it counts; `None`: one with sentinels, else none.
    pub replicas: Option<usize>,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            urls: vec!["redis://127.0.0.1:6379".to_owned()],
            sentinel: None,
            sentinel_user: None,
            sentinel_password: None,
            name: "ringway".to_owned(),
            user: None,
            password: None,
            ca: None,
            cert: None,
            key: None,
            replicas: None,
        }
    }
}

impl Redis {
    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        section.read("urls", &mut self.urls);
        section.read("sentinel", &mut self.sentinel);
        section.read("sentinel_user", &mut self.sentinel_user);
        section.read("sentinel_password", &mut self.sentinel_password);
        section.read("name", &mut self.name);
        section.read("user", &mut self.user);
        section.read("password", &mut self.password);
        section.read("ca", &mut self.ca);
        section.read("cert", &mut self.cert);
        section.read("key", &mut self.key);
        section.read("replicas", &mut self.replicas);
        self.check_urls(section);
        if self.name.is_empty()
            || self.name.len() > 32
            || !self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        {
            section.fault("name", "must have 1 to 32 letters, digits, - and _");
        }
        if self.user.is_some() && self.password.is_none() {
            section.fault("user", "needs `redis.password`");
        }
        if self.sentinel_user.is_some() && self.sentinel_password.is_none() {
            section.fault("sentinel_user", "needs `redis.sentinel_password`");
        }
        if self.sentinel_password.is_some() && self.sentinel.is_none() {
            section.fault(
                "sentinel_password",
                "is for sentinels: set `redis.sentinel` to the name under which they watch the server",
            );
        }
        if self.cert.is_some() != self.key.is_some() {
            section.fault("cert", "and `redis.key` need each other");
        }
        if self.replicas.is_some_and(|replicas| replicas > MAX_REPLICAS) {
            section.fault("replicas", "must lie between 0 and 5");
        }
    }

    fn check_urls(&self, section: &mut Section<'_>) {
        if self.urls.is_empty() {
            section.fault("urls", "is empty: name one server at least, as in \"redis://10.0.0.5:6379\"");
        }
        for url in &self.urls {
            let rest = url.strip_prefix("redis://").or_else(|| url.strip_prefix("rediss://"));
            match rest.map(host_and_port) {
                // It may hold a password, and is not repeated.
                _ if url.contains('@') => section
                    .fault("urls", "names a user or a password: they belong into `redis.user` and `redis.password`"),
                Some(Ok(_)) => {}
                _ => section.fault(
                    "urls",
                    &format!("has {url:?}, but a server is as in \"redis://10.0.0.5:6379\" or \"rediss://…\""),
                ),
            }
        }
        let is_tls = |url: &String| url.starts_with("rediss://");
        if self.urls.iter().any(is_tls) && !self.urls.iter().all(is_tls) {
            section.fault("urls", "has addresses with TLS and without: use one kind, redis:// or rediss://");
        }
    }

    /// Replicas that must have a write before it counts.
    pub fn replicas(&self) -> usize {
        self.replicas.unwrap_or(usize::from(self.sentinel.is_some()))
    }
}
