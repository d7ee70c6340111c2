//! A claim goes in parts, and counts only when all of it is answered.

use super::*;
use crate::message::ClaimedSlot;

const ME: Incarnation = Incarnation(1);
const OTHER: Incarnation = Incarnation(2);

/// A node that has just become owner of about half of as many slots as there can be, and another that holds them.
struct Claims {
    node: Node,
    slots: Vec<Slot>,
    asked: Vec<Vec<Slot>>,
}

impl Claims {
    fn new() -> Self {
        let born = View::born(HashKey::from_bytes([3; 16]), SlotCount::DEFAULT);
        let view = Arc::new([1, 2].into_iter().fold(born, |view, n| view.with_node(node_entry(n))).activated());
        let limits = NodeLimits::default();
        let mut node = Node::new(Duration::ZERO, ME, view.clone(), Timing::default(), limits, 1);
        node.set_lease(Duration::ZERO, Lease::Forever);
        node.on_link_up(Duration::ZERO, OTHER);
        node.on_view(Duration::ZERO, &view);
        let placement = node.placement.clone().unwrap();
        let slots = view.slots.slots().filter(|slot| placement.owner(*slot) == Some(ME)).collect();
        let mut claims = Self { node, slots, asked: Vec::new() };
        claims.collect();
        claims
    }

    fn collect(&mut self) {
        for outgoing in self.node.drain_frames() {
            if let Message::Claim(slots) = outgoing.frame.message {
                self.asked.push(slots);
            }
        }
    }

    /// The other node says that it holds these slots, marked.
    fn answer(&mut self, slots: &[Slot]) {
        let claimed = |slot: &Slot| ClaimedSlot { slot: *slot, mark: true, term: Epoch(1), index: 7 };
        let epoch = self.node.view().epoch;
        let message = Message::Claimed(slots.iter().map(claimed).collect());
        self.node.on_message(Duration::ZERO, OTHER, epoch, message);
        self.collect();
    }

    /// Slots that were decided on.
    fn decided(&self) -> usize {
        let open = self.slots.iter().filter(|slot| matches!(self.node.slots[slot.index()].phase, Phase::Claiming));
        self.slots.len() - open.count()
    }
}

#[test]
fn a_claim_counts_when_all_of_its_parts_are_answered() {
    let mut claims = Claims::new();
    let most = crate::limits::CLAIM_BATCH;
    let mut answered = 0;
    assert!(claims.slots.len() > most * 6, "{} slots", claims.slots.len());
    while answered < claims.asked.len() {
        assert!(claims.asked.len() <= answered + crate::limits::CLAIMS_UNDER_WAY, "a few at a time");
        assert_eq!(claims.decided(), 0, "half a claim says nothing of the rest");
        let batch = claims.asked[answered].clone();
        assert!(batch.len() <= most);
        claims.answer(&batch);
        answered += 1;
    }
    assert_eq!(claims.asked.concat(), claims.slots, "each slot once");
    assert_eq!(claims.decided(), claims.slots.len());
    let fetching = |slot: &&Slot| matches!(claims.node.slots[slot.index()].phase, Phase::Fetching(OTHER));
    assert_eq!(claims.slots.iter().filter(fetching).count(), claims.slots.len(), "nothing begins anew");
}

#[test]
fn what_answers_another_part_or_half_of_one_is_not_taken() {
    let mut claims = Claims::new();
    let (first, second) = (claims.asked[0].clone(), claims.asked[1].clone());
    claims.answer(&first[1..]);
    claims.answer(&second);
    claims.answer(&[]);
    claims.answer(&first);
    claims.answer(&first);
    // The link is made anew: what was not answered is asked for again, and an answer that is late changes nothing.
    claims.asked.clear();
    claims.node.on_link_up(Duration::ZERO, OTHER);
    claims.collect();
    assert_eq!(claims.asked[0], second);
    claims.answer(&second);
    claims.answer(&second);
    let mut answered = 1;
    while answered < claims.asked.len() {
        assert_eq!(claims.decided(), 0);
        let batch = claims.asked[answered].clone();
        claims.answer(&batch);
        answered += 1;
    }
    assert_eq!(claims.decided(), claims.slots.len());
}

#[test]
fn an_answer_has_less_than_a_part_and_is_never_half_of_one() {
    let mut claims = Claims::new();
    let epoch = claims.node.view().epoch;
    let mut answer = |slots: Vec<Slot>| {
        claims.node.on_message(Duration::ZERO, OTHER, epoch, Message::Claim(slots));
        let frames: Vec<Outgoing> = claims.node.drain_frames().collect();
        frames.into_iter().find_map(|outgoing| match outgoing.frame.message {
            Message::Claimed(held) => Some(held.len()),
            _ => None,
        })
    };
    let slots = |count: usize| (0..count as u32).map(Slot).collect::<Vec<_>>();
    assert_eq!(answer(slots(crate::limits::CLAIM_BATCH)), Some(crate::limits::CLAIM_BATCH));
    assert_eq!(answer(slots(crate::limits::CLAIM_BATCH + 1)), None);
    assert_eq!(answer(vec![Slot(0), Slot(1 << 20)]), None);
}
