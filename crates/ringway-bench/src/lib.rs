//! The load generator behind ringway bench: real sockets, tables and JSON.
