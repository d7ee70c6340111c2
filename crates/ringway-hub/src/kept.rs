//! How channels are kept: by the cluster's word, if there is one, and by this gateway's config until then.

use std::fmt;
use std::sync::Arc;

use ringway_core::keeping::Keeping;
use ringway_core::message::ChannelOptions;

use super::config::HubConfig;

/// This gateway's config, and what overrules it.
#[derive(Debug)]
pub(super) struct Kept {
    own: Arc<HubConfig>,
    keeping: Arc<Keeping>,
    overruled: Vec<Overruled>,
    /// Somebody is to be told what is overruled.
    is_news: bool,
}

/// A kind of channels that the cluster keeps otherwise than this gateway's config says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overruled {
    /// The kind, by [`ChannelName::kind`](ringway_core::ChannelName::kind).
    pub kind: Box<str>,
    /// What is overruled.
    pub how: How,
}

/// In what the two differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// These settings have other values in the cluster: each with its value there and here.
    Settings(Vec<String>),
    /// The cluster has no such channels: they are closed here.
    Closed,
    /// Only the cluster has such channels.
    Missing,
}

impl fmt::Display for Overruled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.kind {
            "" => f.write_str("[channels.without_namespace]")?,
            "#" => f.write_str("[inbox]")?,
            namespace => write!(f, "[channels.namespaces.{namespace}]")?,
        }
        match &self.how {
            How::Settings(settings) => write!(f, " has {}", settings.join(", ")),
            How::Closed => f.write_str(" is not known in the cluster, so these channels are closed here"),
            How::Missing => f.write_str(" is missing here, so these channels are closed here"),
        }
    }
}

impl Kept {
    pub(super) fn new(own: Arc<HubConfig>) -> Self {
        let keeping = Arc::new(own.keeping());
        Self { own, keeping, overruled: Vec::new(), is_news: false }
    }

    /// How channels are kept here.
    pub(super) fn keeping(&self) -> Arc<Keeping> {
        self.keeping.clone()
    }

    /// The cluster's word. The config to go by from now on, if it is another one.
    pub(super) fn keep(&mut self, keeping: &Arc<Keeping>) -> Option<Arc<HubConfig>> {
        if **keeping == *self.keeping {
            return None;
        }
        self.keeping = keeping.clone();
        let overruled = differences(&self.own.keeping(), keeping);
        self.is_news |= overruled != self.overruled;
        self.overruled = overruled;
        Some(Arc::new(self.own.kept(keeping)))
    }

    pub(super) fn overruled(&self) -> &[Overruled] {
        &self.overruled
    }

    pub(super) fn take_news(&mut self) -> Option<Vec<Overruled>> {
        std::mem::take(&mut self.is_news).then(|| self.overruled.clone())
    }
}

fn differences(own: &Keeping, cluster: &Keeping) -> Vec<Overruled> {
    let known = own.kinds.iter().filter_map(|(kind, options)| {
        let how = match cluster.of_kind(kind) {
            // Inboxes are always there.
            None if &**kind == "#" => return None,
            None => How::Closed,
            Some(other) => How::Settings(Some(settings(*options, other)).filter(|names| !names.is_empty())?),
        };
        Some(Overruled { kind: kind.clone(), how })
    });
    let missing = cluster.kinds.iter().filter(|(kind, _)| own.of_kind(kind).is_none());
    known.chain(missing.map(|(kind, _)| Overruled { kind: kind.clone(), how: How::Missing })).collect()
}

/// The settings in which the two differ.
fn settings(own: ChannelOptions, cluster: ChannelOptions) -> Vec<String> {
    let texts = |options: ChannelOptions| {
        let ChannelOptions { history_size, history_ttl, presence, history_bytes, durability } = options;
        [
            ("history_size", history_size.to_string()),
            ("history_ttl", format!("{}s", history_ttl.as_secs_f64())),
            ("history_bytes", format!("{history_bytes}B")),
            ("presence", presence.to_string()),
            ("durability", durability.to_string()),
        ]
    };
    let pairs = texts(own).into_iter().zip(texts(cluster));
    let differing = pairs.filter(|((_, here), (_, there))| here != there);
    differing.map(|((name, here), (_, there))| format!("{name} {there} and here {here}")).collect()
}
