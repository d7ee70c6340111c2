//! How to reach RabbitMQ: the section `[rabbitmq]`.

use std::path::PathBuf;

use super::{check_name, check_urls};
use crate::config::reader::Section;
use crate::config::sections::Secret;

/// How to reach RabbitMQ.
#[derive(Debug, Clone, PartialEq)]
pub struct Rabbit {
    /// Addresses of its servers.
    pub urls: Vec<String>,
    /// The virtual host.
    pub vhost: String,
    /// With `password`; `None`: `guest`.
    pub user: Option<String>,
    /// With `user`.
    pub password: Option<Secret>,
    /// Authorities to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Names the exchange and the queues there: one for each cluster.
    pub name: String,
}

impl Default for Rabbit {
    fn default() -> Self {
        let (urls, vhost) = (vec!["amqp://127.0.0.1:5672".to_owned()], "/".to_owned());
        Self { urls, vhost, user: None, password: None, ca: None, name: "ringway".to_owned() }
    }
}

impl Rabbit {
    pub(in crate::config) fn read(&mut self, section: &mut Section<'_>) {
        section.read("urls", &mut self.urls);
        section.read("vhost", &mut self.vhost);
        section.read("user", &mut self.user);
        section.read("password", &mut self.password);
        section.read("ca", &mut self.ca);
        section.read("name", &mut self.name);
        check_urls(section, "rabbitmq", &self.urls, ["amqp://", "amqps://"], 5672);
        check_name(section, &self.name);
        if self.user.is_some() != self.password.is_some() {
            section.fault("user", "and `rabbitmq.password` need each other");
        }
    }
}
