//! Rules left out, one at a time, by means outside the rules: a link or a process that lies. Each shows that the
//! checker notices what the rule is there for.

/// What is wrong in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// R1: a replica obeys whoever writes; frames of older owners are passed off as the newest's.
    ForgeTerm,
    /// R2: a replica is marked with its `Sync`, before it is waited for.
    MarkEarly,
    /// R2, R12 "confirmed": every confirmation says that the mark is there.
    ForgeMark,
    /// R3: replicas confirm what they do not have yet.
    ForgeHave,
    /// R4: an owner that loses the link to a replica thinks that it left the view.
    DropUnreachable,
    /// R5: a release counts as agreed to, and is never sent.
    ForgeReleased,
    /// R7: claims are answered for nodes that have not been asked.
    ForgeClaimed,
    /// R8, R22: what gateways' publishes were answered does not travel with a copy.
    StripPublishers,
    /// Section 8.4: idempotency keys do not travel to a copy.
    StripKeys,
    /// R10: nodes do not hear that anybody was removed on suspicion.
    HideRemovals,
    /// R12, R13: nodes believe that their lease is good for ever.
    ForgeLease,
    /// R20: everybody seems settled at once.
    ForgeSettled,
    /// R22, gap rule: every publish says that nothing before it is open.
    ForgeFloor,
    /// R23: a gateway is told another offset than the owner gave.
    ForgeOffset,
    /// Section 8.12: attaches come after the word that all were sent.
    LateAttach,
    /// Copies trim what the owner keeps.
    TrimCopies,
    /// The position of an inbox is lost on the way.
    ForgetDelivered,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::ForgeTerm,
        Self::MarkEarly,
        Self::ForgeMark,
        Self::ForgeHave,
        Self::DropUnreachable,
        Self::ForgeReleased,
        Self::ForgeClaimed,
        Self::StripPublishers,
        Self::StripKeys,
        Self::HideRemovals,
        Self::ForgeLease,
        Self::ForgeSettled,
        Self::ForgeFloor,
        Self::ForgeOffset,
        Self::LateAttach,
        Self::TrimCopies,
        Self::ForgetDelivered,
    ];
}
