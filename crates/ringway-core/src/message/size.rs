//! How much a frame holds, for the limits of queues it waits in. Said without encoding it.

use super::{FRAME_OVERHEAD, Frame, Message, Query, RegistryOp};
use crate::id::{Epoch, Slot};
use crate::logbook::{LogOp, LogSaid};
use crate::registry::store::{Said, StoreOp};
use crate::view::View;

impl Frame {
    /// About the bytes that it takes, in memory and on a link: what counts in a lane where it counts in one, and not less than its lists and payloads.
    pub fn size(&self) -> usize {
        match self.message.weight() {
            Some((_, weight)) => weight,
            None => FRAME_OVERHEAD + self.message.uncounted(),
        }
    }
}

impl Message {
    /// Bytes of lists and payloads in what no lane counts.
    fn uncounted(&self) -> usize {
        let pairs = |list: &[(Slot, Epoch)]| size_of_val(list);
        match self {
            Self::Publish(publish) => {
                let key = publish.idempotency_key.as_ref().map_or(0, |key| key.len());
                publish.entry.size() + publish.channel.as_str().len() + key
            }
            Self::Moved(view) => size_of_view(view),
            Self::RegistryRequest(request) => match &request.op {
                RegistryOp::Cas(view) => size_of_view(view),
                _ => 0,
            },
            Self::RegistryAnswer(answer) => size_of_view(&answer.view) + size_of_val(&*answer.lapsed),
            Self::StoreRequest(request) => match &request.op {
                StoreOp::WriteView { view, .. } => size_of_view(view),
                _ => 0,
            },
            Self::StoreAnswer(answer) => match &answer.said {
                Said::View(Some(stored)) => size_of_view(&stored.view),
                Said::Leases(leases) => size_of_val(&**leases),
                _ => 0,
            },
            Self::LogRequest(request) => match &request.op {
                LogOp::Append { record, .. } => record.size(),
                _ => 0,
            },
            Self::LogAnswer(answer) => match &answer.said {
                LogSaid::Last(Some(last)) => last.record.size(),
                LogSaid::Records(records, _) => records.iter().map(|logged| logged.record.size()).sum(),
                LogSaid::Slots(slots) => slots.bits.len(),
                _ => 0,
            },
            Self::Reset(reset) => reset.slots.as_ref().map_or(0, |_| size_of::<Slot>() * 2_048),
            Self::Toll(toll) => size_of_val(&*toll.pauses.buckets),
            Self::KeptOut(why) => why.len(),
            Self::Keeping(keeping) => keeping.kinds.iter().map(|(kind, _)| FRAME_OVERHEAD + kind.len()).sum(),
            Self::Delivered(all) => all.iter().map(|(.., name, _)| FRAME_OVERHEAD + name.as_str().len()).sum(),
            Self::Query(_, Query::Post(post)) => post.data.len(),
            Self::Query(_, Query::Order(order)) | Self::Order(_, order) => order.size(),
            Self::Claim(slots) | Self::Fetch(slots) => size_of_val(&**slots),
            Self::Claimed(slots) => size_of_val(&**slots),
            Self::Have(slots) => size_of_val(&**slots),
            Self::Mark(slots) | Self::Release(slots) | Self::Released(slots) => pairs(slots),
            // Some numbers, or what counts in a lane.
            Self::Ping(_)
            | Self::ResetCount(_)
            | Self::PubOk(_)
            | Self::PubNo(_)
            | Self::Attach(_)
            | Self::Attached(_)
            | Self::AttachRefused(..)
            | Self::Deliver(_)
            | Self::AttachesDone(_)
            | Self::Detach(_)
            | Self::Detached(_)
            | Self::Sessions(_)
            | Self::Query(..)
            | Self::Answer(..)
            | Self::Obeyed(_)
            | Self::Post(..)
            | Self::Posted(..)
            | Self::State(_)
            | Self::Syncs(_)
            | Self::Rep(_)
            | Self::Settled(_)
            | Self::Taken(..) => 0,
        }
    }
}

/// A member's entry is a line of text and some numbers.
fn size_of_view(view: &View) -> usize {
    FRAME_OVERHEAD * (1 + 2 * (view.nodes.len() + view.gateways.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Answer, Load};

    #[test]
    fn what_no_lane_counts_has_a_size_too() {
        let size = |message| Frame { epoch: Epoch(1), message }.size();
        assert_eq!(size(Message::Ping(Load::default())), FRAME_OVERHEAD);
        let released = Message::Released(vec![(Slot(1), Epoch(1)); 1_000]);
        assert!((FRAME_OVERHEAD + 12_000..20_000).contains(&size(released)));
        let answer = Message::Answer(1, Answer::Obeyed);
        assert_eq!(Some(size(answer.clone())), answer.weight().map(|(_, weight)| weight));
    }
}
