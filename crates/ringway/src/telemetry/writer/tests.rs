use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;
use crate::telemetry::LogFormat;

const FORM: Form = Form { format: LogFormat::Text, colour: false };
/// For what takes microseconds.
const SOON: Duration = Duration::from_secs(10);

/// A file whose every write the test decides on: what was to be written comes out, and whether it is goes in.
struct Gate {
    asked: Sender<String>,
    answer: Receiver<bool>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Without a test nothing is written any more.
        let _ = self.asked.send(String::from_utf8_lossy(bytes).into_owned());
        match self.answer.recv() {
            Ok(true) => Ok(bytes.len()),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct World {
    writer: Writer,
    asked: Receiver<String>,
    answer: Sender<bool>,
}

impl World {
    fn new() -> Self {
        let ((asked, seen), (answer, answers)) = (channel(), channel());
        let writer = Writer::start("a log", Some(FORM), Gate { asked, answer: answers }).unwrap();
        Self { writer, asked: seen, answer }
    }

    /// What the thread writes next.
    fn next(&self, works: bool) -> String {
        let text = self.asked.recv_timeout(SOON).unwrap();
        self.answer.send(works).unwrap();
        text
    }
}

#[test]
fn lines_come_in_order_and_are_waited_for_at_the_end() {
    let world = World::new();
    world.writer.tell(" INFO one");
    world.writer.say("two\n".to_owned());
    world.writer.drain(Instant::now());
    assert!(world.next(true).ends_with("Z  INFO one\n"));
    assert_eq!(world.next(true), "two\n");
    world.writer.drain(Instant::now() + SOON);
    let state = world.writer.0.state.lock();
    assert!(!state.is_writing && state.queue.is_empty() && state.bytes == 0);
}

#[test]
fn a_reader_that_stops_costs_lines_and_nobody_waits_for_it() {
    let world = World::new();
    world.writer.tell_all("the first is being written");
    let first = world.asked.recv_timeout(SOON).unwrap();
    for number in 0..WAITING + 7 {
        world.writer.tell_all(&format!("line {number}"));
    }
    assert_eq!(world.writer.lost(), 7, "while {first} is being written");
    world.writer.say("x".repeat(WAITING_BYTES));
    assert_eq!(world.writer.lost(), 8, "bytes have a limit too");
}

#[test]
fn lines_that_cannot_be_written_are_counted_and_told_of_later() {
    let world = World::new();
    for number in 0..3 {
        world.writer.tell(&format!("line {number}"));
        world.next(false);
    }
    world.writer.tell("line 3");
    assert!(world.next(true).ends_with("line 3\n"));
    let told = world.next(true);
    assert!(told.contains("log lines were lost before this one") && told.ends_with("lines=3\n"), "{told}");
    world.writer.tell("line 4");
    assert!(world.next(true).ends_with("line 4\n"), "told once");
    assert_eq!(world.writer.lost(), 3);
}

#[test]
fn the_same_line_waits_for_its_turn() {
    let world = World::new();
    for _ in 0..100 {
        world.writer.tell(" WARN again");
        world.writer.tell_all("DEBUG again");
    }
    let mut written: Vec<String> = (0..101).map(|_| world.next(true)).collect();
    written.retain(|line| line.contains("WARN"));
    assert_eq!(written.len(), 1, "{written:?}");
    assert!(world.writer.0.state.lock().sieve.next_due().is_some());
    assert_eq!(world.writer.lost(), 0, "held back is not lost");
}
