//! The table: what a registry must do.

/// One thing that a registry must do, shown on a registry of its own.
#[derive(Debug)]
pub struct Behaviour {
    /// In words.
    pub name: &'static str,
    /// What happens, one after the other.
    pub steps: &'static [Step],
}

/// A step of a row.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// A member asks, and is told this.
    Ask(u8, Op, Says),
    /// Members that know the same view each write one with themselves at once, and so many of them succeed: one.
    Race(&'static [u8]),
    /// Time passes: so many tenths of a lease's length.
    Pass(u32),
    /// The registry crashes and is started again. Nobody's request is under way.
    Restart,
}

/// What a member asks for.
#[derive(Debug, Clone, Copy)]
pub enum Op {
    /// A lease key, whatever is there.
    Put(u8),
    /// A longer life for its lease.
    Renew(u8),
    /// This view, made of the one that it was told last.
    Write(Write),
    /// Which members have no lease.
    Leases,
    /// The view.
    Read,
}

/// A view that a member would like to be the next one.
#[derive(Debug, Clone, Copy)]
pub enum Write {
    /// With this member.
    With(u8),
    /// Without it.
    Without(u8),
    /// The same members.
    Affirmed,
    /// One epoch too far.
    Skipping,
    /// Of a cluster that was born elsewhere.
    Foreign,
    /// It lists a member twice.
    Doubled,
}

/// What the registry says.
#[derive(Debug, Clone, Copy)]
pub enum Says {
    /// Done.
    Done,
    /// Not done, and nothing has changed.
    Refused,
    /// These have no lease, or are out of the view by now, and none of the others in the table.
    Lapsed(&'static [u8]),
    /// The view lists these of the table, and no others of it.
    Lists(&'static [u8]),
}

use Op::{Leases, Put, Read, Renew};
use Says::{Done, Lapsed, Lists, Refused};
use Step::{Ask, Pass, Race, Restart};

const fn write(by: u8, view: Write, says: Says) -> Step {
    Ask(by, Op::Write(view), says)
}

/// All of it.
pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "a lease begins with its key",
        steps: &[Ask(1, Renew(1), Refused), Ask(1, Put(1), Done), Ask(1, Renew(1), Done), Ask(2, Renew(2), Refused)],
    },
    Behaviour {
        name: "a lease lives on from each renewal",
        steps: &[Ask(1, Put(1), Done), Pass(6), Ask(1, Renew(1), Done), Pass(6), Ask(1, Renew(1), Done)],
    },
    Behaviour {
        name: "a view that is written is what everybody reads",
        steps: &[write(1, Write::With(1), Done), Ask(2, Read, Lists(&[1])), Ask(3, Read, Lists(&[1]))],
    },
    Behaviour {
        name: "whoever writes on an old view loses, is told the newer one, and may write on that",
        steps: &[
            write(1, Write::With(1), Done),
            write(2, Write::With(2), Refused),
            Ask(3, Read, Lists(&[1])),
            write(2, Write::With(2), Done),
            Ask(1, Read, Lists(&[1, 2])),
        ],
    },
    Behaviour { name: "of those who write at once one wins", steps: &[Race(&[1, 2, 3]), Race(&[3, 2, 1])] },
    Behaviour {
        name: "no epoch is skipped",
        steps: &[write(1, Write::Skipping, Refused), Ask(2, Read, Lists(&[])), write(1, Write::Affirmed, Done)],
    },
    Behaviour {
        name: "what is no view of this cluster is not written",
        steps: &[
            write(1, Write::Foreign, Refused),
            write(1, Write::Doubled, Refused),
            Ask(2, Read, Lists(&[])),
            write(1, Write::With(1), Done),
        ],
    },
    Behaviour {
        name: "a member that has put no key has lapsed",
        steps: &[
            Ask(1, Put(1), Done),
            write(1, Write::With(1), Done),
            write(1, Write::With(2), Done),
            Pass(6),
            Ask(1, Renew(1), Done),
            Pass(6),
            Ask(1, Renew(1), Done),
            Pass(2),
            Ask(1, Leases, Lapsed(&[2])),
        ],
    },
    Behaviour {
        name: "a lease that ends is told, and one that is renewed is not; what has lapsed is not renewed, and a new key is a new lease",
        steps: &[
            Ask(1, Put(1), Done),
            Ask(2, Put(2), Done),
            write(1, Write::With(1), Done),
            write(1, Write::With(2), Done),
            Ask(2, Leases, Lapsed(&[])),
            Pass(6),
            Ask(2, Renew(2), Done),
            Pass(6),
            Ask(2, Renew(2), Done),
            Pass(2),
            Ask(2, Leases, Lapsed(&[1])),
            Ask(1, Renew(1), Refused),
            Ask(1, Put(1), Done),
            Ask(1, Renew(1), Done),
        ],
    },
    Behaviour {
        name: "a key of somebody outside the view is no member's",
        steps: &[
            Ask(1, Put(1), Done),
            Ask(3, Put(3), Done),
            write(1, Write::With(1), Done),
            Ask(1, Leases, Lapsed(&[])),
            Pass(5),
            Ask(1, Renew(1), Done),
            Pass(6),
            Ask(1, Renew(1), Done),
            Pass(2),
            Ask(1, Leases, Lapsed(&[])),
            Ask(1, Read, Lists(&[1])),
        ],
    },
    Behaviour {
        name: "a late key of a life that was removed changes nothing",
        steps: &[
            Ask(1, Put(1), Done),
            Ask(2, Put(2), Done),
            write(2, Write::With(1), Done),
            write(2, Write::With(2), Done),
            write(2, Write::Without(1), Done),
            Ask(1, Put(1), Done),
            Ask(2, Read, Lists(&[2])),
            Ask(2, Leases, Lapsed(&[])),
        ],
    },
    Behaviour {
        name: "a late write of a life that was removed changes nothing",
        steps: &[
            write(1, Write::With(1), Done),
            Ask(2, Read, Lists(&[1])),
            write(2, Write::Without(1), Done),
            write(1, Write::Affirmed, Refused),
            Ask(2, Read, Lists(&[])),
        ],
    },
    Behaviour {
        name: "a restart keeps the view, and epochs go on",
        steps: &[
            write(1, Write::With(1), Done),
            write(1, Write::With(2), Done),
            Restart,
            Ask(3, Read, Lists(&[1, 2])),
            write(3, Write::Without(1), Done),
            write(1, Write::Affirmed, Refused),
        ],
    },
    Behaviour {
        name: "after a restart whoever lives renews as before, and whoever does not lapses",
        steps: &[
            Ask(1, Put(1), Done),
            Ask(2, Put(2), Done),
            write(1, Write::With(1), Done),
            write(1, Write::With(2), Done),
            Restart,
            Ask(2, Renew(2), Done),
            Ask(2, Leases, Lapsed(&[])),
            Pass(6),
            Ask(2, Renew(2), Done),
            Pass(6),
            Ask(2, Renew(2), Done),
            Pass(2),
            Ask(2, Leases, Lapsed(&[1])),
        ],
    },
];
