//! The keeper says how channels are kept, and gateways do not join before the host has.

use super::*;

/// A gateway with a word of its own.
#[derive(Debug)]
struct Keeper {
    gateway: Gateway,
    keeping: Arc<Keeping>,
}

impl Front for Keeper {
    fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    fn gateway_mut(&mut self) -> &mut Gateway {
        &mut self.gateway
    }

    fn take_events(&mut self, _now: Now) {}

    fn complete(&mut self, _attaches: &mut [Attach]) {}

    fn pass(&mut self, _now: Now) {}

    fn keeping(&self) -> Option<Arc<Keeping>> {
        Some(self.keeping.clone())
    }

    fn keep(&mut self, _now: Now, keeping: &Arc<Keeping>) {
        self.keeping = keeping.clone();
    }
}

const NOW: Now = Duration::from_secs(100);

fn word(history_size: u32) -> Arc<Keeping> {
    Arc::new(Keeping { kinds: vec![("".into(), ChannelOptions { history_size, ..KEPT })] })
}

fn born() -> Arc<View> {
    Arc::new(View::born(HashKey::from_bytes([7; 16]), SlotCount::MIN))
}

fn member(me: Incarnation, seat: Seat) -> Member<Keeper> {
    let (timing, view) = (Timing::default(), born());
    let gateway = Gateway::new(me, view.clone(), timing, GatewayLimits::default());
    let life = Life { node: None, ..identity(me) };
    let front = Keeper { gateway, keeping: word(me.0 as u32) };
    Member::new(NOW, life, &view, timing, seat).with(NOW, None, Some(front))
}

/// Whom it has told how channels are kept, since the last time.
fn told(member: &mut Member<Keeper>) -> Vec<(Incarnation, Arc<Keeping>)> {
    member.turn(NOW);
    let mut frames = Vec::new();
    member.swap_frames(&mut frames);
    let of =
        |out: Outgoing| if let Message::Keeping(keeping) = out.frame.message { Some((out.to, keeping)) } else { None };
    frames.into_iter().filter_map(of).collect()
}

fn hear(member: &mut Member<Keeper>, from: Incarnation, keeping: Arc<Keeping>) {
    member.on_frame(NOW, from, Frame { epoch: Epoch(0), message: Message::Keeping(keeping) });
}

fn asks(member: &mut Member<Keeper>) -> bool {
    member.tick_membership(NOW + Timing::default().renew());
    member.turn(NOW);
    std::iter::from_fn(|| member.next_action()).any(|action| matches!(action, Action::Request(_)))
}

#[test]
fn the_host_says_it_first_of_all_on_every_link() {
    let (host, other) = (Incarnation(1), Incarnation(2));
    let mut member = member(host, Seat::Here);
    member.on_link_up(NOW, other);
    assert_eq!(told(&mut member), [(other, word(1))]);
    member.on_link_down(NOW, other);
    member.on_link_up(NOW, other);
    assert_eq!(told(&mut member), [(other, word(1))]);
}

#[test]
fn a_gateway_joins_once_the_host_has_said_it() {
    let (host, me, stranger) = (Incarnation(1), Incarnation(2), Incarnation(3));
    let mut member = member(me, Seat::Host(None));
    member.set_host(NOW, host);
    member.on_link_up(NOW, host);
    member.on_link_up(NOW, stranger);
    assert_eq!(told(&mut member), [], "it is not the keeper");
    hear(&mut member, stranger, word(9));
    let disorder = Keeping { kinds: vec![("b".into(), KEPT), ("a".into(), KEPT)] };
    hear(&mut member, host, Arc::new(disorder));
    assert_eq!((asks(&mut member), member.front().unwrap().keeping.clone()), (false, word(2)));
    hear(&mut member, host, word(1));
    assert_eq!((asks(&mut member), member.front().unwrap().keeping.clone()), (true, word(1)));
}

/// With a registry outside the first gateway of the view says it, and whoever takes its place goes on with what it was told.
#[test]
fn who_becomes_the_keeper_passes_on_what_it_was_told() {
    let (first, me, third) = (Incarnation(1), Incarnation(2), Incarnation(3));
    let mut member = member(me, Seat::Outside);
    assert!(asks(&mut member), "it waits for nobody");
    member.on_link_up(NOW, first);
    member.on_link_up(NOW, third);
    let all = [first, me, third]
        .into_iter()
        .fold((*born()).clone(), |view, one| view.with_gateway(identity(one).gateway.unwrap()));
    member.on_view(NOW, &Arc::new(all.clone()));
    assert_eq!(told(&mut member), []);
    hear(&mut member, third, word(3));
    hear(&mut member, first, word(1));
    let without = Arc::new(all.without(first, Removal::Proven));
    member.on_view(NOW, &without);
    assert_eq!(told(&mut member), [(third, word(1))]);
}
