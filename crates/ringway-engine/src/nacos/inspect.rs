//! What a person wants to know of the Nacos that a cluster uses. It only looks.

use std::sync::Arc;

use super::Config;
use super::api::Api;
use super::session::Session;
use crate::census::Absent;

/// What was found. None of it is secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// Its version, where it tells it.
    pub version: Option<String>,
    /// The share of healthy instances at and below which it says of all that they are; `None`: it does not tell, or there is no such
    /// service yet.
    pub threshold: Option<f64>,
    /// Members that are listed, those that are offline not counted.
    pub members: usize,
    /// The list is protected now.
    pub is_protected: bool,
}

/// Asks the servers. It takes some seconds at the most.
///
/// # Errors
/// [`Absent`]: none answers, or none lets us in.
pub async fn inspect(config: &Config) -> Result<Inspection, Absent> {
    let session = Arc::new(Session::new(config.servers.clone(), config.user.clone()));
    let api = Api::new(session.clone(), config);
    let listed = api.list().await.map_err(|why| session.trouble().unwrap_or(why));
    if let Some(why) = session.trouble() {
        return Err(why);
    }
    let (members, is_protected) = listed?;
    let state = api.document("/nacos/v1/console/server/state").await.ok().flatten();
    let service = api.document("/nacos/v1/ns/service").await.ok().flatten();
    Ok(Inspection {
        version: state.and_then(|state| state["version"].as_str().map(str::to_owned)),
        threshold: service.and_then(|service| service["protectThreshold"].as_f64()),
        members: members.iter().filter(|instance| instance.member().is_some()).count(),
        is_protected,
    })
}
