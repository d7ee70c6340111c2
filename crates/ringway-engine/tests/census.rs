//! The census in this process, which the others are held to.

use ringway_engine::census::{Census as _, Place, Standing};
use ringway_engine::conformance;

#[tokio::test(start_paused = true)]
async fn conforms() {
    let place = Place::default();
    conformance::census(|| place.open(), async |id, is_offline| place.set_enabled(id, !is_offline)).await;
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_a_real_one_can_be_done_to_it() {
    let place = Place::default();
    let mut eyes = place.open();
    place.set_away(true);
    eyes.next().await.unwrap_err();
    place.set_away(false);
    assert_eq!(eyes.next().await.unwrap().members, []);
    place.protect(true);
    assert!(eyes.next().await.unwrap().is_protected);
    assert_eq!(eyes.next().await.unwrap().standing("nobody"), None::<Standing>);
}
