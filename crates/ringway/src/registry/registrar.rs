//! The registry of this process: its rules, and the folder that the view is kept in, if there is one.
//!
//! ```text
//!            ask                                  kept
//! requests ──────▶ a write, and a folder? ──yes──▶ a thread writes ──▶ answered, and the next write's turn
//!                       └─no──▶ answered at once
//! ```
//!
//! A view is on the disk before anybody is told of it. The member never waits for the disk: a thread writes, one view at a time,
//! and writes that come meanwhile wait. Everything else is answered from the view of before.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::Incarnation;
use ringway_core::message::{RegistryAnswer, RegistryOp, RegistryRequest};
use ringway_core::registry::Registry;
use ringway_core::timing::Now;
use ringway_core::view::View;
use tokio::sync::mpsc;
use tracing::error;

use crate::data_dir::DataDir;

/// Writes that wait for the one that is under way. A member has one under way at most, so this is a large cluster that changes all
/// at once. One more gets no answer, and is asked again.
const WAITING: usize = 1_024;

/// Pause after a write that failed: whoever asked for it asks again at once.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// Views of this process that are remembered, to tell those of another line under the same numbers. They meet in the first
/// moments after a start.
const LINE: usize = 64;

/// A request and who asked.
type Requested = (Incarnation, RegistryRequest);

/// An answer and whom it is for.
#[derive(Debug)]
pub struct Answered {
    /// Who asked.
    pub to: Incarnation,
    /// What it is told.
    pub answer: RegistryAnswer,
    /// The answer's view is new: everybody is told.
    pub is_news: bool,
}

/// How the write of a view ended.
pub type Kept = io::Result<()>;

/// The registry with its folder.
#[derive(Debug)]
pub struct Registrar {
    registry: Registry,
    keep: Option<Keep>,
    /// The view that this process began with, and those that it has written since; the newest is the last.
    line: VecDeque<Arc<View>>,
}

#[derive(Debug)]
struct Keep {
    folder: Arc<DataDir>,
    done: mpsc::Sender<Kept>,
    writing: Option<Requested>,
    waiting: VecDeque<Requested>,
}

impl Registrar {
    /// The registry in memory, or kept in this folder too. How its writes end comes out of the receiver.
    pub fn new(registry: Registry, folder: Option<DataDir>) -> (Self, mpsc::Receiver<Kept>) {
        // One write is under way at a time.
        let (done, ends) = mpsc::channel(1);
        let keep =
            folder.map(|folder| Keep { folder: Arc::new(folder), done, writing: None, waiting: VecDeque::new() });
        let line = VecDeque::from([registry.view().clone()]);
        (Self { registry, keep, line }, ends)
    }

    /// The newest view that is kept.
    pub(super) fn view(&self) -> &Arc<View> {
        self.registry.view()
    }

    /// A member's view comes from this registry, as far as can be told: it is no later one, and under its number no other one
    /// was written here.
    pub(super) fn knows(&self, view: &View) -> bool {
        let is_other =
            |ours: &Arc<View>| ours.epoch == view.epoch && **ours != *view && ours.is_of_one_cluster_with(view);
        !view.follows(self.view()) && !self.line.iter().any(is_other)
    }

    /// Takes a request. The answer may come later, or never.
    pub(super) fn ask(&mut self, now: Now, from: Incarnation, request: RegistryRequest) -> Option<Answered> {
        match (&mut self.keep, &request.op) {
            (Some(keep), RegistryOp::Cas(_)) if keep.writing.is_some() => {
                if keep.waiting.len() < WAITING {
                    keep.waiting.push_back((from, request));
                }
                None
            }
            (Some(keep), RegistryOp::Cas(view)) if self.registry.would_write(view) => {
                keep.write(view.clone());
                keep.writing = Some((from, request));
                None
            }
            _ => Some(self.answer(now, from, request)),
        }
    }

    /// A write has ended: answers whoever asked for it, then whoever waited, up to the next write.
    pub(super) fn on_kept(&mut self, now: Now, kept: &Kept) -> Vec<Answered> {
        let Some((from, request)) = self.keep.as_mut().and_then(|keep| keep.writing.take()) else { return Vec::new() };
        let mut answers = Vec::new();
        match kept {
            Ok(()) => answers.push(self.answer(now, from, request)),
            Err(why) => {
                error!(%why, folder = %self.folder(), "the view could not be written to the data folder, so no member can join, leave or be replaced: make room, or mend the disk");
                answers.push(self.refusal(from, &request));
            }
        }
        while let Some((from, request)) = self.next_in_line() {
            answers.extend(self.ask(now, from, request));
        }
        answers
    }

    fn next_in_line(&mut self) -> Option<Requested> {
        self.keep.as_mut().filter(|keep| keep.writing.is_none())?.waiting.pop_front()
    }

    fn answer(&mut self, now: Now, to: Incarnation, request: RegistryRequest) -> Answered {
        let before = self.registry.view().epoch;
        let answer = self.registry.handle(now, request);
        let is_news = self.registry.view().epoch > before;
        if is_news {
            self.line.push_back(self.registry.view().clone());
            if self.line.len() > LINE {
                self.line.pop_front();
            }
        }
        Answered { to, is_news, answer }
    }

    fn refusal(&self, to: Incarnation, request: &RegistryRequest) -> Answered {
        let view = self.registry.view().clone();
        Answered {
            to,
            answer: RegistryAnswer { id: request.id, done: false, view, lapsed: Vec::new() },
            is_news: false,
        }
    }

    fn folder(&self) -> String {
        self.keep.as_ref().map_or_else(String::new, |keep| keep.folder.path().display().to_string())
    }
}

impl Keep {
    /// A thread of its own, not one of the runtime's: a disk that hangs must not hold up the end of the process.
    fn write(&self, view: Arc<View>) {
        let (folder, done) = (self.folder.clone(), self.done.clone());
        let write = move || {
            let kept = folder.keep(&view);
            if kept.is_err() {
                std::thread::sleep(AFTER_FAILURE);
            }
            // The member may have ended meanwhile.
            let _ = done.blocking_send(kept);
        };
        if let Err(why) = std::thread::Builder::new().name("view".into()).spawn(write) {
            // One place is free: this write is the only one.
            let _ = self.done.try_send(Err(why));
        }
    }
}

#[cfg(test)]
mod tests;
