//! Calls that need several answers: a broadcast, and what all members say of themselves.

use ringway_core::gateway::{PublishError, QueryError};
use ringway_core::message::{Answer, NodeInfo, Query};
use ringway_core::timing::Now;
use ringway_core::{Incarnation, Position};
use ringway_protocol::api::ApiError;

use super::asked::{Asked, Waiting};
use super::call::{ApiAnswer, ApiPublish, MemberInfo, ReplyTo};
use super::command::Named;
use super::{Hub, Socket};

/// A call that waits for parts.
#[derive(Debug)]
pub(super) struct Gathering {
    reply: ReplyTo,
    /// Parts that are missing, and one more while they are still being asked for.
    missing: usize,
    found: Found,
}

#[derive(Debug)]
enum Found {
    Broadcast(Vec<Result<Option<Position>, ApiError>>),
    Info(Vec<MemberInfo>),
}

impl<S: Socket> Hub<S> {
    pub(super) fn call_broadcast(&mut self, now: Now, reply: ReplyTo, channels: Vec<Named>, publish: &ApiPublish) {
        if channels.is_empty() || channels.len() > self.config.limits.broadcast {
            return self.asked.answer(reply, ApiAnswer::Failed(ApiError::BadRequest));
        }
        let results = channels.iter().map(|_| Err(ApiError::Internal)).collect();
        let gathering = self.asked.begin(reply, Found::Broadcast(results));
        for (part, channel) in channels.into_iter().enumerate() {
            self.asked.expect_part(gathering);
            match self.known(channel) {
                Ok(channel) => {
                    self.publish_call(now, Waiting::Part(gathering, part), channel, publish);
                }
                Err(error) => self.asked.on_part(gathering, |found| found.set_published(part, Err(error))),
            }
        }
        self.asked.on_part(gathering, |_| {});
    }

    pub(super) fn gather_info(&mut self, now: Now, reply: ReplyTo) {
        let view = self.rules.view().clone();
        let mut members: Vec<MemberInfo> = Vec::new();
        let nodes = view.nodes.iter().map(|node| (&node.id, node.incarnation));
        let gateways = view.gateways.iter().map(|gateway| (&gateway.id, gateway.incarnation));
        for (id, incarnation) in nodes.chain(gateways) {
            if members.iter().all(|known| known.incarnation != incarnation) {
                let sockets = self.sockets_of(incarnation);
                members.push(MemberInfo { id: id.clone(), incarnation, sockets, node: NodeInfo::default() });
            }
        }
        let asked: Vec<(usize, Incarnation)> = members.iter().map(|member| member.incarnation).enumerate().collect();
        let gathering = self.asked.begin(reply, Found::Info(members));
        for (part, node) in asked.into_iter().filter(|(_, member)| view.node(*member).is_some()) {
            self.ask_node(now, gathering, part, node, Query::Info);
        }
        self.asked.on_part(gathering, |_| {});
    }

    fn sockets_of(&self, member: Incarnation) -> u64 {
        if member == self.rules.incarnation() { self.roster.len() as u64 } else { self.rules.load(member).sockets }
    }

    fn ask_node(&mut self, now: Now, gathering: usize, part: usize, node: Incarnation, query: Query) {
        self.asked.expect_part(gathering);
        let token = self.asked.wait(Waiting::Part(gathering, part));
        if let Err(error) = self.rules.query_node(now, token, node, query) {
            self.on_answered(now, token, Err(error));
        }
    }

    pub(super) fn on_part_published(
        &mut self,
        gathering: usize,
        part: usize,
        result: Result<Option<Position>, PublishError>,
    ) {
        let result = result.map_err(|_| ApiError::Internal);
        self.asked.on_part(gathering, |found| found.set_published(part, result));
    }

    pub(super) fn on_part_answered(&mut self, gathering: usize, part: usize, result: Result<Answer, QueryError>) {
        self.asked.on_part(gathering, |found| {
            // A member that does not answer is listed with zeros.
            if let (Found::Info(members), Ok(Answer::Info(info))) = (found, result) {
                members[part].node = info;
            }
        });
    }
}

impl Asked {
    fn begin(&mut self, reply: ReplyTo, found: Found) -> usize {
        self.gatherings.insert(Gathering { reply, missing: 1, found })
    }

    fn expect_part(&mut self, gathering: usize) {
        if let Some(gathering) = self.gatherings.get_mut(gathering) {
            gathering.missing += 1;
        }
    }

    /// Takes a part in; the last one ends the call.
    fn on_part(&mut self, key: usize, take: impl FnOnce(&mut Found)) {
        let Some(gathering) = self.gatherings.get_mut(key) else { return };
        take(&mut gathering.found);
        gathering.missing -= 1;
        if gathering.missing == 0 {
            let Gathering { reply, found, .. } = self.gatherings.remove(key);
            self.answer(reply, found.into_answer());
        }
    }
}

impl Found {
    fn set_published(&mut self, part: usize, result: Result<Option<Position>, ApiError>) {
        if let Self::Broadcast(results) = self {
            results[part] = result;
        }
    }

    fn into_answer(self) -> ApiAnswer {
        match self {
            Self::Broadcast(results) => ApiAnswer::Broadcast(results),
            Self::Info(members) => ApiAnswer::Info(members),
        }
    }
}
