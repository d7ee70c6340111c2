//! Links: the multiplexed, authenticated, ordered connections between members.
