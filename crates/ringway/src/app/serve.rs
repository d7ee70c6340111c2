//! Which listener answers what: sockets and HTTP on the clients' port; health, metrics, admin API and page there too, or on a port of
//! their own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{HeaderName, RETRY_AFTER};
use axum::middleware::from_fn_with_state;
use ringway_edge::hyper::Request;
use ringway_edge::{Class, Edge, EdgeConfig, RequestBody, Route, Router as EdgeRouter};
use tokio::net::TcpListener;
use tower::ServiceExt;
use tracing::info;

use super::StartError;
use crate::config::{Config, Roles, Server};
use crate::gate;
use crate::gateway::{Client, GatewayConfig, Intake, SocketRoutes};
use crate::guesses::Guesses;

/// Descriptors kept for links, logs and the runtime, beside client sockets and HTTP connections.
const RESERVED_FILES: usize = 256;

/// Connections to the internal port at a time. Whoever watches needs a few; it is a place of its own, so no client can take one.
const MAX_INTERNAL: usize = 256;

/// Connections to the clients' port beside `server.max_http` that only health, metrics and the admin API get.
const RESERVED_HTTP: usize = 64;

/// The open listeners of a process.
#[derive(Debug)]
pub(super) struct Listeners {
    clients: Option<TcpListener>,
    internal: Option<TcpListener>,
}

/// What answers at the listeners. A process that still joins answers that it does, for it may take long and is to be probed meanwhile.
#[derive(Debug)]
pub(super) struct Doors {
    clients: Option<(Edge, Arc<OnceLock<ClientRoutes>>)>,
    internal: Option<(Edge, Arc<OnceLock<Router>>)>,
}

/// What is served besides sockets, and by which config.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) gateway_config: Arc<GatewayConfig>,
    pub(super) guesses: Guesses,
    /// Those for operators.
    pub(super) routes: Router,
}

/// Routes of the clients' port.
#[derive(Debug)]
struct ClientRoutes {
    sockets: SocketRoutes,
    http: Router,
}

/// A listener's routes, and what is answered before there are any.
#[derive(Debug)]
struct Door<Routes> {
    routes: Arc<OnceLock<Routes>>,
    before: Router,
}

impl Listeners {
    /// Opens the clients' port, if there are clients, and the internal one, if it is wanted.
    pub(super) async fn bind(server: &Server, roles: Roles) -> Result<Self, StartError> {
        let clients = match roles.gateway {
            true => {
                let address = SocketAddr::new(server.listen, server.port);
                let bound = TcpListener::bind(address).await.map_err(|why| StartError::Port { address, why })?;
                info!(address = %bound.local_addr().unwrap_or(address), "listening for clients");
                Some(bound)
            }
            false => None,
        };
        let internal = match server.internal_listen {
            Some(address) => {
                let bound =
                    TcpListener::bind(address).await.map_err(|why| StartError::InternalPort { address, why })?;
                let address = bound.local_addr().unwrap_or(address);
                info!(%address, "listening for health, metrics, admin API and page");
                Some(bound)
            }
            None => None,
        };
        Ok(Self { clients, internal })
    }

    /// The clients' port and the internal one.
    pub(super) fn ports(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let address = |listener: &TcpListener| listener.local_addr().ok();
        (self.clients.as_ref().and_then(address), self.internal.as_ref().and_then(address))
    }

    /// Begins to answer. `early` says how it is meanwhile, where health is asked for.
    pub(super) fn open(self, config: &Config, early: Router) -> Doors {
        let internal = self.internal.map(|listener| {
            let (edge, routes) = (internal_edge(config), Arc::new(OnceLock::new()));
            edge.serve(listener, Door { routes: routes.clone(), before: early.clone().fallback(still_joining) });
            (edge, routes)
        });
        let before = if internal.is_some() { Router::new() } else { early };
        let before = before.fallback(still_joining);
        let clients = self.clients.map(|listener| {
            let (edge, routes) = (Edge::new(edge_config(config)), Arc::new(OnceLock::new()));
            edge.serve(listener, Door { routes: routes.clone(), before });
            (edge, routes)
        });
        Doors { clients, internal }
    }
}

impl Doors {
    /// The clients' sockets.
    pub(super) fn edge(&self) -> Option<Edge> {
        self.clients.as_ref().map(|(edge, _)| edge.clone())
    }

    /// Nothing is answered any more.
    pub(super) fn close(self) {
        let edges = self.edge().into_iter().chain(self.internal.map(|(edge, _)| edge));
        edges.for_each(|edge| edge.stop_accepting());
    }

    /// The process has joined and does its work. `routes` are those for operators: on the internal port if there is one, otherwise beside
    /// the clients'. API calls are left at the given gateway, which keeps their order. Gives the internal port's edge.
    pub(super) fn serve(
        self,
        config: &Config,
        gateway: Option<(&Arc<Intake<Client>>, SocketRoutes)>,
        Served { gateway_config, guesses, routes }: Served,
    ) -> Option<Edge> {
        let guarded = |routes: Router| routes.layer(from_fn_with_state(gateway_config.clone(), gate::check));
        let (mut inside, mut outside) = match self.internal {
            Some(_) => (routes, Router::new()),
            None => (Router::new(), routes),
        };
        if let (Some((intake, sockets)), Some((_, clients))) = (gateway, self.clients) {
            let api = crate::api::routes(gateway_config.clone(), intake.clone(), guesses);
            match config.server.internal_api && self.internal.is_some() {
                true => inside = inside.merge(api),
                false => outside = outside.merge(api),
            }
            let http = outside.merge(crate::api::plain_routes(gateway_config.clone(), intake.clone()));
            clients.set(ClientRoutes { sockets, http: guarded(http) }).expect("it is set here alone");
        }
        let (edge, door) = self.internal?;
        door.set(guarded(inside)).expect("it is set here alone");
        Some(edge)
    }
}

/// Bounds of its own: however many clients there are, a probe finds room.
fn internal_edge(config: &Config) -> Edge {
    Edge::new(EdgeConfig { max_connections: 0, max_http: MAX_INTERNAL, reserve: 0, ..bounds(config) })
}

/// What both ports have in common.
fn bounds(config: &Config) -> EdgeConfig {
    let server = &config.server;
    EdgeConfig {
        reserve: RESERVED_HTTP,
        header_timeout: server.header_timeout,
        body_timeout: server.body_timeout,
        answer_timeout: server.answer_timeout,
        close_timeout: server.close_timeout,
        proxies: server.proxies.clone(),
        ..EdgeConfig::default()
    }
}

/// Most client sockets of a process that may open so many files.
pub fn sockets_within(files: u64, server: &Server) -> usize {
    ringway_edge::default_max_connections(files, server.max_http + RESERVED_HTTP + RESERVED_FILES)
}

/// Limits of the client side: as many sockets as the limit of open files leaves room for.
fn edge_config(config: &Config) -> EdgeConfig {
    let files = ringway_edge::raise_file_limit().unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files is unknown; assuming 1024");
        1024
    });
    let fits = sockets_within(files, &config.server);
    let max_connections = config.server.max_connections.map_or(fits, |wanted| wanted.min(fits));
    info!(max_connections, files, "client sockets");
    EdgeConfig {
        max_connections,
        max_http: config.server.max_http,
        slow_timeout: config.gateway.slow_timeout,
        max_queued: config.gateway.limits.sockets_bytes,
        writers: config.server.writers(),
        ..bounds(config)
    }
}

/// The routes of the sockets of these gateways.
pub(super) fn sockets(
    config: &Config,
    gateway_config: Arc<GatewayConfig>,
    intakes: Vec<Arc<Intake<Client>>>,
    guesses: &Guesses,
) -> SocketRoutes {
    let sockets = SocketRoutes::new(gateway_config, intakes, guesses);
    if config.server.echo { sockets.with_echo() } else { sockets }
}

async fn still_joining() -> (StatusCode, [(HeaderName, &'static str); 1], &'static str) {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], "this member is still joining its cluster; try again\n")
}

impl EdgeRouter for Door<ClientRoutes> {
    async fn route(&self, request: Request<RequestBody>, client: SocketAddr) -> Route {
        let Some(ClientRoutes { sockets, http }) = self.routes.get() else {
            return answer(&self.before, request).await;
        };
        if sockets.is_stream(request.uri().path()) {
            return sockets.stream(request, client.ip()).await;
        }
        match sockets.route(request.uri().path(), request.uri().query(), request.headers(), client.ip()) {
            Some(route) => route,
            None => answer(http, request).await,
        }
    }

    /// A page that is asked for by everybody is no reason to keep whoever mends the cluster waiting.
    fn class(&self, path: &str) -> Class {
        let is_operators = matches!(path, "/health" | "/health/live" | "/metrics") || path.starts_with("/admin/");
        if is_operators { Class::Operator } else { Class::Client }
    }
}

impl EdgeRouter for Door<Router> {
    async fn route(&self, request: Request<RequestBody>, _peer: SocketAddr) -> Route {
        answer(self.routes.get().unwrap_or(&self.before), request).await
    }
}

async fn answer(routes: &Router, request: Request<RequestBody>) -> Route {
    match routes.clone().oneshot(request.map(Body::new)).await {
        Ok(response) => Route::http(response),
        Err(never) => match never as Infallible {},
    }
}
