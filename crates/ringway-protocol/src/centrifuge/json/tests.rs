//! Byte for byte what the SDKs and the reference server exchange.

mod decoding;
mod encoding;
