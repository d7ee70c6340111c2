//! `ringway checktoken`: what a token says, and whether it is good.

use std::io::Read;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ringway_hub::{TokenFault, Verifier};
use serde_json::{Value, json};

use super::args::CheckTokenArgs;
use super::tokens;
use crate::cli::error::CliError;
use crate::cli::say;
use crate::gateway::{fetch_keys, since_1970};

pub(in crate::cli) async fn run(args: CheckTokenArgs) -> Result<(), CliError> {
    let token = token(&args.token)?;
    let token = token.trim();
    let shown = Shown::of(token).ok_or_else(|| CliError::Failed("this is no token: a JSON Web Token has three parts of Base64 with dots between, and the first two are JSON".to_owned()))?;
    let good = match &args.config {
        None => None,
        Some(_) => Some(judged(&args, token, shown.is_of_channel()).await?),
    };
    if args.json {
        let (good, why) = (good.as_ref().map(Result::is_ok), good.as_ref().and_then(|good| good.as_ref().err()));
        say(&format!(
            "{}\n",
            json!({ "kind": shown.kind(), "header": shown.header, "claims": shown.claims, "good": good, "why": why })
        ))?;
    } else {
        say(&shown.told(good.as_ref()))?;
    }
    match good {
        Some(Err(why)) => Err(CliError::Failed(format!("it is not good here: {why}"))),
        _ => Ok(()),
    }
}

fn token(given: &str) -> Result<String, CliError> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|why| CliError::Failed(format!("cannot read the token: {why}")))?;
    Ok(text)
}

/// What it is good for here, or why it is not.
async fn judged(args: &CheckTokenArgs, token: &str, is_of_channel: bool) -> Result<Result<String, String>, CliError> {
    let verifier = Verifier::of(&tokens(args.config.as_deref())?, since_1970);
    let mut absent = None;
    for set in verifier.key_sets() {
        let document = fetch_keys(set.url()).await;
        let kept = document.and_then(|document| Ok(set.end(set.begin(), &document)?));
        let why = kept.err().map(|why| format!("cannot fetch the keys at {}: {why:#}", set.url()));
        absent = absent.or(why);
    }
    let for_how_long = |lifetime: Option<Duration>| match lifetime {
        None => "for ever".to_owned(),
        Some(left) => format!("for {} s", left.as_secs()),
    };
    let found = match is_of_channel {
        true => verifier.explain_subscription(token).map(|grant| {
            format!("it opens {} to {}, {}", grant.channel, named(&grant.user), for_how_long(grant.lifetime))
        }),
        false => verifier.explain(token).map(|found| {
            let user = found.user.as_ref().map_or("", |user| user.as_str());
            format!("it connects {}, {}", named(user), for_how_long(found.lifetime))
        }),
    };
    match (found, absent) {
        (Err(TokenFault::NoKeys), Some(why)) => Err(CliError::Unavailable(why)),
        (Err(TokenFault::NoKeys), None) => Ok(Err(TokenFault::KeyName.says().to_owned())),
        (found, _) => Ok(found.map_err(|fault| fault.says().to_owned())),
    }
}

fn named(user: &str) -> String {
    if user.is_empty() { "somebody without a name".to_owned() } else { user.to_owned() }
}

/// A token that was taken apart, and not checked.
struct Shown {
    header: Value,
    claims: Value,
}

impl Shown {
    fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let mut part = || serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok();
        let (header, claims) = (part()?, part()?);
        (parts.count() == 1).then_some(Self { header, claims })
    }

    fn is_of_channel(&self) -> bool {
        self.claims["channel"].as_str().is_some_and(|channel| !channel.is_empty())
    }

    fn kind(&self) -> &'static str {
        if self.is_of_channel() { "subscription" } else { "connection" }
    }

    fn told(&self, good: Option<&Result<String, String>>) -> String {
        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
        let mut text =
            format!("a {} token\nheader {}\nclaims {}\n", self.kind(), pretty(&self.header), pretty(&self.claims));
        for name in ["iat", "nbf", "exp", "expire_at"] {
            if let Some(time) = self.claims[name].as_f64().and_then(date) {
                text += &format!("{name:9} {time}\n");
            }
        }
        match good {
            None => text += "whether it is good was not checked: give the gateway's config with --config FILE\n",
            Some(Ok(what)) => text += &format!("it is good here: {what}\n"),
            Some(Err(_)) => {}
        }
        text
    }
}

fn date(seconds: f64) -> Option<String> {
    jiff::Timestamp::from_second(seconds as i64).ok().map(|time| time.to_string())
}
