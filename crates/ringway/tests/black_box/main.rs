//! The whole program from outside: real processes, real sockets, no look inside.

mod answers;
mod answers_api;
mod bad_input;
mod bulk;
mod centrifuge;
mod chaos;
mod commands;
mod confirmed;
mod cuts;
mod door;
mod gateways;
mod health;
mod https;
mod leaving;
mod life;
mod lives;
mod logs;
mod machines;
mod modes;
mod plain;
mod readers;
mod restarts;
mod siege;
mod slow;
mod support;
mod tables;
