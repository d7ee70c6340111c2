//! The keys that issuers of tokens publish: whether they can be fetched from here, and how many there are.

use ringway_hub::{KeySet, Verifier};

use super::finding::{Finding, What};
use crate::config::Config;
use crate::gateway::{fetch_keys, since_1970};

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let verifier = Verifier::of(&config.gateway.tokens, since_1970);
    let mut found = Vec::new();
    for set in verifier.key_sets() {
        found.push(judged(set, fetched(set).await));
    }
    found
}

async fn fetched(set: &KeySet) -> anyhow::Result<usize> {
    let document = fetch_keys(set.url()).await?;
    Ok(set.end(set.begin(), &document)?)
}

fn judged(set: &KeySet, fetched: anyhow::Result<usize>) -> Finding {
    let (what, url) = (What::TokenKeys, set.url());
    match fetched {
        Ok(keys) => Finding::ok(what, format!("{url} publishes {keys} keys that can check tokens.")),
        Err(why) => Finding::warning(
            what,
            format!("No keys of tokens are to be had from {url}: {why:#}."),
            "A gateway starts without them, and asks clients whose tokens need them to come again. See to whoever publishes them, to the way there, or correct \
             jwks_public_endpoint.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[tokio::test]
    async fn keys_that_are_not_to_be_had_are_a_warning() {
        let mut config = Config::default();
        config.apply("[client.token]\njwks_public_endpoint = \"http://127.0.0.1:1/keys\"\n").unwrap();
        let found = look(&config).await;
        assert_eq!(found.iter().map(|finding| finding.level).collect::<Vec<_>>(), [Level::Warning]);
        assert!(look(&Config::default()).await.is_empty());
    }
}
