//! `POST /admin/members/{id}/cut`: cuts a member off from another one for a while. For tests of a cluster, so only the
//! demo and `--dev` do it.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use ringway_core::MemberId;
use serde::Deserialize;

use super::actions::Done;
use super::members::unknown;
use super::{Admin, AdminError};
use crate::orchestrator::cut::Cut;

/// Longest cut. A member that is to be away for longer can be frozen.
const LONGEST: Duration = Duration::from_secs(600);

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    from: String,
    seconds: f64,
    #[serde(default)]
    one_way: bool,
}

pub(super) async fn cut(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Done>, AdminError> {
    let Some(links) = &admin.cuts else {
        return Err(AdminError::conflict(
            "links are cut on purpose only in `ringway demo` and with --dev: this process serves in earnest",
        ));
    };
    let asked: Asked = serde_json::from_slice(&body).map_err(|why| {
        AdminError::bad_request(format!(
            "the body cannot be read: {why}. Send {{\"from\":\"node-2\",\"seconds\":3,\"one_way\":false}}"
        ))
    })?;
    let id = admin.in_view(&id)?;
    let cut = Cut { from: admin.in_view(&asked.from)?, one_way: asked.one_way, duration: length(asked.seconds)? };
    if cut.from == id {
        return Err(AdminError::bad_request(format!(
            "{id} cannot be cut off from itself: name another member in `from`"
        )));
    }
    match &admin.orchestrator {
        _ if admin.cluster.state().me.id == id => cut.apply(links),
        Some(orchestrator) if orchestrator.units().contains_key(&id) => orchestrator.cut(&id, cut).await?,
        _ => {
            return Err(AdminError::conflict(format!(
                "{id} was not started by this process and does not take such orders; cut it off at the other end, if that is one of ours"
            )));
        }
    }
    Ok(Json(Done { action: "cut", member: admin.member_or_unknown(&id)?, change: None }))
}

fn length(seconds: f64) -> Result<Duration, AdminError> {
    let length = Duration::try_from_secs_f64(seconds).ok();
    length.filter(|length| !length.is_zero() && *length <= LONGEST).ok_or_else(|| {
        AdminError::bad_request(format!("`seconds` is {seconds}: it must be above 0 and at most {}", LONGEST.as_secs()))
    })
}

impl Admin {
    /// The id of a member that is in the newest view.
    fn in_view(&self, id: &str) -> Result<MemberId, AdminError> {
        let id = MemberId::new(id).map_err(|_| unknown(id))?;
        self.cluster.state().view.incarnation_of(&id).map(|_| id.clone()).ok_or_else(|| unknown(id.as_str()))
    }
}
