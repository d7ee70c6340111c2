//! `POST /admin/members/{id}/cut`: cuts a member off from another one for a while; `…/slow`: makes what another one sends
//! arrive there later, or at a pace. For tests of a cluster, so only the demo and `--dev` do it.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use ringway_core::MemberId;
use ringway_link::{Links, Slow};
use serde::Deserialize;

use super::actions::Done;
use super::error::read;
use super::members::unknown;
use super::{Admin, AdminError};
use crate::orchestrator::cut::{Cut, LinkFault, Slowing};

/// Longest cut. A member that is to be away for longer can be frozen.
const LONGEST: Duration = Duration::from_secs(600);

/// Longest delay: a link on which everything takes longer is as good as cut.
const LATEST_MS: u64 = 10_000;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    from: String,
    seconds: f64,
    #[serde(default)]
    one_way: bool,
}

/// What is asked for: late, at a pace, or both.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedSlow {
    from: String,
    seconds: f64,
    #[serde(default)]
    delay_ms: u64,
    bytes_per_second: Option<u64>,
}

pub(super) async fn cut(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Done>, AdminError> {
    let links = admin.testable()?;
    let asked: Asked = read(&body, r#"{"from":"node-2","seconds":3,"one_way":false}"#)?;
    let (id, from) = admin.two(&id, &asked.from)?;
    let cut = Cut { from, one_way: asked.one_way, duration: length(asked.seconds)? };
    admin.disturb(links, &id, LinkFault::Cut(cut)).await?;
    Ok(Json(Done { action: "cut", member: admin.member_or_unknown(&id)?, change: None }))
}

pub(super) async fn slow(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Done>, AdminError> {
    let links = admin.testable()?;
    let asked: AskedSlow = read(&body, r#"{"from":"node-2","seconds":3,"delay_ms":250,"bytes_per_second":1000000}"#)?;
    let (id, from) = admin.two(&id, &asked.from)?;
    let AskedSlow { delay_ms, bytes_per_second, .. } = asked;
    if delay_ms > LATEST_MS {
        return Err(AdminError::bad_request(format!("`delay_ms` is {delay_ms}: it must be at most {LATEST_MS}")));
    }
    let slow = Slow { delay: Duration::from_millis(delay_ms), bytes_per_second };
    admin.disturb(links, &id, LinkFault::Slow(Slowing { from, slow, duration: length(asked.seconds)? })).await?;
    Ok(Json(Done { action: "slow", member: admin.member_or_unknown(&id)?, change: None }))
}

fn length(seconds: f64) -> Result<Duration, AdminError> {
    let length = Duration::try_from_secs_f64(seconds).ok();
    length.filter(|length| !length.is_zero() && *length <= LONGEST).ok_or_else(|| {
        AdminError::bad_request(format!("`seconds` is {seconds}: it must be above 0 and at most {}", LONGEST.as_secs()))
    })
}

impl Admin {
    fn testable(&self) -> Result<&Links, AdminError> {
        self.cuts.as_ref().ok_or_else(|| {
            AdminError::conflict(
                "links are cut or slowed on purpose only in `ringway demo` and with --dev: this process serves in earnest",
            )
        })
    }

    /// The member that it is done to, and the other one.
    fn two(&self, id: &str, from: &str) -> Result<(MemberId, MemberId), AdminError> {
        let (id, from) = (self.in_view(id)?, self.in_view(from)?);
        if from == id {
            let why = format!("{id} has no link with itself: name another member in `from`");
            return Err(AdminError::bad_request(why));
        }
        Ok((id, from))
    }

    /// Does it here, or has the process do it that was started here.
    async fn disturb(&self, links: &Links, id: &MemberId, fault: LinkFault) -> Result<(), AdminError> {
        match &self.orchestrator {
            _ if self.cluster.state().me.id == *id => fault.apply(links),
            Some(orchestrator) if orchestrator.units().contains_key(id) => orchestrator.disturb(id, fault).await?,
            _ => {
                return Err(AdminError::conflict(format!(
                    "{id} was not started by this process and does not take such orders; do it at the other end, if that is one of ours"
                )));
            }
        }
        Ok(())
    }

    /// The id of a member that is in the newest view.
    fn in_view(&self, id: &str) -> Result<MemberId, AdminError> {
        let id = MemberId::new(id).map_err(|_| unknown(id))?;
        self.cluster.state().view.incarnation_of(&id).map(|_| id.clone()).ok_or_else(|| unknown(id.as_str()))
    }
}
