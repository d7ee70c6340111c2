//! Byte for byte what the SDKs and the reference server exchange, and what the library's own encoding makes of the schema.

mod decoding;
mod encoding;

fn hex(text: &str) -> Vec<u8> {
    text.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
