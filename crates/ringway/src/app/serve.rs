//! What a request on the clients' port gets: a socket, or an HTTP answer.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use ringway_edge::hyper::Request;
use ringway_edge::hyper::body::Incoming;
use ringway_edge::{Route, Router as EdgeRouter};
use tower::ServiceExt;

use crate::config::Config;
use crate::gateway::SocketRoutes;
use crate::member::GatewayParts;

/// Sockets first, then every HTTP route of the process.
#[derive(Debug)]
pub(super) struct ClientRouter {
    sockets: SocketRoutes,
    http: Router,
}

impl ClientRouter {
    pub(super) fn new(config: &Config, gateway: &GatewayParts, http: Router) -> Self {
        let sockets = SocketRoutes::new(gateway.config.clone(), gateway.inbox.clone());
        let sockets = if config.server.echo { sockets.with_echo() } else { sockets };
        let http = http.merge(crate::api::routes(gateway.config.clone(), gateway.inbox.clone()));
        Self { sockets, http }
    }
}

impl EdgeRouter for ClientRouter {
    async fn route(&self, request: Request<Incoming>, _peer: SocketAddr) -> Route {
        if let Some(route) = self.sockets.route(request.uri().path(), request.headers()) {
            return route;
        }
        match self.http.clone().oneshot(request.map(Body::new)).await {
            Ok(response) => Route::http(response),
            Err(never) => match never as Infallible {},
        }
    }
}
