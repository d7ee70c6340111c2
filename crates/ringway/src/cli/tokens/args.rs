//! What can be written behind them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::config;

const TOKEN_EXAMPLES: &str = "\
It signs with the secret of the config, as your back end will, and for the issuer and the audience that the config asks for. Of public keys
a config has nothing to sign with: whoever has the private key does that.

Examples:
  ringway token --config ringway.toml --user ann                        one that is good for an hour
  ringway token --config ringway.toml --user ann --ttl 5m --info '{\"name\":\"Ann\"}'
  ringway token --secret-file secret --user ann --channels news,chat:7   and subscribed to these by the server
  ringway token --config ringway.toml                                    for somebody without a name";

const SUBTOKEN_EXAMPLES: &str = "\
Examples:
  ringway subtoken --config ringway.toml --user ann --channel '$secret'
  ringway subtoken --config ringway.toml --user ann --channel chat:7 --ttl 10m --info '{\"role\":\"host\"}'";

const CHECK_EXAMPLES: &str = "\
It shows what the token says, and whether a gateway with this config would take it now, and why not. Keys that the config says are published
(jwks_public_endpoint) are fetched for it, once. The token itself goes nowhere.

Examples:
  ringway checktoken --config ringway.toml eyJhbGciOi…
  ringway token --config ringway.toml --user ann | ringway checktoken --config ringway.toml -
  ringway checktoken eyJhbGciOi…                                          only what it says

Exit codes: 0 it is good, or was only shown; 1 it is not; 64 the config has faults.";

const GENKEY_EXAMPLES: &str = "\
Write it into the config, and give it to whoever signs tokens. To sign with a key pair instead, so that gateways cannot sign:

  openssl genpkey -algorithm ed25519 -out private.pem              for EdDSA
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out private.pem    for ES256
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem      for RS256
  openssl pkey -in private.pem -pubout -out public.pem             [client.token] eddsa_public_key = \"public.pem\"";

/// What both kinds of tokens have.
#[derive(Debug, Args)]
pub(in crate::cli) struct Signed {
    /// Whose; left out: somebody without a name
    #[arg(long, value_name = "USER", default_value = "")]
    pub(super) user: String,
    /// How long it is good; 0: for ever
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = ttl)]
    pub(super) ttl: Ttl,
    /// JSON that others see beside the user
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(super) info: Option<Value>,
    /// The settings of the gateway that is to take it
    #[arg(long, value_name = "FILE", env = "RINGWAY_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// A file that holds the secret alone, instead of the config's; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(super) secret_file: Option<PathBuf>,
    /// Which of the config's issuers, where there are several
    #[arg(long, value_name = "ISSUER")]
    pub(super) issuer: Option<String>,
    /// For whom (aud), where the config has a pattern
    #[arg(long, value_name = "AUDIENCE")]
    pub(super) audience: Option<String>,
    /// Print JSON: {"token":"…","claims":{…}}
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = TOKEN_EXAMPLES)]
pub(in crate::cli) struct TokenArgs {
    /// Channels that the server subscribes the connection to
    #[arg(long, value_name = "CHANNELS", value_delimiter = ',')]
    pub(super) channels: Vec<String>,
    /// JSON for the application's server alone
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(super) meta: Option<Value>,
    #[command(flatten)]
    pub(super) signed: Signed,
}

#[derive(Debug, Args)]
#[command(after_help = SUBTOKEN_EXAMPLES)]
pub(in crate::cli) struct SubtokenArgs {
    /// The channel that it opens, by its whole name
    #[arg(long, value_name = "CHANNEL")]
    pub(super) channel: String,
    /// Only to the connection with this id
    #[arg(long, value_name = "ID")]
    pub(super) client: Option<String>,
    #[command(flatten)]
    pub(super) signed: Signed,
}

#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(in crate::cli) struct CheckTokenArgs {
    /// The token; - for standard input
    #[arg(value_name = "TOKEN")]
    pub(super) token: String,
    /// The settings of the gateway that is to take it
    #[arg(long, value_name = "FILE", env = "RINGWAY_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Print JSON: {"kind":"connection","header":{…},"claims":{…},"good":true,"why":null}
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = GENKEY_EXAMPLES)]
pub(in crate::cli) struct GenkeyArgs {
    /// Print JSON: {"hmac_secret_key":"…"}
    #[arg(long)]
    pub(super) json: bool,
}

/// How long a token is good; `None`: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ttl(pub(super) Option<Duration>);

fn ttl(text: &str) -> Result<Ttl, String> {
    match text {
        "0" => Ok(Ttl(None)),
        _ => config::duration(text)
            .filter(|time| time.as_secs() > 0)
            .map(|time| Ttl(Some(time)))
            .ok_or_else(|| "it is a time such as 30s, 5m, 1h or 7d, or 0 for ever".to_owned()),
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|why| format!("it is no JSON ({why}); a text has its quotes, as '\"Ann\"'"))
}
