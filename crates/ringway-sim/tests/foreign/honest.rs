//! What a member answers that does as it should: just enough for the rules to get on.

use ringway_core::message::{Attached, ClaimedSlot, Frame, Have, Message, PubOk, SlotState, SlotSync, StateKind};
use ringway_core::message::{Durability, Standing};
use ringway_core::{Epoch, Slot};

/// The answer to a frame, if there is one to it.
pub(super) fn answer(frame: &Frame) -> Option<Frame> {
    let epoch = frame.epoch;
    let message = match &frame.message {
        Message::Claim(slots) => Message::Claimed(slots.iter().map(|slot| holds_nothing(*slot)).collect()),
        Message::State(state) => Message::Have(vec![taken(state)?]),
        Message::Syncs(syncs) => Message::Have(syncs.iter().filter_map(|sync| taken(&(*sync).into())).collect()),
        Message::Fetch(slots) => Message::State(Box::new(empty(slots.first().copied()?, epoch))),
        Message::Attach(attaches) => {
            let attach = attaches.first()?.attach;
            Message::Attached(Attached { attach, stream: None, from: 0, users: 1 })
        }
        Message::Publish(publish) => Message::PubOk(PubOk {
            slot: publish.slot,
            seq: publish.seq,
            position: None,
            copies: 0,
            durability: Durability::Memory,
        }),
        _ => return None,
    };
    Some(Frame { epoch, message })
}

fn holds_nothing(slot: Slot) -> ClaimedSlot {
    ClaimedSlot { slot, mark: false, term: Epoch(0), index: 0 }
}

/// Everything is taken as it comes, and the mark with it.
fn taken(state: &SlotState) -> Option<Have> {
    let StateKind::Sync(sync) = state.kind else { return None };
    Some(Have { slot: state.slot, term: state.term, sync, index: state.index, mark: true })
}

fn empty(slot: Slot, epoch: Epoch) -> SlotState {
    let sync = SlotSync { slot, term: epoch, number: 0, index: 0, base: None, standing: Standing::default() };
    SlotState { kind: StateKind::Fetched, ..sync.into() }
}
