//! Where lines are written: a file, a pipe or a terminal that may be full, closed, or slow.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

/// Pause before a file that takes nothing now is asked again. Some give us a stderr that does not block.
const AGAIN: Duration = Duration::from_millis(10);

/// Takes the signal that comes with a write beyond the limit of a file's size. Untaken it ends the process; now the write fails.
pub(super) fn outlive_the_limit_of_a_file() -> io::Result<()> {
    // Nobody waits for it. Once taken, a signal stays taken.
    signal(SignalKind::from_raw(nix::libc::SIGXFSZ)).map(drop)
}

/// Stdout without the buffer of the standard library, which would keep what could not be written.
pub(super) fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Something that whole lines are written to.
#[derive(Debug)]
pub(super) struct Output<W> {
    out: W,
    /// The last line was written in part: a disk was full in the middle of it.
    torn: bool,
}

impl<W: Write> Output<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, torn: false }
    }

    /// Writes a line, and waits as long as the reader lets it wait. False: it could not be written, or not to its end.
    pub(super) fn write(&mut self, line: &str) -> bool {
        if self.torn {
            // The next line begins where a line begins.
            self.torn = self.all(b"\n") == 0;
        }
        if self.torn {
            return false;
        }
        let written = self.all(line.as_bytes());
        self.torn = (1..line.len()).contains(&written);
        written == line.len()
    }

    /// Bytes that could be written.
    fn all(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            match self.out.write(&bytes[done..]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(AGAIN),
                Err(_) => break,
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes, in writes of three at most.
    struct Disk {
        room: usize,
        written: Vec<u8>,
        /// Says "not now" before every other write.
        busy: bool,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.busy = !self.busy;
            if self.busy {
                return Err(ErrorKind::WouldBlock.into());
            }
            let count = bytes.len().min(self.room).min(3);
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.written.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_after_a_torn_one_is_whole() {
        let mut output = Output::new(Disk { room: 9, written: Vec::new(), busy: false });
        assert!(output.write("one\n"));
        assert!(!output.write("two three\n"), "half of it");
        assert!(!output.write("four\n"), "the disk is full");
        output.out.room = 100;
        assert!(output.write("five\n"));
        assert_eq!(String::from_utf8_lossy(&output.out.written), "one\ntwo t\nfive\n");
    }
}
