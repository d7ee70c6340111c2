//! Rules left out, one at a time, by means outside the rules: a link, a process or a socket that lies. Each shows that the
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
    /// R4: while a replica cannot be reached, somebody else confirms in its place.
    DropUnreachable,
    /// R5: a release counts as agreed to, and is never sent.
    ForgeReleased,
    /// R6: what a replica lacks after a new link is copied without its content.
    StripDifference,
    /// R7: claims are answered for nodes that have not been asked.
    ForgeClaimed,
    /// R8, R10: nodes own what they were not filled with, and nobody tells them who holds it.
    HideMarks,
    /// R8, R22: what gateways' publishes were answered does not travel with a copy.
    StripPublishers,
    /// Section 8.4: idempotency keys do not travel to a copy.
    StripKeys,
    /// Section 2: a node whose link broke acts on a view that nobody wrote, with itself as the only node.
    ForgeView,
    /// Section 2: a node and a gateway compute other owners than all others, from other weights.
    ForgeWeights,
    /// R10: nodes do not hear that anybody was removed on suspicion.
    HideRemovals,
    /// R12, R13: nodes believe that their lease is good for ever.
    ForgeLease,
    /// R15, R17: a node takes a gateway for dead whose link to it is silent.
    BlameSilence,
    /// Channels without history: a gateway that is cut off seems to be heard.
    ForgePings,
    /// R20: everybody seems settled at once.
    ForgeSettled,
    /// R21: nobody hears that another is settled.
    HideSettled,
    /// R22, gap rule: every publish says that nothing before it is open.
    ForgeFloor,
    /// R23: a delivery is lost, and those after it are told one offset too low.
    ForgeOffset,
    /// R23, R24: who attaches again does not say where it was.
    ForgetPosition,
    /// Section 8.12: attaches come after the word that all were sent.
    LateAttach,
    /// Section 8.1: nodes do not hear that an acknowledgement needs two copies.
    HideCopies,
    /// Copies trim what the owner keeps.
    TrimCopies,
    /// The position of an inbox is lost on the way.
    ForgetDelivered,
    /// What is written to a client that is gone counts as confirmed by it.
    ConfirmWrites,
    /// Hub, deliveries: one of many is lost on the way to a client.
    DropPush,
    /// Hub, deliveries: one of many is told twice, as to somebody who was told it ahead of the others.
    RepeatPush,
    /// Hub, joins: whoever comes is told what is new before it is told where it begins.
    EarlyPush,
    /// Hub, recovery: whoever comes back is told that it has missed nothing.
    ForgeRecovered,
    /// Hub, recovery: the pages of what was missed come empty.
    EmptyPages,
    /// Hub, inboxes: the page of what is not confirmed begins one too late.
    SkipUnread,
    /// Hub, order: every command is answered twice.
    RepeatAnswer,
    /// Hub, calls: some are never answered.
    DropAnswer,
    /// Hub, publishes: one that failed is answered as if it were taken.
    ForgeAcknowledgement,
    /// Hub, sockets: one that was full does not say that it has room.
    HideRoom,
    /// Hub, parting: a plain client is closed without a word.
    HideFarewell,
    /// Hub, resets: an order names all slots but those that it means.
    ForgeReset,
    /// Hub, presence: owners do not hear who comes and goes.
    HideSessions,
    /// Orders to disconnect: gateways do not hear them, and somebody says that they are carried out.
    ForgeClosed,
    /// Orders to disconnect: what names one session, or leaves one out, means all of the user.
    WidenOrder,
    /// Removals of histories: owners do not hear them, and somebody says that they are done.
    ForgeRemoved,
    /// G1: the leases of those whom a view leaves out seem ended, and are not.
    ForgeEnded,
    /// No lease seems to move, and it is ended whatever its revision.
    ForgeStanding,
    /// G5: nobody hears that the store has begun another life.
    HideLives,
    /// L2: the log says that it has what it has not got.
    ForgeAppended,
    /// L3, L4: the log appends whatever comes behind whatever is there.
    ForgePlace,
    /// L4: the log tells the last record of a chain alone.
    HideRecords,
    /// L6: a chain is cut off before the state that takes its place is whole.
    TrimEarly,
    /// L8: a log that has lost its end does not know it.
    HideLoss,
    /// How channels are kept: gateways hear what their own files say as the cluster's word.
    ForgeKeeping,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 52] = [
        Self::ForgeTerm,
        Self::MarkEarly,
        Self::ForgeMark,
        Self::ForgeHave,
        Self::DropUnreachable,
        Self::ForgeReleased,
        Self::StripDifference,
        Self::ForgeClaimed,
        Self::HideMarks,
        Self::StripPublishers,
        Self::StripKeys,
        Self::ForgeView,
        Self::ForgeWeights,
        Self::HideRemovals,
        Self::ForgeLease,
        Self::BlameSilence,
        Self::ForgePings,
        Self::ForgeSettled,
        Self::HideSettled,
        Self::ForgeFloor,
        Self::ForgeOffset,
        Self::ForgetPosition,
        Self::LateAttach,
        Self::HideCopies,
        Self::TrimCopies,
        Self::ForgetDelivered,
        Self::ConfirmWrites,
        Self::DropPush,
        Self::RepeatPush,
        Self::EarlyPush,
        Self::ForgeRecovered,
        Self::EmptyPages,
        Self::SkipUnread,
        Self::RepeatAnswer,
        Self::DropAnswer,
        Self::ForgeAcknowledgement,
        Self::HideRoom,
        Self::HideFarewell,
        Self::ForgeReset,
        Self::HideSessions,
        Self::ForgeClosed,
        Self::WidenOrder,
        Self::ForgeRemoved,
        Self::ForgeKeeping,
        Self::ForgeEnded,
        Self::ForgeStanding,
        Self::HideLives,
        Self::ForgeAppended,
        Self::ForgePlace,
        Self::HideRecords,
        Self::TrimEarly,
        Self::HideLoss,
    ];

    /// The one of this name, however it is capitalized.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sabotage| format!("{sabotage:?}").eq_ignore_ascii_case(name))
    }
}
