//! Configs of the reference server, in every form and of both layouts.

use super::*;

fn imported(ending: &str, text: &str) -> Imported {
    Imported::of(Source::parse(&format!("config.{ending}"), ending, text).unwrap_or_else(|why| panic!("{why}")))
}

fn table(imported: &Imported) -> toml::Table {
    imported.config.parse().unwrap()
}

fn keys(remarks: &[Remark]) -> Vec<&str> {
    remarks.iter().map(|remark| remark.key.as_str()).collect()
}

/// The settings of version 6 that an ordinary application has.
const JSON: &str = r#"{
  "http_server": {"port": "9000", "internal_port": "9001"},
  "client": {
    "allowed_origins": ["https://app.example.org"],
    "token": {"hmac_secret_key": "a secret of sixteen bytes or more", "audience": "chat"},
    "subscribe_to_user_personal_channel": {"enabled": true},
    "ping_interval": "12s", "pong_timeout": "5s", "expired_close_delay": "1m30s",
    "proxy": {"connect": {"enabled": true, "endpoint": "http://localhost:3000/connect"}, "refresh": {"enabled": false, "endpoint": "x"}}
  },
  "channel": {
    "without_namespace": {"presence": true, "history_size": 10, "history_ttl": "300s", "force_recovery": true},
    "namespaces": [
      {"name": "chat", "allow_subscribe_for_client": true, "join_leave": true, "force_push_join_leave": true, "delta_publish": true},
      {"name": "bare", "history_size": 10, "force_recovery": true}
    ]
  },
  "http_api": {"key": "a key of sixteen bytes"},
  "engine": {"type": "redis", "redis": {"address": "redis:6379"}},
  "admin": {"enabled": true, "password": "x", "secret": "y"},
  "websocket": {"message_size_limit": 131072},
  "uni_grpc": {"enabled": false, "port": 1},
  "prometheus": {"enabled": true}
}"#;

#[test]
fn an_ordinary_config_comes_over_and_the_rest_is_told() {
    let imported = imported("json", JSON);
    assert_eq!(imported.faults, Vec::<String>::new(), "{}", imported.config);
    let expected: toml::Table = r#"
        http_api.key = "a key of sixteen bytes"
        limits.session.message_bytes = "131072B"
        [server]
        listen = "0.0.0.0"
        port = 9000
        [client]
        allowed_origins = ["https://app.example.org"]
        subscribe_to_user_personal_channel = true
        ping_interval = "12s"
        pong_timeout = "5s"
        expiry_grace = "90s"
        token = {hmac_secret_key = "a secret of sixteen bytes or more", audience = "chat"}
        [channels.without_namespace]
        enabled = true
        presence = true
        history_size = 10
        history_ttl = "5m"
        force_recovery = true
        [channels.namespaces.chat]
        allow_subscribe_for_client = true
        join_leave = true
        force_push_join_leave = true
        delta_publish = true
        [channels.namespaces.bare]
    "#
    .parse()
    .unwrap();
    assert_eq!(table(&imported), expected, "{}", imported.config);
    let choices = keys(&imported.choices);
    for key in [
        "engine.type",
        "engine.redis.address",
        "admin.password",
        "http_server.internal_port",
        "channel.namespaces.bare.force_recovery",
    ] {
        assert!(choices.contains(&key), "{key} in {choices:?}");
    }
    let missing = keys(&imported.without_counterpart);
    assert!(missing.contains(&"client.proxy.connect.endpoint"), "{missing:?}");
    let all = format!("{choices:?}{missing:?}");
    assert!(!all.contains("refresh") && !all.contains("uni_grpc"), "what is off is not told: {all}");
}

/// The config that the reference server has when answers are compared.
#[test]
fn the_config_of_the_other_server_in_comparisons_comes_over_whole() {
    let imported = imported("json", include_str!("../../../tests/black_box/answers/reference.json"));
    assert_eq!(imported.told(), "Everything has a counterpart.");
    let table = table(&imported);
    assert_eq!(table["channels"]["namespaces"]["one"]["history_size"].as_integer(), Some(1));
    assert_eq!(table["client"]["subscribe_to_user_personal_channel"].as_bool(), Some(true));
}

#[test]
fn yaml_toml_and_variables_say_the_same() {
    let yaml = "client:\n  token:\n    hmac_secret_key: a secret of sixteen bytes\n  allowed_origins:\n    - http://a\nchannel:\n  namespaces:\n    - name: chat\n      presence: true\n      history_size: 5\n      history_ttl: 1h\n";
    let toml = "[client]\nallowed_origins = [\"http://a\"]\n[client.token]\nhmac_secret_key = \"a secret of sixteen bytes\"\n[[channel.namespaces]]\nname = \"chat\"\npresence = true\nhistory_size = 5\nhistory_ttl = \"60m\"\n";
    let env = "# mine\nCENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY=\"a secret of sixteen bytes\"\nexport CENTRIFUGO_CLIENT_ALLOWED_ORIGINS=http://a\nCENTRIFUGO_CHANNEL_NAMESPACES='[{\"name\":\"chat\",\"presence\":true}]'\n\
               CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_HISTORY_SIZE=5\nCENTRIFUGO_CHANNEL_NAMESPACES_CHAT_HISTORY_TTL=3600s\nPATH=/bin\n";
    let [yaml, toml, env] = [("yaml", yaml), ("toml", toml), ("env", env)].map(|(ending, text)| imported(ending, text));
    assert_eq!(table(&yaml), table(&toml));
    assert_eq!(table(&yaml), table(&env), "{}", env.config);
    assert_eq!((&yaml.faults, &yaml.choices, &env.without_counterpart), (&vec![], &vec![], &vec![]), "{yaml:?}");
    assert_eq!(table(&yaml)["channels"]["namespaces"]["chat"]["history_ttl"].as_str(), Some("1h"));
}

#[test]
fn the_layout_before_has_no_sections() {
    let old = r#"{
      "token_hmac_secret_key": "a secret of sixteen bytes", "api_key": "a key of sixteen bytes", "port": 8001,
      "allowed_origins": ["*"], "allow_anonymous_connect_without_token": true, "user_subscribe_to_personal": true,
      "presence": true, "history_size": 3, "history_ttl": "1m", "allow_subscribe_for_client": true,
      "namespaces": [{"name": "n", "presence": true}],
      "engine": "redis", "redis_address": "r:1", "health": true, "proxy_connect_endpoint": "http://x", "surprise": 7
    }"#;
    let imported = imported("json", old);
    assert_eq!(imported.faults, Vec::<String>::new());
    let table = table(&imported);
    assert_eq!(table["client"]["token"]["hmac_secret_key"].as_str(), Some("a secret of sixteen bytes"));
    assert_eq!(
        (table["server"]["port"].as_integer(), table["http_api"]["key"].as_str()),
        (Some(8001), Some("a key of sixteen bytes"))
    );
    let without = &table["channels"]["without_namespace"];
    assert_eq!((without["history_size"].as_integer(), without["presence"].as_bool()), (Some(3), Some(true)));
    assert_eq!(table["channels"]["namespaces"]["n"]["presence"].as_bool(), Some(true));
    assert_eq!(keys(&imported.choices), ["engine.redis.address", "engine.type", "health.enabled"]);
    assert_eq!(keys(&imported.without_counterpart), ["client.proxy.connect_endpoint", "surprise"]);
}

#[test]
fn what_is_empty_is_a_config_and_what_is_none_is_told() {
    for (ending, text) in [("json", "{}"), ("yaml", ""), ("toml", ""), ("env", "")] {
        let imported = imported(ending, text);
        assert_eq!(
            (&imported.faults, imported.choices.len(), imported.without_counterpart.len()),
            (&vec![], 0, 0),
            "{imported:?}"
        );
        assert_eq!(table(&imported)["server"]["port"].as_integer(), Some(8000));
    }
    for (ending, text) in [("json", "{"), ("json", "[1]"), ("yaml", "a: [\n"), ("toml", "= 1"), ("ini", "")] {
        assert!(Source::parse("x", ending, text).is_err(), "{ending}: {text}");
    }
}

#[test]
fn tokens_that_do_not_go_together_are_sorted_out() {
    let both = imported(
        "json",
        r#"{"client":{"token":{"hmac_secret_key":"a secret of sixteen bytes","jwks_public_endpoint":"https://id/keys"}}}"#,
    );
    assert_eq!((keys(&both.choices), both.faults.len()), (vec!["client.token.hmac_secret_key"], 0), "{both:?}");
    let template = imported(
        "json",
        r#"{"client":{"token":{"jwks_public_endpoint":"https://{{realm}}/keys","issuer_regex":"a"}}}"#,
    );
    assert_eq!(template.faults.len(), 0, "{template:?}");
    assert!(keys(&template.choices).contains(&"client.token.jwks_public_endpoint"));
    let short = imported(
        "json",
        r#"{"client":{"token":{"hmac_secret_key":"secret"},"ping_interval":"-1s","pong_timeout":-1}}"#,
    );
    assert!(short.faults[0].contains("client.token.hmac_secret_key"), "{short:?}");
    assert_eq!(keys(&short.choices), ["client.ping_interval", "client.pong_timeout"]);
    let separate = imported(
        "json",
        r#"{"client":{"token":{"hmac_secret_key":"a secret of sixteen bytes"},"subscription_token":{"enabled":true,"hmac_secret_key":"another of sixteen bytes"}}}"#,
    );
    assert_eq!(table(&separate)["client"]["subscription_token"]["enabled"].as_bool(), Some(true));
    assert_eq!(separate.faults.len(), 0, "{separate:?}");
}
