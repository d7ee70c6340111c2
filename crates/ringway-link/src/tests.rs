//! Members on the loopback, each with its links: what they tell, and in which order.

mod cutting;
mod ending;
mod member;
mod shaking_hands;
mod slowness;
mod staying_linked;
mod versions;
