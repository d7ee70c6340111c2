//! How to reach Redis: the section `[redis]`.

use std::path::PathBuf;

use super::{check_name, check_urls};
use crate::config::reader::Section;
use crate::config::sections::Secret;

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
    pub(in crate::config) fn read(&mut self, section: &mut Section<'_>) {
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
        check_urls(section, "redis", &self.urls, ["redis://", "rediss://"], 6379);
        let is_tls = |url: &String| url.starts_with("rediss://");
        if self.urls.iter().any(is_tls) && !self.urls.iter().all(is_tls) {
            section.fault("urls", "has addresses with TLS and without: use one kind, redis:// or rediss://");
        }
        check_name(section, &self.name);
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

    /// Replicas that must have a write before it counts.
    pub fn replicas(&self) -> usize {
        self.replicas.unwrap_or(usize::from(self.sentinel.is_some()))
    }
}
