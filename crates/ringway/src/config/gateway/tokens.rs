//! What makes tokens good: `[client.token]`, its issuers, and `[client.subscription_token]`, under the names of the reference server.

use std::time::Duration;

use regex::Regex;
use ringway_hub::{Key, KeyError, Keys, Rule, Source};

use super::super::check::short_secret;
use super::super::reader::Section;
use crate::gateway::GatewayConfig;

/// Issuers in one section. Each has its keys in memory, and perhaps an address to fetch them from.
const ISSUERS: usize = 64;

pub(super) fn read(config: &mut GatewayConfig, client: &mut Section<'_>) {
    let is_open = config.is_open;
    client.section("token", |section| {
        if let Some(sources) = sources(section, is_open) {
            config.tokens.connections = sources;
        }
    });
    client.section("subscription_token", |section| {
        let mut enabled = config.tokens.subscriptions.is_some();
        section.read("enabled", &mut enabled);
        let sources = sources(section, is_open);
        match (enabled, sources) {
            (true, None) => section.fault("enabled", "is true, and there is no key: set one, or leave it out, and tokens of channels are checked as those of connections"),
            (false, Some(_)) => section.fault("enabled", "is false, so the keys beside it check nothing: set it to true, or leave them out"),
            (_, sources) => config.tokens.subscriptions = sources,
        }
    });
}

/// The sources of one section, those with an issuer of their own first; `None`: it has none.
fn sources(section: &mut Section<'_>, is_open: bool) -> Option<Vec<Source>> {
    let rest = source(section, is_open);
    let mut sources = Vec::new();
    section.tables("issuers", |section| {
        let Some(source) = source(section, is_open) else {
            return section.fault_here("has no key: set `hmac_secret_key`, a public key, or `jwks_public_endpoint`");
        };
        if source.issuer.is_none() {
            section.fault_here(
                "has neither `issuer` nor `issuer_regex`: a token is checked with the keys of its own issuer",
            );
        }
        if sources.iter().any(|other: &Source| other.issuer == source.issuer) {
            section.fault("issuer", "is there twice: the second one would never be asked");
        }
        sources.push(source);
    });
    if sources.len() > ISSUERS {
        section.fault("issuers", "are too many: there are 64 at most");
    }
    sources.extend(rest);
    (!sources.is_empty()).then_some(sources)
}

/// Keys and rules of one table; `None` without keys.
fn source(section: &mut Section<'_>, is_open: bool) -> Option<Source> {
    let issuer = rule(section, "issuer", "issuer_regex");
    let audience = rule(section, "audience", "audience_regex");
    let (mut user_id_claim, mut endpoint) = (None::<String>, None::<String>);
    section.read("user_id_claim", &mut user_id_claim);
    let fixed = keys(section, is_open);
    section.read("jwks_public_endpoint", &mut endpoint);
    let keys = match endpoint {
        Some(url) => {
            if let Some(why) = not_an_endpoint(&url) {
                section.fault("jwks_public_endpoint", why);
            }
            if !fixed.is_empty() {
                section.fault("jwks_public_endpoint", "stands beside other keys: those that it publishes are all there are. Give the others an issuer of their own");
            }
            Keys::Published(url.into())
        }
        None if fixed.is_empty() => {
            if issuer.is_some() || audience.is_some() || user_id_claim.is_some() {
                section.fault_here("says what tokens must be, and has no key to check them with");
            }
            return None;
        }
        None => Keys::Fixed(fixed),
    };
    Some(Source { issuer, audience, user_id_claim: user_id_claim.map(Into::into), keys })
}

/// What a claim must be: a text, or a pattern.
fn rule(section: &mut Section<'_>, exact: &str, pattern: &str) -> Option<Rule> {
    let (mut text, mut regex) = (None::<String>, None::<String>);
    section.read(exact, &mut text);
    section.read(pattern, &mut regex);
    if text.is_some() && regex.is_some() {
        section.fault(exact, &format!("and `{pattern}` are both set: one of them is enough"));
    }
    let regex = regex.and_then(|text| match Regex::new(&text) {
        Ok(regex) => Some(regex),
        Err(why) => {
            section.fault(pattern, &format!("is no regular expression: {}", why.to_string().replace('\n', " ")));
            None
        }
    });
    text.map(|text| Rule::Is(text.into())).or(regex.map(Rule::Matches))
}

/// Reads a public key of one kind.
type ReadKey = fn(&str) -> Result<Key, KeyError>;

/// The keys that stand in the file, or in files that it names.
fn keys(section: &mut Section<'_>, is_open: bool) -> Vec<Key> {
    let mut keys = Vec::new();
    keys.extend(secret(section, "hmac_secret_key", is_open));
    let former = secret(section, "hmac_previous_secret_key", is_open);
    let mut until = 0_usize;
    section.read("hmac_previous_secret_key_valid_until", &mut until);
    match former {
        Some(_) if keys.is_empty() => {
            section.fault(
                "hmac_previous_secret_key",
                "stands alone: it is for the time in which `hmac_secret_key` takes its place",
            );
        }
        Some(former) if until > 0 => keys.push(former.until(Duration::from_secs(until as u64))),
        former => keys.extend(former),
    }
    let kinds: [(&str, ReadKey); 3] =
        [("rsa_public_key", Key::rsa), ("ecdsa_public_key", Key::ecdsa), ("eddsa_public_key", Key::eddsa)];
    for (name, of) in kinds {
        keys.extend(public(section, name, of));
    }
    keys
}

fn secret(section: &mut Section<'_>, key: &str, is_open: bool) -> Option<Key> {
    let mut secret = None::<String>;
    section.read(key, &mut secret);
    let secret = secret?;
    match short_secret(&secret).filter(|_| !is_open) {
        Some(why) => section.fault(key, &why),
        None if secret.contains("-----BEGIN") => {
            section.fault(key, "is a key in PEM, and not a secret: whoever knows a public key could sign with it");
        }
        None => {}
    }
    Some(Key::hmac(&secret))
}

/// A public key, as PEM or in a file of it.
fn public(section: &mut Section<'_>, key: &str, of: fn(&str) -> Result<Key, KeyError>) -> Option<Key> {
    let mut text = None::<String>;
    section.read(key, &mut text);
    let text = text?;
    let pem =
        if text.contains("-----BEGIN") { Ok(text) } else { std::fs::read_to_string(&text).map_err(|why| (text, why)) };
    let found = match pem {
        Ok(pem) => of(&pem).map_err(|why| why.to_string()),
        Err((path, why)) => {
            Err(format!("is neither PEM (-----BEGIN PUBLIC KEY-----) nor a file that can be read: {path}: {why}"))
        }
    };
    found.map_err(|why| section.fault(key, &why)).ok()
}

/// Why nothing can be fetched from there.
fn not_an_endpoint(url: &str) -> Option<&'static str> {
    if url.contains("{{") {
        return Some(
            "has a placeholder, and what a token says never chooses where keys come from: write the address of each issuer under [[client.token.issuers]]",
        );
    }
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let is_address = rest
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && url.chars().all(|c| c.is_ascii_graphic()));
    (!is_address).then_some("is no address of keys: it begins with https:// or http://, such as \"https://id.example.org/.well-known/jwks.json\"")
}
