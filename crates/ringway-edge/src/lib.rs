//! The client connection layer: accept, handshake, one small task per socket, shared outgoing frames.
