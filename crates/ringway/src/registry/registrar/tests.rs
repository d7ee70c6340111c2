//! A registry with a folder, and requests that come faster than a disk.

use super::*;
use ringway_core::ring::{HashKey, SlotCount};

const NOW: Now = Duration::from_secs(100);

struct World {
    registrar: Registrar,
    ends: mpsc::Receiver<io::Result<()>>,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let view = Arc::new(View::born(HashKey::from_bytes([3; 16]), SlotCount::MIN));
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let (registrar, ends) = Registrar::new(Registry::new(view, Duration::from_secs(2)), Some(data));
        Self { registrar, ends, folder }
    }

    fn ask(&mut self, from: u64, op: RegistryOp) -> Option<Answered> {
        self.registrar.ask(NOW, Incarnation(from), RegistryRequest { id: from, op })
    }

    fn next_view(&self) -> Arc<View> {
        Arc::new(self.registrar.registry.view().affirmed())
    }

    async fn kept(&mut self) -> Vec<Answered> {
        let end = self.ends.recv().await.unwrap();
        self.registrar.on_kept(NOW, &end)
    }
}

#[tokio::test]
async fn nobody_is_told_of_a_view_before_it_is_kept() {
    let mut world = World::new();
    let (old, next) = (world.registrar.registry.view().clone(), world.next_view());
    assert!(world.ask(1, RegistryOp::Cas(next.clone())).is_none());
    let read = world.ask(2, RegistryOp::Read).unwrap();
    assert_eq!((read.answer.view, read.is_news), (old, false), "what is true is what is kept");
    let answered = world.kept().await;
    let [only] = &answered[..] else { panic!("{answered:?}") };
    assert!(only.is_news && only.answer.done && only.to == Incarnation(1));
    // The thread that wrote it may still hold the folder's lock.
    let file = std::fs::read(world.folder.path().join("view")).unwrap();
    assert_eq!(ringway_protocol::kept::decode(&file), Ok((*next).clone()));
}

#[tokio::test]
async fn a_rival_write_waits_and_fails_as_without_a_folder() {
    let mut world = World::new();
    let next = world.next_view();
    assert!(world.ask(1, RegistryOp::Cas(next.clone())).is_none());
    assert!(world.ask(2, RegistryOp::Cas(next)).is_none());
    let answered = world.kept().await;
    let done: Vec<_> = answered.iter().map(|one| (one.to.0, one.answer.done, one.is_news)).collect();
    assert_eq!(done, [(1, true, true), (2, false, false)]);
    assert!(
        !world
            .ask(3, RegistryOp::Cas(Arc::new(View::born(HashKey::from_bytes([4; 16]), SlotCount::MIN))))
            .unwrap()
            .answer
            .done
    );
}

#[tokio::test]
async fn a_write_that_fails_changes_nothing_and_the_next_one_is_tried() {
    let mut world = World::new();
    let next = world.next_view();
    // A folder in the place of the draft: not even root can write over it.
    std::fs::create_dir(world.folder.path().join("view.new")).unwrap();
    assert!(world.ask(1, RegistryOp::Cas(next.clone())).is_none());
    let answered = world.kept().await;
    assert!(!answered[0].answer.done && !answered[0].is_news);
    std::fs::remove_dir(world.folder.path().join("view.new")).unwrap();
    assert!(world.ask(1, RegistryOp::Cas(next)).is_none());
    assert!(world.kept().await[0].answer.done);
}

#[tokio::test]
async fn a_view_of_another_line_is_told_by_its_number() {
    let mut world = World::new();
    let (old, next) = (world.registrar.view().clone(), world.next_view());
    assert!(world.ask(1, RegistryOp::Cas(next.clone())).is_none());
    world.kept().await;
    let other = View { removals: old.removals + 1, ..(*next).clone() };
    let later = next.affirmed();
    let foreign = View::born(HashKey::from_bytes([9; 16]), SlotCount::MIN);
    let known = |view: &View| world.registrar.knows(view);
    assert!(known(&old) && known(&next) && known(&foreign), "its own, and what other rules refuse");
    assert!(!known(&other) && !known(&later));
}
