//! How to reach NATS: the section `[nats]`.

use std::path::PathBuf;

use super::{check_name, check_urls};
use crate::config::reader::Section;
use crate::config::sections::Secret;

/// How to reach NATS.
#[derive(Debug, Clone, PartialEq)]
pub struct Nats {
    /// Addresses of its servers.
    pub urls: Vec<String>,
    /// Names streams and subjects there: one for each cluster.
    pub name: String,
    /// With `password`.
    pub user: Option<String>,
    /// With `user`.
    pub password: Option<Secret>,
    /// A file with a JWT and a seed, instead.
    pub credentials: Option<PathBuf>,
    /// A file with the seed of a user's nkey, instead.
    pub nkey: Option<PathBuf>,
    /// Authorities to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// A certificate to show, with `key`.
    pub cert: Option<PathBuf>,
    /// Its key, with `cert`.
    pub key: Option<PathBuf>,
    /// Copies of each stream; `None`: three where the servers form a cluster, else one.
    pub replicas: Option<usize>,
}

impl Default for Nats {
    fn default() -> Self {
        let urls = vec!["nats://127.0.0.1:4222".to_owned()];
        let name = "ringway".to_owned();
        let (user, password, credentials, nkey) = (None, None, None, None);
        Self { urls, name, user, password, credentials, nkey, ca: None, cert: None, key: None, replicas: None }
    }
}

impl Nats {
    pub(in crate::config) fn read(&mut self, section: &mut Section<'_>) {
        section.read("urls", &mut self.urls);
        section.read("name", &mut self.name);
        section.read("user", &mut self.user);
        section.read("password", &mut self.password);
        section.read("credentials", &mut self.credentials);
        section.read("nkey", &mut self.nkey);
        section.read("ca", &mut self.ca);
        section.read("cert", &mut self.cert);
        section.read("key", &mut self.key);
        section.read("replicas", &mut self.replicas);
        check_urls(section, "nats", &self.urls, ["nats://", "tls://"], 4222);
        check_name(section, &self.name);
        if self.user.is_some() != self.password.is_some() {
            section.fault("user", "and `nats.password` need each other");
        }
        if self.cert.is_some() != self.key.is_some() {
            section.fault("cert", "and `nats.key` need each other");
        }
        if [self.user.is_some(), self.credentials.is_some(), self.nkey.is_some()].into_iter().filter(|set| *set).count()
            > 1
        {
            section.fault_here("names more than one way to say who this is: set one of `user` with `password`, `credentials` and `nkey`");
        }
        if self.replicas.is_some_and(|replicas| ![1, 3, 5].contains(&replicas)) {
            section.fault("replicas", "must be 1, 3 or 5");
        }
    }
}
