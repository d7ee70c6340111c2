//! Rules left out, one at a time, by means outside the rules: a process or a link that lies. Each shows that the
//! checker notices what the rule is there for.

/// What is wrong in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// A removed node is never told: it keeps its memory and mark, and comes back as if it had been in the view (R11).
    KeepExpelled,
    /// Replicas' confirmations are forged as soon as an operation is sent (R3: commit before the copy has it).
    ForgeHave,
    /// A mark is forged in the first answer to a `Sync` (R2, R12 "confirmed").
    ForgeMark,
    /// Claims are answered on behalf of nodes that have not been asked (R7).
    ForgeClaimed,
    /// A release counts as agreed to when it is sent (R5).
    ForgeReleased,
    /// Publishers' memory is stripped from states (R8, R22: dedup).
    StripPublishers,
    /// Idempotency keys are stripped from states.
    StripKeys,
    /// An owner drops a replica when its link breaks, by a forged `Released` (R4).
    DropUnreachable,
    /// Nodes believe that their lease never lapses (R12, R13).
    ForgeLease,
    /// Nodes are not told of removals (R10: no wait before a new stream).
    HideRemovals,
    /// Answers of an older `Sync` are taken for ones of the newest (R6).
    RenumberHave,
    /// Nodes are told at once that all have settled (R19, R20).
    ForgeSettled,
    /// Frames are repeated on gateways' links (a connection that delivers twice).
    DuplicateDeliver,
    /// Frames to gateways are swapped (a connection out of order).
    SwapDeliver,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::KeepExpelled,
        Self::ForgeHave,
        Self::ForgeMark,
        Self::ForgeClaimed,
        Self::ForgeReleased,
        Self::StripPublishers,
        Self::StripKeys,
        Self::DropUnreachable,
        Self::ForgeLease,
        Self::HideRemovals,
        Self::RenumberHave,
        Self::ForgeSettled,
        Self::DuplicateDeliver,
        Self::SwapDeliver,
    ];
}
