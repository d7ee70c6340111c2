//! How to reach Nacos: the section `[nacos]`.

use std::time::Duration;

use crate::address::host_and_port;
use crate::config::reader::Section;
use crate::config::sections::{ONE_HOUR, Secret};

/// How to reach Nacos, and what the members are called there.
#[derive(Debug, Clone, PartialEq)]
pub struct Nacos {
    /// `host:port` of its servers, the port for HTTP.
    pub servers: Vec<String>,
    /// Id of the namespace; empty: `public`.
    pub namespace: String,
    /// Name of the group.
    pub group: String,
    /// Name of the cluster inside the services.
    pub cluster: String,
    /// The service that members are instances of.
    pub service: String,
    /// The service that gateways are instances of, with their port for clients; `None`: they are in none.
    pub gateway_service: Option<String>,
    /// With `password`.
    pub user: Option<String>,
    /// With `user`.
    pub password: Option<Secret>,
    /// A member that is back in the list believes nothing in it for so long: the others come back one by one.
    pub settle: Duration,
}

impl Default for Nacos {
    fn default() -> Self {
        Self {
            servers: vec!["127.0.0.1:8848".to_owned()],
            namespace: String::new(),
            group: "DEFAULT_GROUP".to_owned(),
            cluster: "DEFAULT".to_owned(),
            service: "ringway-members".to_owned(),
            gateway_service: Some("ufire-websocket".to_owned()),
            user: None,
            password: None,
            // The client of a member that has lost Nacos tries again after pauses of up to 64 s, and most are back before.
            settle: Duration::from_secs(60),
        }
    }
}

impl Nacos {
    pub(in crate::config) fn read(&mut self, section: &mut Section<'_>) {
        section.read("servers", &mut self.servers);
        section.read("namespace", &mut self.namespace);
        section.read("group", &mut self.group);
        section.read("cluster", &mut self.cluster);
        section.read("service", &mut self.service);
        section.read("gateway_service", &mut self.gateway_service);
        section.read("user", &mut self.user);
        section.read("password", &mut self.password);
        section.read_within("settle", &mut self.settle, ..=ONE_HOUR, "it must be 1h or less");
        if self.servers.is_empty() {
            section.fault("servers", "is empty: name one server at least, as in \"10.0.0.5:8848\"");
        }
        for server in self.servers.iter().filter(|server| host_and_port(server).is_err()) {
            // It may hold a password, and is not repeated.
            let had = if server.contains('@') { String::new() } else { format!(" {server:?}") };
            let why = format!(
                "has an entry{had} that is no server: one is as in \"10.0.0.5:8848\", without a scheme and a path"
            );
            section.fault("servers", &why);
        }
        let names = [
            ("group", Some(&self.group)),
            ("cluster", Some(&self.cluster)),
            ("service", Some(&self.service)),
            ("gateway_service", self.gateway_service.as_ref()),
        ];
        for (key, _) in names.into_iter().filter(|(_, name)| name.is_some_and(|name| !is_nacos_name(name))) {
            section.fault(key, "must have 1 to 128 letters, digits, - and _");
        }
        if self.gateway_service.as_ref() == Some(&self.service) {
            section.fault("gateway_service", "is `nacos.service`, too: give each a name of its own");
        }
        if self.user.is_some() != self.password.is_some() {
            section.fault("user", "and `nacos.password` need each other");
        }
    }
}

fn is_nacos_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}
