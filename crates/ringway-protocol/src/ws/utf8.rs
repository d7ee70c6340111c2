//! UTF-8 checked as it arrives, so that a bad byte is refused before the rest of its message is waited for.

/// The longest UTF-8 sequence.
const MAX_SEQUENCE: usize = 4;

/// What is known of a text so far: everything was valid, but for a sequence that the last chunk began.
#[derive(Debug, Default)]
pub(super) struct Utf8Check {
    pending: [u8; MAX_SEQUENCE],
    pending_len: usize,
}

/// The text can't become valid, whatever follows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Utf8Invalid;

impl Utf8Check {
    /// Takes the next bytes of the text.
    pub(super) fn push(&mut self, mut chunk: &[u8]) -> Result<(), Utf8Invalid> {
        while self.pending_len > 0 {
            let Some((&byte, rest)) = chunk.split_first() else { return Ok(()) };
            chunk = rest;
            self.continue_sequence(byte)?;
        }
        let Err(error) = std::str::from_utf8(chunk) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(Utf8Invalid);
        }
        let tail = &chunk[error.valid_up_to()..];
        self.pending[..tail.len()].copy_from_slice(tail);
        self.pending_len = tail.len();
        Ok(())
    }

    fn continue_sequence(&mut self, byte: u8) -> Result<(), Utf8Invalid> {
        self.pending[self.pending_len] = byte;
        self.pending_len += 1;
        match std::str::from_utf8(&self.pending[..self.pending_len]) {
            Ok(_) => self.pending_len = 0,
            // The standard library's error has no length exactly while the bytes can still become a character.
            Err(error) if error.error_len().is_some() => return Err(Utf8Invalid),
            Err(_) => {}
        }
        Ok(())
    }
}
