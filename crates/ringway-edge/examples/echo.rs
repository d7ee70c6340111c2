//! An echo server for conformance suites: `cargo run -p ringway-edge --example echo -- 9001`.

use ringway_edge::hyper::Request;
use ringway_edge::{ConnOptions, ECHO_MAX_MESSAGE, Echo, Edge, EdgeConfig, RequestBody, Route, Router, Upgrade};
use std::net::{Ipv4Addr, SocketAddr};

struct EchoEverywhere;

impl Router for EchoEverywhere {
    async fn route(&self, _request: Request<RequestBody>, _peer: SocketAddr) -> Route {
        let options = ConnOptions { max_message: ECHO_MAX_MESSAGE, ..ConnOptions::default() };
        Route::Upgrade(Upgrade::new(Echo, options))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("ws://{}/", listener.local_addr()?);
    let files = ringway_edge::raise_file_limit()?;
    let mut config = EdgeConfig::default();
    config.max_connections = ringway_edge::default_max_connections(files, config.max_http);
    Edge::new(config).serve(listener, EchoEverywhere);
    tokio::signal::ctrl_c().await?;
    Ok(())
}
