//! The store, the log and the bus in this process, which the others are held to.

use ringway_engine::memory::{Memory, MemoryBus, MemoryLog};
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

#[tokio::test]
async fn the_log_conforms() {
    conformance::log(&MemoryLog::default(), 7).await;
}

#[tokio::test]
async fn the_bus_conforms() {
    conformance::bus(&MemoryBus::default(), 7).await;
}
