//! How many sockets the process may hold.

use std::io;

/// Descriptors kept free of client sockets: links to members, listeners, logs, files, the runtime's own.
const RESERVED_FILES: u64 = 512;

/// Fewest client sockets to allow, however small the file limit: a process that takes no client is of no use.
const MIN_CONNECTIONS: u64 = 16;

/// Raises this process's limit of open files as far as it may, and returns it.
///
/// # Errors
/// The system refused to say or set the limit.
pub fn raise_file_limit() -> io::Result<u64> {
    let (before, _) = rlimit::Resource::NOFILE.get()?;
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    tracing::info!(limit, before, "open file limit");
    Ok(limit)
}

/// A connection limit that leaves room below `file_limit` for `max_http` HTTP connections and for the members' links.
#[must_use]
pub fn default_max_connections(file_limit: u64, max_http: usize) -> usize {
    let room = file_limit.saturating_sub(RESERVED_FILES).saturating_sub(max_http as u64);
    usize::try_from(room.max(MIN_CONNECTIONS)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_leaves_room() {
        assert_eq!(default_max_connections(20_000, 2048), 17_440);
        assert_eq!(default_max_connections(1024, 2048), 16);
    }

    #[test]
    fn the_limit_is_raised_to_the_hard_one() {
        let raised = raise_file_limit().unwrap();
        assert_eq!(raised, rlimit::Resource::NOFILE.get_hard().unwrap());
    }
}
