//! `ringway send USER TEXT`: a message to an inbox, as the plain protocol stores it.

use ringway_core::{ChannelName, UserName};
use serde_json::json;

use super::api::Api;
use super::args::SendArgs;
use super::error::CliError;
use super::say;

pub(super) async fn run(args: SendArgs) -> Result<(), CliError> {
    let user =
        UserName::new(&args.user).map_err(|why| CliError::Usage(format!("{:?} cannot be a user: {why}", args.user)))?;
    let api = Api::server(&args.at, args.api_key.as_deref()).await?;
    let body = json!({
        "channel": ChannelName::personal(&user).as_str(),
        "data": { "content": args.text, "from": args.from },
    });
    let answer = api.post("/api/publish", Some(&body)).await?;
    match args.json {
        true => say(&format!("{answer}\n")),
        false => say(&format!("sent to {user}; it waits in the inbox until {user} connects, if need be\n")),
    }
}
