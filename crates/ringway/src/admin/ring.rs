//! `GET /admin/ring`: which node owns a name, and which one stands by.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use ringway_core::{ChannelName, MemberId, UserName};
use serde::{Deserialize, Serialize};

use super::{Admin, AdminError};

/// What is asked for: exactly one of the two.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// A channel's full name.
    key: Option<String>,
    /// A user, for the personal channel.
    user: Option<String>,
}

/// Where a name belongs.
#[derive(Debug, Serialize)]
pub(super) struct Place {
    key: String,
    slot: u32,
    /// Null while no node serves.
    owner: Option<String>,
    /// Null while fewer than two nodes serve.
    standby: Option<String>,
    epoch: u64,
}

pub(super) async fn look_up(
    State(admin): State<Admin>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Place>, AdminError> {
    let Query(asked) = asked.map_err(|why| {
        AdminError::bad_request(format!(
            "the query cannot be read: {}; ask with ?key=CHANNEL or ?user=NAME",
            why.body_text()
        ))
    })?;
    let key = asked.channel()?;
    let state = admin.cluster.state();
    let table = state.placement.table();
    let slot = table.slot_of(key.as_str());
    let name = |index| -> MemberId { table.node(index).clone() };
    Ok(Json(Place {
        key: key.to_string(),
        slot: slot.0,
        owner: table.owner(slot).map(name).map(|id| id.to_string()),
        standby: table.standby(slot).map(name).map(|id| id.to_string()),
        epoch: state.view.epoch.0,
    }))
}

impl Asked {
    fn channel(&self) -> Result<ChannelName, AdminError> {
        let wrong = |what: &str, why| AdminError::bad_request(format!("this cannot be the name of a {what}: {why}"));
        match (&self.key, &self.user) {
            (Some(key), None) => ChannelName::new(key).map_err(|why| wrong("channel", why)),
            (None, Some(user)) => {
                UserName::new(user).map(|user| ChannelName::personal(&user)).map_err(|why| wrong("user", why))
            }
            _ => Err(AdminError::bad_request(
                "ask for one name: ?key=CHANNEL, or ?user=NAME for a user's personal channel",
            )),
        }
    }
}
