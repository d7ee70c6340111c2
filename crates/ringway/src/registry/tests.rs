//! The handle and what stands behind it, on the table that every registry is held to.

mod linked;
mod outside;

use std::collections::HashMap;
use std::time::Duration;

use ringway_core::message::RegistryAnswer;
use ringway_core::ring::{HashKey, SlotCount};
use ringway_testkit::registry::{Asked, BEHAVIOURS, Step, Subject, conform};
use tempfile::TempDir;

use super::*;

const TTL: Duration = Duration::from_secs(2);

/// The registry of this process, on a clock that the table sets.
struct Process {
    handle: Handle,
    now: Now,
    folder: Option<TempDir>,
}

impl Process {
    fn born(folder: Option<TempDir>) -> Self {
        let registry = Registry::new(Arc::new(View::born(HashKey::from_bytes([1; 16]), SlotCount::MIN)), TTL);
        let data = folder.as_ref().map(|folder| DataDir::open(folder.path()).unwrap());
        Self { handle: Handle::here(registry, data), now: TTL, folder }
    }
}

impl Subject for Process {
    async fn ask(&mut self, asked: Vec<Asked>) -> Vec<Option<RegistryAnswer>> {
        let mut answers = HashMap::new();
        let key = |asked: &Asked| (asked.from, asked.request.id);
        for asked in &asked {
            let answered = self.handle.serve(self.now, asked.from, asked.request.clone());
            answers.extend(answered.map(|answered| (key(asked), answered.answer)));
        }
        // Some wait for the disk.
        while answers.len() < asked.len() {
            let News::Kept(kept) = self.handle.next().await else { unreachable!("the registry is here") };
            let late = self.handle.on_kept(self.now, &kept);
            answers.extend(late.into_iter().map(|answered| ((answered.to, answered.answer.id), answered.answer)));
        }
        asked.iter().map(|asked| answers.remove(&key(asked))).collect()
    }

    async fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn ttl(&self) -> Duration {
        TTL
    }

    async fn restart(&mut self) -> bool {
        let Some(folder) = &self.folder else { return false };
        // The folder is locked until the process before has let it go, and the thread that wrote last as well.
        self.handle = Handle::linked();
        let data = loop {
            match DataDir::open(folder.path()) {
                Ok(data) => break data,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        let born = || View::born(HashKey::from_bytes([1; 16]), SlotCount::MIN);
        let view = Arc::new(data.view().unwrap().unwrap_or_else(born));
        self.handle = Handle::here(Registry::restored(view, TTL, self.now), Some(data));
        true
    }
}

/// Rows that are for a registry which is never started again.
fn without_restarts() -> usize {
    let restarts = |step: &Step| matches!(step, Step::Restart);
    BEHAVIOURS.iter().filter(|behaviour| !behaviour.steps.iter().any(restarts)).count()
}

#[tokio::test]
async fn a_registry_in_memory_conforms() {
    assert_eq!(conform(async || Process::born(None)).await, without_restarts());
}

#[tokio::test]
async fn a_registry_with_a_folder_conforms() {
    let begin = async || Process::born(Some(tempfile::tempdir().unwrap()));
    assert_eq!(conform(begin).await, BEHAVIOURS.len());
}

#[test]
fn what_finds_no_room_on_the_way_out_counts_as_unanswered() {
    use ringway_core::message::RegistryOp;
    use ringway_core::registry::store::StoreOp;
    let (requests, mut asked) = mpsc::channel(1);
    let (_telling, told) = mpsc::channel(1);
    let mut handle = Handle::outside(Way { requests, told });
    let (me, born) = (Incarnation(5), Arc::new(View::born(HashKey::from_bytes([1; 16]), SlotCount::MIN)));
    handle.begin_life(Now::ZERO, me, &born, ringway_core::timing::Timing::default());
    for id in 1..=3 {
        assert!(matches!(handle.ask(Now::ZERO, me, RegistryRequest { id, op: RegistryOp::Read }), Sent::Away));
    }
    assert!(handle.next_heard().is_none());
    let first = asked.try_recv().unwrap();
    assert_eq!((first.from, first.request.op), (me, StoreOp::ReadView));
    assert!(asked.try_recv().is_err(), "the others are gone, and nobody waited");
    let request = RegistryRequest { id: 4, op: RegistryOp::Read };
    assert!(handle.serve(Now::ZERO, Incarnation(6), request).is_none(), "nobody hosts anything");
    assert!(!handle.begin_to_arrive() && handle.seat() == Seat::Outside);
}
