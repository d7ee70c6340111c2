//! Calls that need several answers: a broadcast, and what all members say of themselves.

use ringway_core::gateway::{PublishError, QueryError};
use ringway_core::message::{Answer, NodeInfo, Query};
use ringway_core::timing::Now;
use ringway_core::{Incarnation, Position};
use ringway_protocol::api::ApiError;

use super::asked::Waiting;
use super::call::{ApiAnswer, ApiPublish, MemberInfo, ReplyTo};
use super::command::Named;
use super::gathering::Found;
use super::{Hub, Socket};

impl<S: Socket> Hub<S> {
    pub(super) fn call_broadcast(&mut self, now: Now, reply: ReplyTo, channels: Vec<Named>, publish: &ApiPublish) {
        if channels.is_empty() || channels.len() > self.config.limits.broadcast {
            return self.asked.answer(reply, ApiAnswer::Failed(ApiError::BadRequest));
        }
        let results = channels.iter().map(|_| Err(ApiError::Internal)).collect();
        let gathering = self.asked.gatherings.begin(reply, Found::Broadcast(results));
        for (part, channel) in channels.into_iter().enumerate() {
            self.asked.gatherings.expect_part(gathering);
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
        let gathering = self.asked.gatherings.begin(reply, Found::Info(members));
        for (part, node) in asked.into_iter().filter(|(_, member)| view.node(*member).is_some()) {
            self.ask_node(now, gathering, part, node, Query::Info);
        }
        self.asked.on_part(gathering, |_| {});
    }

    fn sockets_of(&self, member: Incarnation) -> u64 {
        if member == self.rules.incarnation() { self.roster.len() as u64 } else { self.rules.load(member).sockets }
    }

    fn ask_node(&mut self, now: Now, gathering: usize, part: usize, node: Incarnation, query: Query) {
        self.asked.gatherings.expect_part(gathering);
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
