//! What keeps a process from its cluster when a dial to the first gateway fails: in words, and whether waiting may help.

use std::sync::Arc;

use ringway_link::{DialError, HandshakeError};

use super::JoinError;

/// How to find the right port.
pub(super) const LINK_PORT: &str =
    "the first gateway logs its link address as `listening for members`; its port is 9889 unless it was told otherwise";

/// Why the first gateway was not reached.
#[derive(Debug)]
pub(super) enum Hindrance {
    /// Trying again changes nothing.
    Final(JoinError),
    /// It may be over by itself. A whole sentence without its end.
    Passing(String),
}

impl Hindrance {
    /// The host refused the connection.
    pub(super) fn refused(address: &Arc<str>) -> Self {
        Self::Passing(format!(
            "nobody listens at {address}: the first gateway is not up yet, or this is not its link address ({LINK_PORT})"
        ))
    }

    /// A dial failed in another way.
    pub(super) fn of(address: &Arc<str>, why: DialError) -> Self {
        match why {
            DialError::Refused => Self::refused(address),
            DialError::UnknownName(why) => {
                Self::Passing(format!("the name in {address} is not known here ({why}): check how it is spelled"))
            }
            DialError::Unreachable(why) => Self::Passing(format!(
                "{address} cannot be reached ({why}): check the address, and the network between the two machines"
            )),
            DialError::Handshake(why) => Self::of_handshake(address, why),
            other => Self::Passing(format!("{address} did not make a link: {other}")),
        }
    }

    fn of_handshake(address: &Arc<str>, why: HandshakeError) -> Self {
        let address = address.clone();
        match why {
            HandshakeError::TimedOut => Self::Passing(format!(
                "nothing answers at {address}: its machine is off, a firewall drops what is sent there, or the process there is frozen"
            )),
            HandshakeError::Io(why) => {
                Self::Passing(format!("{address} took the connection and ended it before it said who is there ({why})"))
            }
            HandshakeError::Http => Self::Final(JoinError::ClientsPort { address }),
            HandshakeError::NotALink(_) => Self::Final(JoinError::NoMember { address }),
            HandshakeError::Refused(_) | HandshakeError::Rejected(_) | HandshakeError::Version { .. } => {
                Self::Final(JoinError::Refused { address, why })
            }
            other => Self::Passing(format!("{address} did not make a link: {other}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use ringway_link::Rejection;
    use ringway_protocol::link::Versions;

    use super::*;

    fn said(why: DialError) -> (bool, String) {
        match Hindrance::of(&"gw:9889".into(), why) {
            Hindrance::Final(error) => (true, error.to_string()),
            Hindrance::Passing(text) => (false, text),
        }
    }

    #[test]
    fn each_slip_in_join_has_its_own_sentence() {
        let io = || io::Error::from(io::ErrorKind::HostUnreachable);
        let handshake = |why| DialError::Handshake(why);
        let cases = [
            (DialError::Refused, false, "nobody listens at"),
            (DialError::UnknownName(io()), false, "spelled"),
            (DialError::Unreachable(io()), false, "network between"),
            (handshake(HandshakeError::TimedOut), false, "firewall"),
            (handshake(HandshakeError::Io(io())), false, "ended it before"),
            (handshake(HandshakeError::Http), true, "port for clients"),
            (handshake(HandshakeError::NotALink(ringway_protocol::link::NotALink)), true, "no Ringway member"),
            (
                handshake(HandshakeError::Version { ours: Versions::OURS, theirs: Versions { lowest: 9, highest: 9 } }),
                true,
                "version 9",
            ),
            (handshake(HandshakeError::Refused(Rejection::WrongSecret)), true, "wrong join secret"),
            (handshake(HandshakeError::Rejected(Rejection::WrongSecret)), true, "wrong join secret"),
            (handshake(HandshakeError::Refused(Rejection::Myself)), true, "this member itself"),
        ];
        for (why, is_final, words) in cases {
            let shown = format!("{why:?}");
            let (ends, text) = said(why);
            assert!(text.contains(words) && text.contains("gw:9889"), "{shown}: {text}");
            assert_eq!(ends, is_final, "{shown}: {text}");
        }
    }
}
