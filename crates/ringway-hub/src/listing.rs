//! Calls for lists: who is in a channel, and which channels there are. Each is answered with one page and where the next one
//! begins, so that a gateway holds no more of a list than whoever asked for it takes.

use ringway_core::gateway::QueryError;
use ringway_core::message::{Answer, ChannelsQuery, PresenceQuery, Query};
use ringway_core::timing::Now;
use ringway_core::{ChannelName, Incarnation};
use ringway_protocol::api::ApiError;

use super::asked::Waiting;
use super::backend::failed;
use super::call::{ApiAnswer, ChannelsPlace, ReplyTo};
use super::command::Named;
use super::{Hub, Socket};

impl<S: Socket> Hub<S> {
    pub(super) fn call_presence(
        &mut self,
        now: Now,
        reply: ReplyTo,
        channel: Named,
        query: impl FnOnce(ChannelName) -> Query,
    ) {
        let channel = self.known(channel).and_then(|channel| {
            let has_presence = self.config.channel(&channel).is_ok_and(|config| config.presence);
            if has_presence { Ok(channel) } else { Err(ApiError::NotAvailable) }
        });
        match channel {
            Ok(channel) => self.ask(now, Waiting::Call(reply), query(channel)),
            Err(error) => self.asked.answer(reply, ApiAnswer::Failed(error)),
        }
    }

    /// The first page.
    pub(super) fn first_presence(channel: ChannelName) -> Query {
        Query::Presence(PresenceQuery::of(channel))
    }

    /// Asks the node whose turn it is for its next channels.
    pub(super) fn call_channels(&mut self, now: Now, reply: ReplyTo, place: Option<ChannelsPlace>) {
        let view = self.rules.view();
        let first = || view.nodes.first().map(|node| node.incarnation);
        let place = place.or_else(|| Some(ChannelsPlace { epoch: view.epoch, node: first()?, after: None }));
        let Some(place) = place else { return self.asked.answer(reply, ApiAnswer::Channels(Vec::new(), None)) };
        if place.epoch != view.epoch {
            return self.asked.answer(reply, ApiAnswer::Failed(ApiError::UnrecoverablePosition));
        }
        let (node, after) = (place.node, place.after.clone());
        let query = Query::Channels(Box::new(ChannelsQuery { epoch: place.epoch, after }));
        let token = self.asked.wait(Waiting::Channels(reply, place));
        if let Err(error) = self.rules.query_node(now, token, node, query) {
            self.on_answered(now, token, Err(error));
        }
    }

    pub(super) fn on_channels(&mut self, reply: ReplyTo, place: &ChannelsPlace, result: Result<Answer, QueryError>) {
        let page = match result {
            Ok(Answer::Channels(page)) => page,
            Ok(_) => return self.asked.answer(reply, ApiAnswer::Failed(ApiError::Internal)),
            Err(error) => return self.asked.answer(reply, failed(error)),
        };
        let last = page.channels.last().filter(|_| page.more).map(|(name, _)| (name.clone(), page.census));
        let next = match last {
            Some(last) => Some(ChannelsPlace { after: Some(last), ..*place }),
            None => self.node_after(place).map(|node| ChannelsPlace { node, after: None, ..*place }),
        };
        self.asked.answer(reply, ApiAnswer::Channels(page.channels, next));
    }

    /// Whose turn it is next; `None`: that was the last. In another view nobody is taken for the last: the next page is refused there.
    fn node_after(&self, place: &ChannelsPlace) -> Option<Incarnation> {
        let view = self.rules.view();
        if view.epoch != place.epoch {
            return Some(place.node);
        }
        let mut nodes = view.nodes.iter().map(|node| node.incarnation).skip_while(|node| *node != place.node);
        nodes.nth(1)
    }
}
