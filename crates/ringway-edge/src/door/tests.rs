use super::*;

fn door(seats: usize, reserve: usize) -> Arc<Door> {
    Arc::new(Door::new(Room { seats, reserve }, Arc::default()))
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

fn is_lost(seat: &Seat) -> bool {
    !seat.door.inner.lock().seated.contains_key(&seat.turn.load(Ordering::Relaxed))
}

fn enter(door: &Arc<Door>, last: u8) -> Seat {
    door.enter(Some(ip(last))).expect("a seat")
}

#[test]
fn the_one_who_is_silent_for_longest_makes_room() {
    let door = door(8, 0);
    let seats: Vec<_> = (0..8).map(|last| enter(&door, last)).collect();
    assert!(seats[0].begin(ip(0), Class::Client));
    let newcomer = enter(&door, 100);
    assert!(is_lost(&seats[1]) && !is_lost(&seats[0]) && !is_lost(&newcomer));
    // Who has just been answered is silent for the shortest time.
    seats[0].rest();
    let _next = enter(&door, 101);
    assert!(is_lost(&seats[2]) && !is_lost(&seats[0]));
    assert_eq!(door.closed.oldest.load(Ordering::Relaxed), 2);
}

#[test]
fn an_address_above_its_share_goes_first() {
    let door = door(8, 0);
    let good = enter(&door, 1);
    let greedy: Vec<_> = (0..7).map(|_| enter(&door, 2)).collect();
    let other = enter(&door, 3);
    assert!(!is_lost(&good) && is_lost(&greedy[0]) && !is_lost(&other));
    assert_eq!(door.closed.share.load(Ordering::Relaxed), 1);
}

#[test]
fn work_of_an_address_above_its_share_gives_way_to_others_and_not_to_itself() {
    let door = door(8, 8);
    let greedy: Vec<_> = (0..8).map(|_| enter(&door, 2)).collect();
    assert!(greedy.iter().all(|seat| seat.begin(ip(2), Class::Client)));
    assert!(!enter(&door, 2).begin(ip(2), Class::Client));
    assert!(enter(&door, 1).begin(ip(1), Class::Client));
    assert!(is_lost(&greedy[0]) && !is_lost(&greedy[1]));
}

#[test]
fn the_reserve_is_for_operators_alone() {
    let door = door(4, 2);
    let clients: Vec<_> = (0..4).map(|last| enter(&door, last)).collect();
    assert!(clients.iter().zip(0..).all(|(seat, last)| seat.begin(ip(last), Class::Client)));
    let late = enter(&door, 9);
    assert!(!late.begin(ip(9), Class::Client));
    assert!(enter(&door, 9).begin(ip(9), Class::Operator));
    assert_eq!(door.closed.full.load(Ordering::Relaxed), 1);
}

#[test]
fn an_ipv6_network_is_one_address() {
    let (one, two, other) =
        ("2001:db8::1".parse().unwrap(), "2001:db8::ffff".parse().unwrap(), "2001:db8:0:1::1".parse().unwrap());
    assert!(network(one) == network(two) && network(one) != network(other));
    assert_eq!(network("::ffff:10.0.0.1".parse().unwrap()), IpAddr::from([10, 0, 0, 1]));
}

#[test]
fn nothing_is_kept_of_those_who_left() {
    let door = door(4, 0);
    let seats: Vec<_> = (0..20).map(|last| enter(&door, last % 3)).collect();
    drop(seats);
    let inner = door.inner.lock();
    assert!(
        inner.seated.is_empty() && inner.silent.is_empty() && inner.by_address.is_empty() && inner.greedy.is_empty()
    );
    assert_eq!(inner.working(), 0);
}
