//! What the tests share: a WebSocket client, real processes, the message checker.
