//! What the servers of others have in common that tests start on this machine.

use std::net::TcpListener;
use std::process::Child;

/// All are told one another's before any is started, so none can choose its own.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// `kill -9`, if it runs.
pub(crate) fn kill(running: &mut Option<Child>) {
    if let Some(mut child) = running.take() {
        child.kill().expect("a process of ours");
        child.wait().expect("it has ended");
    }
}
