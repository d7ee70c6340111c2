//! What the rules ask, carried out in a store of keys and bytes: it does what the rules' own store does.

use proptest::prelude::*;
use ringway_core::registry::store::{Keys, StoreRequest};
use ringway_core::ring::{HashKey, SlotCount};
use ringway_engine::memory::Memory;

use super::*;

const LIVES: [Incarnation; 2] = [Incarnation(1), Incarnation(u64::MAX)];

fn view(epoch: u64) -> Arc<View> {
    Arc::new(View { epoch: Epoch(epoch), ..View::born(HashKey::from_bytes([1; 16]), SlotCount::MIN) })
}

fn ops() -> impl Strategy<Value = StoreOp> {
    let life = || prop::sample::select(&LIVES[..]);
    let at = || prop::option::of((1..20_u64).prop_map(Revision));
    prop_oneof![
        Just(StoreOp::ReadView),
        life().prop_map(StoreOp::ReadLease),
        Just(StoreOp::Leases),
        (at(), 1..9_u64, any::<u64>()).prop_map(|(at, epoch, life)| StoreOp::WriteView { at, view: view(epoch), life }),
        (life(), at(), any::<u64>()).prop_map(|(of, at, count)| StoreOp::WriteLease { of, at, count }),
        (life(), at()).prop_map(|(of, at)| StoreOp::EndLease { of, at }),
    ]
}

proptest! {
    #[test]
    fn a_store_of_bytes_does_what_the_store_of_the_rules_does(ops in prop::collection::vec(ops(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (memory, mut keys) = (Memory::default(), Keys::default());
        for (id, op) in (1..).zip(ops) {
            let expected = keys.handle(StoreRequest { id, op: op.clone() }).said;
            prop_assert_eq!(runtime.block_on(carry_out(&memory, op)).unwrap(), expected);
        }
    }
}

#[test]
fn what_is_no_view_is_told() {
    let found = |value: Bytes| Found { revision: 1, value };
    assert!(stored(&found(Bytes::from_static(b"short"))).is_err());
    let mut bytes = spelled(&view(1), 7).to_vec();
    assert_eq!(stored(&found(bytes.clone().into())).unwrap().life, 7);
    *bytes.last_mut().unwrap() ^= 1;
    assert!(stored(&found(bytes.into())).unwrap_err().contains("damaged"));
}
