//! A publication, and the form in which a stream keeps it.

/// One publication, as subscribers see it. Payloads are compact JSON (see [`crate::json::payload`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication<'a> {
    /// Place in the stream from 1; 0 on channels without history.
    pub offset: u64,
    /// The payload.
    pub data: &'a [u8],
    /// Who published; `None` if the server API did.
    pub info: Option<ClientInfo<'a>>,
    /// Key-value pairs that the publisher added.
    pub tags: Vec<(&'a str, &'a str)>,
    /// The stream's epoch, told with its first publication; empty otherwise.
    pub epoch: &'a str,
}

/// Who a client is, as others see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientInfo<'a> {
    /// The user; empty for an anonymous one.
    pub user: &'a str,
    /// The id of the connection.
    pub client: &'a str,
    /// What the connection token says about the user, raw; empty for nothing.
    pub conn_info: &'a [u8],
    /// What the subscription token says about the user, raw; empty for nothing.
    pub chan_info: &'a [u8],
}

/// Bytes that [`Publication::unpack`] was given but [`Publication::pack`] did not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored publication is damaged")]
pub struct BadEntry;

const HAS_INFO: u8 = 1;
const HAS_TAGS: u8 = 2;

impl<'a> Publication<'a> {
    /// Appends everything but the offset, in a form of its own that owners keep and copy without looking inside: one
    /// byte of flags, `info` and `tags` if there are any as text after its length (LEB128), and the payload up to the
    /// end. So a publication of the server API costs one byte more than its payload.
    pub fn pack(&self, out: &mut Vec<u8>) {
        let flag = |present: bool, flag: u8| if present { flag } else { 0 };
        out.push(flag(self.info.is_some(), HAS_INFO) | flag(!self.tags.is_empty(), HAS_TAGS));
        if let Some(info) = self.info {
            put_text(out, info.user.as_bytes());
            put_text(out, info.client.as_bytes());
            put_text(out, info.conn_info);
            put_text(out, info.chan_info);
        }
        if !self.tags.is_empty() {
            put_length(out, self.tags.len());
            for (key, value) in &self.tags {
                put_text(out, key.as_bytes());
                put_text(out, value.as_bytes());
            }
        }
        out.extend_from_slice(self.data);
    }

    /// Reads what [`Publication::pack`] wrote, borrowing all of it.
    ///
    /// # Errors
    /// [`BadEntry`] if the bytes are none of ours.
    pub fn unpack(offset: u64, entry: &'a [u8]) -> Result<Self, BadEntry> {
        let (&flags, mut rest) = entry.split_first().ok_or(BadEntry)?;
        if flags & !(HAS_INFO | HAS_TAGS) != 0 {
            return Err(BadEntry);
        }
        let info = if flags & HAS_INFO == 0 { None } else { Some(take_info(&mut rest)?) };
        let tags = if flags & HAS_TAGS == 0 { Vec::new() } else { take_tags(&mut rest)? };
        Ok(Self { offset, data: rest, info, tags, epoch: "" })
    }
}

fn put_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_length(out, text.len());
    out.extend_from_slice(text);
}

fn take_length(rest: &mut &[u8]) -> Result<usize, BadEntry> {
    let mut length = 0;
    for shift in (0..28).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or(BadEntry)?;
        *rest = tail;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(length);
        }
    }
    Err(BadEntry)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], BadEntry> {
    let length = take_length(rest)?;
    let (bytes, tail) = rest.split_at_checked(length).ok_or(BadEntry)?;
    *rest = tail;
    Ok(bytes)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, BadEntry> {
    std::str::from_utf8(take_bytes(rest)?).map_err(|_| BadEntry)
}

fn take_info<'a>(rest: &mut &'a [u8]) -> Result<ClientInfo<'a>, BadEntry> {
    Ok(ClientInfo {
        user: take_text(rest)?,
        client: take_text(rest)?,
        conn_info: take_bytes(rest)?,
        chan_info: take_bytes(rest)?,
    })
}

fn take_tags<'a>(rest: &mut &'a [u8]) -> Result<Vec<(&'a str, &'a str)>, BadEntry> {
    let count = take_length(rest)?;
    // No capacity up front: the count is not to be trusted before the tags are there.
    (0..count).map(|_| Ok((take_text(rest)?, take_text(rest)?))).collect()
}

#[cfg(test)]
mod tests;
