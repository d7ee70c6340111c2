//! How channels are kept is the cluster's word, whatever the config here says.

use ringway_core::message::Durability;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::ChannelName;
use ringway_core::keeping::Keeping;
use ringway_core::member::Front;
use ringway_core::message::{ChannelOptions, Message};
use ringway_protocol::centrifuge::ErrorCode;
use serde_json::json;

use super::harness::*;
use crate::{ChannelConfig, How, HubConfig, Overruled};

fn kept(history_size: u32, presence: bool) -> ChannelOptions {
    ChannelOptions {
        history_size,
        history_ttl: Duration::from_secs(60),
        presence,
        history_bytes: 0,
        durability: Durability::Memory,
    }
}

fn config() -> HubConfig {
    let namespaces = ["chat", "old"].map(|name| (name.to_owned(), ChannelConfig::open()));
    HubConfig { namespaces: BTreeMap::from(namespaces), ..HubConfig::open() }
}

fn word() -> Arc<Keeping> {
    let inbox = ChannelConfig::inbox().options();
    let kinds = [("", kept(10, true)), ("#", inbox), ("chat", kept(20, false)), ("new", kept(30, false))];
    Arc::new(Keeping { kinds: kinds.map(|(kind, options)| (kind.into(), options)).into() })
}

fn options_of(config: &HubConfig, name: &str) -> Result<ChannelOptions, ErrorCode> {
    config.channel(&ChannelName::new(name).unwrap()).map(ChannelConfig::options)
}

#[test]
fn a_config_goes_by_the_clusters_word_and_keeps_its_permissions() {
    let (own, word) = (config(), word());
    let config = own.kept(&word);
    assert_eq!(options_of(&config, "news"), Ok(kept(10, true)));
    assert_eq!(options_of(&config, "$chat:1"), Ok(kept(20, false)));
    assert_eq!(options_of(&config, "#ann"), Ok(ChannelConfig::inbox().options()));
    assert_eq!(options_of(&config, "old:1"), Err(ErrorCode::UnknownChannel), "the cluster does not know it");
    assert_eq!(options_of(&config, "new:1"), Err(ErrorCode::UnknownChannel), "nothing says who may do what there");
    let chat = |config: &HubConfig| config.namespaces["chat"].clone();
    let unkept = |config: ChannelConfig| ChannelConfig {
        history_size: 0,
        presence: false,
        history_ttl: Duration::ZERO,
        ..config
    };
    assert_eq!(unkept(chat(&config)), unkept(chat(&own)));
    assert_eq!(own.kept(&own.keeping()), own, "its own word changes nothing");
    assert_eq!(own.keeping().check(), Ok(()));
}

#[test]
fn what_is_overruled_is_told_once() {
    let mut world = World::new(config());
    let now = world.now;
    assert_eq!(world.hub.take_overruled(), None);
    world.hub.keep(now, &word());
    let settings = |kind: &str, names: &[&str]| Overruled {
        kind: kind.into(),
        how: How::Settings(names.iter().map(ToString::to_string).collect()),
    };
    let other = |kind: &str, how| Overruled { kind: kind.into(), how };
    let overruled = vec![
        settings("", &["history_size 10 and here 1000", "history_ttl 60s and here 600s"]),
        settings(
            "chat",
            &["history_size 20 and here 1000", "history_ttl 60s and here 600s", "presence false and here true"],
        ),
        other("old", How::Closed),
        other("new", How::Missing),
    ];
    assert_eq!((world.hub.take_overruled(), world.hub.counts().overruled), (Some(overruled.clone()), 4));
    world.hub.keep(now, &word());
    assert_eq!(world.hub.take_overruled(), None);
    let lines: Vec<String> = overruled.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines[0],
        "[channels.without_namespace] has history_size 10 and here 1000, history_ttl 60s and here 600s"
    );
    assert_eq!(lines[2], "[channels.namespaces.old] is not known in the cluster, so these channels are closed here");
    assert_eq!(lines[3], "[channels.namespaces.new] is missing here, so these channels are closed here");
    world.hub.keep(now, &Arc::new(config().keeping()));
    assert_eq!((world.hub.take_overruled(), world.hub.counts().overruled), (Some(Vec::new()), 0));
}

/// Channels that are in use already, and what was published before anybody was told.
#[test]
fn owners_are_told_the_clusters_word_from_then_on() {
    let mut world = World::new(config());
    let now = world.now;
    let ann = world.anonymous();
    world.send(&ann, &json!({"id": 2, "subscribe": {"channel": "chat:1"}}).to_string());
    world.said.clear();
    world.hub.keep(now, &word());
    world.send(&ann, &json!({"id": 3, "subscribe": {"channel": "news"}}).to_string());
    world.send(&ann, &json!({"id": 4, "publish": {"channel": "chat:1", "data": 1}}).to_string());
    let owner = world.owner();
    world.hub.gateway_mut().on_link_down(now, owner);
    world.hub.gateway_mut().on_link_up(now, owner);
    world.turn();
    let told = world.said.iter().flat_map(|message| match message {
        Message::Attach(attaches) => attaches.iter().map(|one| (one.channel.to_string(), one.options)).collect(),
        Message::Publish(publish) => vec![(publish.channel.to_string(), publish.options)],
        _ => Vec::new(),
    });
    let word = word();
    let all: Vec<_> = told.collect();
    assert!(all.iter().any(|(name, _)| name == "chat:1") && all.iter().any(|(name, _)| name == "news"), "{all:?}");
    for (name, options) in all {
        assert_eq!(Some(options), word.of(&ChannelName::new(&name).unwrap()), "{name}");
    }
}
