//! The file: its defaults, its faults, and the example that names every setting.

use std::time::Duration;

use ringway_core::ring::{SlotCount, Weight};
use ringway_hub::{Access, Offer};

use super::*;
use crate::rebalance::Mode;

const EXAMPLE: &str = include_str!("../../../../ringway.example.toml");

fn parsed(text: &str) -> Config {
    let mut config = Config::default();
    config.apply(text).unwrap_or_else(|faults| panic!("{faults}"));
    config
}

fn faults(text: &str) -> Vec<String> {
    Config::default().apply(text).unwrap_err().0
}

/// Exactly one fault, with all of these words.
#[track_caller]
fn assert_fault(text: &str, words: &[&str]) {
    let found = faults(text);
    assert_eq!(found.len(), 1, "{found:#?}");
    for word in words {
        assert!(found[0].contains(word), "no {word:?} in {:?}", found[0]);
    }
}

#[test]
fn the_example_is_the_defaults() {
    assert_eq!(parsed(EXAMPLE), Config::default());
}

#[test]
fn the_example_names_every_setting_and_no_other() {
    let reading = reader::Reading::default();
    Config::default().read(&reading, EXAMPLE);
    assert_eq!(reading.faults(), Vec::<String>::new());
    let example: toml::Table = EXAMPLE.parse().unwrap();
    for path in reading.asked() {
        let whole = toml::Value::Table(example.clone());
        let found = path.split('.').try_fold(&whole, |at, key| at.get(key));
        assert!(found.is_some(), "ringway.example.toml lacks {path}");
    }
}

#[test]
fn the_internal_port_is_an_address_with_a_port() {
    let server = parsed("[server]\ninternal_listen = \"127.0.0.1:9890\"\ninternal_api = true").server;
    assert_eq!((server.internal_listen, server.internal_api), ("127.0.0.1:9890".parse().ok(), true));
    assert_fault("[server]\ninternal_listen = \"9890\"", &["server.internal_listen", "127.0.0.1:9889"]);
}

#[test]
fn as_many_copies_are_kept_as_are_waited_for() {
    assert_eq!(parsed("[ack]\ncopies = 2").ack.copies, 2);
    assert_fault("[ack]\ncopies = 3", &["ack.copies", "1 or 2"]);
    assert_fault("[ack]\ncopies = 2\n[cluster]\nreplicas = 1", &["ack.copies", "cluster.replicas"]);
}

#[test]
fn values_are_read_in_their_own_units() {
    let config = parsed(
        r#"
        [server]
        listen = "::"
        port = 0
        max_connections = 7
        [cluster]
        id = "n-1"
        slots = 64
        weight = 0.5
        secret = "sixteen bytes, or more"
        timing = { deadline = "250ms", forget = "7d" }
        [channels.namespaces.news]
        history_size = 5
        history_ttl = "10m"
        allow_publish_for_subscriber = true
allow_publish_for_anonymous = true
        [limits.session]
        message_bytes = "16MiB"
        [rebalance]
        mode = "reset-all"
        window = "0s"
        "#,
    );
    assert_eq!(
        (config.server.listen.to_string().as_str(), config.server.port, config.server.max_connections),
        ("::", 0, Some(7))
    );
    assert_eq!(config.cluster.slots, SlotCount::new(64).unwrap());
    assert_eq!(config.cluster.weight, Weight::from_number(0.5).unwrap());
    assert_eq!(
        (config.timing.deadline, config.timing.forget),
        (Duration::from_millis(250), Duration::from_secs(7 * 86_400))
    );
    let news = &config.gateway.hub.namespaces["news"];
    assert_eq!((news.history_size, news.history_ttl, news.publish), (5, Duration::from_secs(600), Access::SUBSCRIBERS));
    assert_eq!(config.gateway.limits.message_bytes, 16 << 20);
    assert_eq!(config.rebalance, Rebalance { mode: Mode::ResetAll, window: Duration::ZERO });
}

#[test]
fn a_slip_of_the_pen_is_answered_with_the_right_word() {
    assert_fault("[server]\nprot = 1", &["`server.prot`", "not a setting", "Did you mean `port`?"]);
    assert_fault("[clint]", &["`clint`", "Did you mean `client`?"]);
    assert_fault("[cluster.timing]\nsuspekt = \"1s\"", &["`cluster.timing.suspekt`", "`suspect`"]);
    assert_fault(
        "[channels.namespaces.news]\nhistroy_size = 1",
        &["`channels.namespaces.news.histroy_size`", "`history_size`"],
    );
    assert_fault("[api]\nkey = \"x\"", &["`api`", "http_api"]);
    assert_fault("[http_api]\nerror_mode = \"http\"", &["`http_api.error_mode`", "\"transport\""]);
    assert_fault("[http_api]\nzzz = 1", &["`http_api.zzz`", "Known here: key, insecure, error_mode"]);
}

#[test]
fn every_fault_is_told_at_once() {
    let found = faults(
        "port = 1\n[server]\nport = 70000\nlisten = \"here\"\n[cluster]\nslots = 7\n[client]\nping_interval = 5\n[plain]\nprefix = \"x/\"",
    );
    let keys =
        ["`server.port`", "`server.listen`", "`cluster.slots`", "`client.ping_interval`", "`plain.prefix`", "`port`"];
    assert_eq!(found.len(), keys.len(), "{found:#?}");
    for key in keys {
        assert!(found.iter().any(|fault| fault.starts_with(key)), "{key} in {found:#?}");
    }
}

#[test]
fn each_kind_of_value_says_what_it_wants() {
    assert_fault("[server]\nport = \"9888\"", &["`server.port`", "string", "whole number"]);
    assert_fault("[server]\nport = 65536", &["`server.port`", "65536", "65535"]);
    assert_fault("[client]\ninsecure = 1", &["`client.insecure`", "true or false"]);
    assert_fault("[client]\npong_timeout = \"5 parsecs\"", &["`client.pong_timeout`", "5 parsecs", "5s"]);
    assert_fault("[client]\nallowed_origins = \"*\"", &["`client.allowed_origins`", "list"]);
    assert_fault("[client]\nallowed_origins = [\"https://a/b\"]", &["`client.allowed_origins`", "https://a/b"]);
    assert_fault("[limits.session]\nmessage_bytes = \"64KB\"", &["`limits.session.message_bytes`", "64KiB"]);
    assert_fault("[cluster]\nid = \"no de\"", &["`cluster.id`", "no de"]);
    assert_fault("[cluster]\nlink_listen = \"somewhere\"", &["`cluster.link_listen`", "127.0.0.1:9889"]);
    assert_fault("[cluster]\njoin = \"http://10.0.0.1:9888\"", &["`cluster.join`", "URL", "10.0.0.1:9889"]);
    assert_fault("[cluster]\nlink_advertise = \"10.0.0.1\"", &["`cluster.link_advertise`", "no port"]);
    assert_fault("[server]\nadvertise = \"wss://chat.example\"", &["`server.advertise`", "URL"]);
    assert_fault("[admin]\norchestrator = \"gateway-1:0\"", &["`admin.orchestrator`", "65535"]);
    assert_fault("[cluster]\nweight = -1", &["`cluster.weight`", "-1"]);
    assert_fault("[cluster]\nweight = 0", &["`cluster.weight`", "own nothing"]);
    assert_fault("[inbox]\nforce_recovery_mode = \"all\"", &["`inbox.force_recovery_mode`", "\"cache\""]);
    assert_fault("[inbox]\nchannel_regex = \"(\"", &["`inbox.channel_regex`", "unclosed group"]);
    assert_fault("server = 1", &["`server`", "[server]"]);
}

#[test]
fn a_secret_of_the_wrong_kind_is_not_quoted() {
    let found = faults("[admin]\ntoken = 123456789");
    assert!(found[0].starts_with("`admin.token`") && !found[0].contains("123456789"), "{found:?}");
    let config = parsed("[admin]\ntoken = \"hush hush hush hush\"\n[cluster]\nsecret = \"hush hush hush hush\"");
    assert!(!format!("{:?}{:?}", config.admin, config.cluster).contains("hush"));
}

#[test]
fn a_secret_that_can_be_guessed_is_a_fault_and_the_open_config_takes_it() {
    for (section, key) in
        [("admin", "token"), ("http_api", "key"), ("client.token", "hmac_secret_key"), ("cluster", "secret")]
    {
        let text = |secret: &str| format!("[{section}]\n{key} = \"{secret}\"");
        assert_fault(&text("fifteen bytes.."), &[&format!("`{section}.{key}`"), "15 bytes", "16 or more"]);
        assert!(!faults(&text("fifteen bytes.."))[0].contains("fifteen"), "it is not quoted");
        parsed(&text("sixteen bytes..."));
        Config::default().open().apply(&text("x")).unwrap();
    }
}

#[test]
fn proxies_and_names_are_written_as_they_are_known() {
    let server =
        parsed("[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\nproxy_header = \"proxy-protocol\"").server;
    assert_eq!(server.proxies.trusted, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    assert_fault("[server]\ntrusted_proxies = [\"proxy\"]", &["`server.trusted_proxies`", "proxy", "10.0.0.0/8"]);
    assert_fault("[server]\nproxy_header = \"forwarded\"", &["`server.proxy_header`", "\"x-forwarded-for\""]);
    assert_eq!(parsed("[server]\nnames = [\"chat.example\", \"[::1]\"]").server.names.len(), 2);
    assert_fault("[server]\nnames = [\"https://chat.example\"]", &["`server.names`", "no scheme"]);
    assert_fault("[server]\nbody_timeout = \"0s\"", &["`server.body_timeout`"]);
}

#[test]
fn settings_that_contradict_each_other_are_faults() {
    assert_fault("[inbox]\nhistory_size = 0\nforce_recovery = false", &["`inbox.history_size`", "`history_ttl`"]);
    for key in ["force_recovery", "allow_recovery", "force_positioning", "allow_positioning"] {
        let text = format!("[channels.without_namespace]\n{key} = true");
        assert_fault(&text, &[&format!("`channels.without_namespace.{key}`"), "history"]);
    }
    assert_fault("[inbox]\nforce_push_join_leave = true", &["`inbox.force_push_join_leave`", "join_leave = true"]);
    assert_fault("[client]\npong_timeout = \"25s\"", &["`client.pong_timeout`", "`ping_interval`"]);
    assert_fault("[cluster.timing]\nsuspect = \"2s\"", &["`cluster.timing.suspect`", "`cluster.timing.ttl`"]);
    assert_fault("[cluster.timing]\nping = \"1s\"", &["`cluster.timing.ping`", "quarter"]);
    assert_fault("[channels.namespaces.\"a:b\"]", &["a:b", "namespace"]);
}

#[test]
fn a_setting_that_is_spelled_otherwise_by_now_names_the_new_one() {
    let table = [
        ("recovery = true", "`force_recovery`"),
        ("subscribe = \"anyone\"", "`allow_subscribe_for_client = true`"),
        ("publish = \"nobody\"", "`allow_publish_for_client`"),
    ];
    for (old, new) in table {
        let key = old.split(' ').next().unwrap();
        assert_fault(&format!("[channels.namespaces.a]\n{old}"), &[&format!("`channels.namespaces.a.{key}`"), new]);
    }
}

#[test]
fn bounds_are_kept() {
    assert_fault("[limits.session]\nsubscriptions = 0", &["`limits.session.subscriptions`", "0"]);
    assert_fault("[cluster]\nexpect_nodes = 2000", &["`cluster.expect_nodes`", "1,024"]);
    assert_fault("[client]\nping_interval = \"2h\"", &["`client.ping_interval`", "1h"]);
    assert_fault("[rebalance]\nwindow = \"11m\"", &["`rebalance.window`", "10m"]);
    assert_fault("[rebalance]\nmode = \"rest\"", &["`rebalance.mode`", "\"reset-all\""]);
    assert_fault("[server]\nmax_connections = 0", &["`server.max_connections`", "every client"]);
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    assert_fault("[server]\nport = \n", &["line 2"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let why = Config::default().with_file(Path::new("/no/such/ringway.toml")).unwrap_err();
    assert!(why.to_string().contains("/no/such/ringway.toml"));
}

#[test]
fn the_open_config_is_what_the_demo_promises() {
    let config = Config::default().open();
    let channels = config.gateway.hub.without_namespace.unwrap();
    assert!(config.gateway.hub.allow_anonymous && config.gateway.plain.is_some() && config.server.echo);
    assert_eq!((channels.history_size, channels.history_ttl), (1000, Duration::from_secs(600)));
    assert!(channels.recovery == Offer::Always && channels.presence && channels.publish == Access::SUBSCRIBERS);
}

#[test]
fn a_slip_is_told_what_was_meant_and_a_guess_is_not() {
    for (section, key, meant) in [
        ("server", "prot", Some("port")),
        ("server", "listn", Some("listen")),
        ("server", "lissten", Some("listen")),
        ("server", "advertize", Some("advertise")),
        ("server", "pört", Some("port")),
        ("server", "p", None),
        ("server", "pear", None),
    ] {
        let hint = meant.map_or("Known here: ".to_owned(), |meant| format!("Did you mean `{meant}`?"));
        assert_fault(&format!("[{section}]\n\"{key}\" = 1"), &[&format!("`{section}.{key}`"), &hint]);
    }
}

#[test]
fn a_line_that_is_no_toml_does_not_hide_the_others() {
    for (text, wanted) in [
        ("[server]\nport = \nprot = 1\n[client\nx = 1\n", &["line 2", "line 4", "`server.prot`", "`client.x`"][..]),
        (
            "[server]\nport: 1\nprot = 1\nmax_http\n[admin]\ntokn = 1",
            &["line 2", "line 4", "`server.prot`", "`admin.tokn`"],
        ),
        ("[server]\nport = 1\nport = 2\nprot = 3", &["line 3", "`server.prot`"]),
        ("[server]\nport = 0x\nlisten = 8\nmax_http = 99999999999999999999", &["line 2", "line 4", "`server.listen`"]),
        ("[server]\nlisten = \"here\nprot = 1", &["line 2", "`server.prot`"]),
        ("client\n[server]\nprot = 1", &["line 1", "`server.prot`"]),
    ] {
        let found = faults(text);
        assert_eq!(found.len(), wanted.len(), "{text}\n{found:#?}");
        for (fault, begin) in found.iter().zip(wanted) {
            assert!(fault.starts_with(begin), "{begin}: {found:#?}");
        }
    }
}

#[test]
fn who_keeps_something_in_nats_waits_longer_unless_it_says_otherwise() {
    let times = |text: &str| {
        let mut config = Config::default();
        config.apply(text).expect("no fault");
        (config.timing.pair.as_secs(), config.timing.deadline.as_secs())
    };
    let logged = "[inbox]\ndurability = \"log\"\n";
    assert_eq!(times(""), (10, 5));
    assert_eq!(times(logged), (10, 5));
    assert_eq!(times("[cluster]\nregistry = \"nats\"\n"), (75, 5));
    assert_eq!(times("[cluster]\nengine = \"nats\"\n"), (75, 5));
    assert_eq!(times(&format!("{logged}[cluster]\nengine = \"nats\"\n")), (75, 12));
    assert_eq!(times(&format!("{logged}[cluster]\nlog = \"nats\"\n")), (10, 12));
    let said = "[cluster.timing]\npair = \"10s\"\ndeadline = \"5s\"\n";
    assert_eq!(times(&format!("{logged}[cluster]\nengine = \"nats\"\n{said}")), (10, 5));
}

#[test]
fn orders_go_through_rabbitmq_where_it_is_said() {
    assert_eq!(Config::default().cluster.bus, BusAt::Links);
    assert_eq!(parsed("[cluster]\nengine = \"nats\"").cluster.bus, BusAt::Links, "an engine does not choose it");
    let config = parsed(
        "[cluster]\nbus = \"rabbitmq\"\n[rabbitmq]\nurls = [\"amqps://10.0.0.5:5671\"]\nvhost = \"v\"\nuser = \"u\"\npassword = \"hidden\"\nname = \"one\"",
    );
    assert_eq!((config.cluster.bus, config.rabbitmq.vhost.as_str()), (BusAt::Rabbit, "v"));
    assert!(!format!("{:?}", config.rabbitmq).contains("hidden"));
    assert_fault("[cluster]\nbus = \"kafka\"", &["cluster.bus", "rabbitmq"]);
    assert_fault("[rabbitmq]\nurls = [\"amqp://u:hidden@10.0.0.5:5672\"]", &["rabbitmq.urls", "`rabbitmq.password`"]);
    assert_fault("[rabbitmq]\nurls = [\"10.0.0.5:5672\"]", &["rabbitmq.urls", "amqp://10.0.0.5:5672"]);
    assert_fault("[rabbitmq]\nurls = []", &["rabbitmq.urls", "is empty"]);
    assert_fault("[rabbitmq]\nuser = \"u\"", &["rabbitmq.user", "rabbitmq.password"]);
    assert_fault("[rabbitmq]\nname = \"a.b\"", &["rabbitmq.name", "letters"]);
}
