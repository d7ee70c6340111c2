//! What a member will wait for in vain, and whom it lets in unasked. It is the operator's wish until proved otherwise, but worth a line.

use crate::config::{Config, RegistryAt, Roles};

const NO_MEMBER: &str = "nobody can join this cluster, for it has no secret: no node can own anything here, so nobody can be sent anything. \
    Set RINGWAY_SECRET, or [cluster] secret, to the same text on every member, and start again";
const NO_CLIENT: &str = "no client can connect here: set [client.token] hmac_secret_key for those with a token, [client] \
    allow_anonymous_connect_without_token = true for \
    those without, or [plain] enabled = true";
const NO_BACKEND: &str = "; back ends need [http_api] key, or RINGWAY_API_KEY";

const OPEN_API: &str = "anybody who reaches this port may publish to everybody and disconnect everybody, for [http_api] insecure = true: \
    set [http_api] key instead, unless nobody but your back ends reaches it";

/// What nobody should find in a cluster that others can reach; `None`: all is guarded.
pub(super) fn danger(config: &Config, roles: Roles) -> Option<&'static str> {
    let insecure = "[client] insecure is on: whoever reaches this port connects without a token and may do everything in every channel. Take it out, \
        unless this is for trying things out";
    (roles.gateway && config.gateway.hub.insecure).then_some(insecure)
}

/// One sentence each, with the settings that would change it.
pub(super) fn waits_in_vain(config: &Config, roles: Roles) -> Vec<String> {
    let gateway = &config.gateway;
    let is_first = config.cluster.join.is_none() && config.cluster.registry == RegistryAt::Local;
    let no_member = roles == Roles::GATEWAY && is_first && config.cluster.secret.is_none();
    let no_client =
        !gateway.hub.allow_anonymous && !gateway.hub.insecure && !gateway.tokens.has_keys() && gateway.plain.is_none();
    let no_backend = if gateway.api_key.is_none() && !gateway.api_insecure { NO_BACKEND } else { "" };
    let mut told = Vec::new();
    if no_member {
        told.push(NO_MEMBER.to_owned());
    }
    if roles.gateway && no_client {
        told.push(format!("{NO_CLIENT}{no_backend}"));
    }
    if roles.gateway && gateway.api_insecure {
        told.push(OPEN_API.to_owned());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, roles: Roles) -> String {
        let mut config = Config::default();
        config.apply(text).unwrap_or_else(|faults| panic!("{faults}"));
        waits_in_vain(&config, roles).join("\n")
    }

    #[test]
    fn a_server_that_no_client_can_connect_to_names_the_settings() {
        let closed = told("", Roles::BOTH);
        for setting in [
            "[client.token] hmac_secret_key",
            "allow_anonymous_connect_without_token",
            "[plain] enabled",
            "[http_api] key",
        ] {
            assert!(closed.contains(setting), "{setting}: {closed}");
        }
        assert!(!told("[http_api]\nkey = \"sixteen bytes...\"", Roles::BOTH).contains("[http_api]"));
        assert!(
            told("[http_api]\ninsecure = true\n[client]\nallow_anonymous_connect_without_token = true", Roles::BOTH)
                .contains("anybody")
        );
        for open in [
            "[client]\nallow_anonymous_connect_without_token = true",
            "[client.token]\nhmac_secret_key = \"sixteen bytes...\"",
            "[plain]\nenabled = true",
        ] {
            assert_eq!(told(open, Roles::BOTH), "", "{open}");
        }
        assert_eq!(told("", Roles::NODE), "", "a node has no clients");
    }

    #[test]
    fn who_lets_everybody_in_says_so() {
        let mut config = Config::default();
        assert_eq!(danger(&config, Roles::BOTH), None);
        config.apply("[client]\ninsecure = true").unwrap();
        assert!(danger(&config, Roles::GATEWAY).unwrap().contains("[client] insecure"));
        assert_eq!(danger(&config, Roles::NODE), None);
        assert_eq!(told("[client]\ninsecure = true", Roles::BOTH), "", "nobody waits in vain");
    }

    #[test]
    fn a_first_gateway_without_a_secret_says_that_nobody_can_join() {
        let open = "[client]\nallow_anonymous_connect_without_token = true\n[cluster]\n";
        assert!(told(open, Roles::GATEWAY).contains("RINGWAY_SECRET"));
        assert_eq!(told(&format!("{open}secret = \"sixteen bytes...\""), Roles::GATEWAY), "");
        assert_eq!(told(open, Roles::BOTH), "", "one process needs nobody else");
    }
}
