//! The part of a change's body that says what becomes of the clients whose owner moves.

use axum::body::Bytes;
use serde::Deserialize;

use super::error::read;
use super::members::Member;
use super::{Admin, AdminError};
use crate::config::duration;
use crate::rebalance::{LONGEST_WINDOW, Mode, Rebalance};

/// What is asked for; what is left out is as the config says.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    pub(super) mode: Option<Mode>,
    pub(super) window: Option<String>,
}

impl Wish {
    /// Reads a body, which may be empty.
    pub(super) fn read(body: &Bytes) -> Result<Self, AdminError> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        read(body, r#"none, or {"mode":"reset","window":"5s"}"#)
    }

    /// Nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What this comes to where the config says `usual`.
    pub(super) fn over(&self, usual: Rebalance) -> Result<Rebalance, AdminError> {
        let mode = self.mode.unwrap_or(usual.mode);
        let Some(text) = &self.window else { return Ok(Rebalance { mode, ..usual }) };
        if mode == Mode::Migrate {
            let why =
                "`window` goes with the modes \"reset\" and \"reset-all\": with \"migrate\" nobody has to connect anew";
            return Err(AdminError::bad_request(why));
        }
        let window = duration(text).filter(|window| *window <= LONGEST_WINDOW).ok_or_else(|| {
            AdminError::bad_request(format!(
                "`window` is {text:?}: it must be a time such as \"500ms\", \"5s\" or \"1m\", and at most {}m",
                LONGEST_WINDOW.as_secs() / 60
            ))
        })?;
        Ok(Rebalance { mode, window })
    }
}

impl Admin {
    /// What becomes of clients with an action on a node; `None`: as usual.
    pub(super) fn rebalance(&self, wish: &Wish) -> Result<Option<Rebalance>, AdminError> {
        match &self.changes {
            _ if wish.is_empty() => Ok(None),
            Some(changes) => wish.over(changes.usual_rebalance()).map(Some),
            None => Err(AdminError::conflict(
                "`mode` and `window` are for the cluster's first gateway, which is linked with all others: ask there",
            )),
        }
    }

    /// The same for an action that people may name, on any member.
    pub(super) fn rebalance_with(
        &self,
        wish: &Wish,
        action: &str,
        member: &Member,
    ) -> Result<Option<Rebalance>, AdminError> {
        if !wish.is_empty() && !["start", "stop", "kill"].contains(&action) {
            return Err(AdminError::bad_request(format!(
                "`mode` and `window` do not go with {action}, which by itself moves no slot. They go with start, stop, kill and weight, and with adding a node"
            )));
        }
        if !wish.is_empty() && !member.roles.contains(&"node") {
            let why = "`mode` and `window` are for nodes: a gateway owns no slots, so nobody's owner changes with it";
            return Err(AdminError::conflict(why));
        }
        self.rebalance(wish)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(body: &'static str) -> Result<Rebalance, AdminError> {
        Wish::read(&Bytes::from_static(body.as_bytes()))?.over(Rebalance::default())
    }

    #[test]
    fn what_is_left_out_is_as_the_config_says() {
        let usual = Rebalance { mode: Mode::Reset, window: Duration::from_secs(7) };
        let over = |body: &'static str| Wish::read(&Bytes::from_static(body.as_bytes())).unwrap().over(usual).unwrap();
        for body in ["", " \n", "{}", r#"{"mode":"reset"}"#] {
            assert_eq!(over(body), usual, "{body:?}");
        }
        assert_eq!(over(r#"{"mode":"reset-all"}"#), Rebalance { mode: Mode::ResetAll, ..usual });
        assert_eq!(over(r#"{"window":"0s"}"#), Rebalance { window: Duration::ZERO, ..usual });
        assert_eq!(over(r#"{"mode":"migrate"}"#).mode, Mode::Migrate);
        assert_eq!(read(r#"{"mode":"reset","window":"10m"}"#).unwrap().window, LONGEST_WINDOW);
    }

    #[test]
    fn other_bodies_are_refused() {
        for body in [
            "x",
            "[]",
            r#"{"mode":"rest"}"#,
            r#"{"mode":3}"#,
            r#"{"modus":"reset"}"#,
            r#"{"window":"5s"}"#,
            r#"{"mode":"migrate","window":"5s"}"#,
            r#"{"mode":"reset","window":5}"#,
            r#"{"mode":"reset","window":"5"}"#,
            r#"{"mode":"reset","window":"-5s"}"#,
            r#"{"mode":"reset","window":"601s"}"#,
        ] {
            assert!(read(body).is_err(), "{body}");
        }
    }
}
