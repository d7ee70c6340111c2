//! The store in this process, which the others are held to.

use ringway_engine::memory::Memory;
use ringway_engine::{Store as _, conformance};

#[tokio::test]
async fn conforms() {
    conformance::store(&Memory::default(), "test").await;
}

#[tokio::test]
async fn tells_who_listens() {
    let store = Memory::default();
    let mut heard = store.listen();
    store.announce("news".into()).await;
    assert_eq!(heard.recv().await.unwrap(), "news");
}
