//! A publication, as subscribers see it.

/// One publication, as subscribers see it. A payload that is not opaque was checked where it came in to be compact JSON
/// (see [`crate::json::payload`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication<'a> {
    /// Place in the stream from 1; 0 on channels without history.
    pub offset: u64,
    /// The payload.
    pub data: &'a [u8],
    /// The payload is any bytes, and not compact JSON.
    pub is_opaque: bool,
    /// Who published; `None` if the server API did.
    pub info: Option<ClientInfo<'a>>,
    /// Key-value pairs that the publisher added.
    pub tags: Vec<(&'a str, &'a str)>,
    /// The stream's epoch, told with its first publication; empty otherwise.
    pub epoch: &'a str,
    /// How the payload is told.
    pub shape: Shape<'a>,
}

/// How a payload is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape<'a> {
    /// As it is.
    #[default]
    Plain,
    /// Whole, to a subscriber that takes differences: JSON spells it as a text of JSON then.
    Whole,
    /// As what is other in it than in the publication before it; see [`super::delta`].
    Difference(&'a [u8]),
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
