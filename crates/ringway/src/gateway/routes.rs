//! Paths where a socket opens:
//!
//! | path | protocol | if |
//! |---|---|---|
//! | `/connection/websocket` | Centrifuge, JSON or Protobuf | always |
//! | `/socket/{user}`, `{prefix}/socket/{user}` | plain | plain is on |
//! | `/echo` | every message comes back | `with_echo` |

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use percent_encoding::percent_decode_str;
use ringway_core::UserName;
use ringway_edge::hyper::StatusCode;
use ringway_edge::hyper::header::{HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use ringway_edge::{ConnOptions, ECHO_MAX_MESSAGE, Echo, Route, Upgrade, plain_response};
use ringway_hub::{KeySet, Verifier};

use super::desk::{Desk, Desks, Refusals};
use super::handler::{CentrifugeHandler, Form, PlainHandler};
use super::intake::Intake;
use super::pace::Pace;
use super::wall_clock::since_1970;
use super::{Client, GatewayConfig, origin};
use crate::guesses::Guesses;

/// What people are told who chose another name.
pub(crate) const USER_NAME_RULE: &str =
    "A user name has 1 to 128 bytes and no space, control character, ':', '#', ',' or '/'.";

/// Decides which handler serves an upgrade.
#[derive(Debug)]
pub struct SocketRoutes {
    pub(super) desks: Desks,
    pub(super) refusals: Arc<Refusals>,
    pub(super) config: Arc<GatewayConfig>,
    has_echo: bool,
    key_sets: Vec<Arc<KeySet>>,
}

impl SocketRoutes {
    /// The routes of the gateways whose hubs take from these intakes, of which there is one at least. Wrong tokens are counted with other guesses.
    pub fn new(config: Arc<GatewayConfig>, intakes: Vec<Arc<Intake<Client>>>, guesses: &Guesses) -> Self {
        let verifier = Verifier::of(&config.tokens, since_1970);
        let refusals = Arc::new(Refusals { tokens: verifier.faults(), ..Refusals::default() });
        let key_sets = verifier.key_sets().to_vec();
        let pace = Arc::new(Pace::new(config.limits.commands_per_second, config.limits.command_burst));
        let (verifier, limits) = (Arc::new(verifier), config.hub.limits);
        let desk = |intake| {
            let (verifier, pace, refusals) = (verifier.clone(), pace.clone(), refusals.clone());
            Arc::new(Desk { intake, verifier, limits, pace, refusals, guesses: guesses.clone() })
        };
        let desks = Desks::new(intakes.into_iter().map(desk).collect());
        Self { refusals, desks, config, has_echo: false, key_sets }
    }

    /// With `/echo`, for load generators and conformance suites: anybody may use it.
    #[must_use]
    pub fn with_echo(mut self) -> Self {
        self.has_echo = true;
        self
    }

    /// Keys that somebody has to fetch.
    pub fn key_sets(&self) -> Vec<Arc<KeySet>> {
        self.key_sets.clone()
    }

    /// Counters of those who are sent away.
    pub fn refusals(&self) -> Arc<Refusals> {
        self.refusals.clone()
    }

    /// What a request from this address gets, if its path is one of these.
    pub fn route(&self, path: &str, query: Option<&str>, headers: &HeaderMap, from: IpAddr) -> Option<Route> {
        let plain = self.config.plain.as_ref();
        if path == "/connection/websocket" {
            return Some(self.guarded(headers, || {
                let (form, named) = form_of(query, headers);
                let handler = CentrifugeHandler::new(self.desks.deal().clone(), from, form);
                let upgrade = Upgrade::new(handler, self.options());
                Route::Upgrade(match named {
                    Some(name) => upgrade.with_subprotocol(name),
                    None => upgrade,
                })
            }));
        }
        if path == "/echo" && self.has_echo {
            let options = ConnOptions { max_message: ECHO_MAX_MESSAGE, max_outbox: 2 * ECHO_MAX_MESSAGE };
            return Some(Route::Upgrade(Upgrade::new(Echo, options)));
        }
        let user = under_prefix(path, &plain?.prefix).strip_prefix("/socket/")?;
        Some(self.guarded(headers, || match user_of(user) {
            Ok(user) => {
                Route::Upgrade(Upgrade::new(PlainHandler::new(self.desks.deal().clone(), user), self.options()))
            }
            Err(why) => {
                self.refusals.user_name.fetch_add(1, Ordering::Relaxed);
                Route::Http(plain_response(StatusCode::BAD_REQUEST, why))
            }
        }))
    }

    pub(super) fn options(&self) -> ConnOptions {
        ConnOptions { max_message: self.config.limits.message_bytes, max_outbox: self.config.hub.limits.outbox_bytes }
    }

    fn guarded(&self, headers: &HeaderMap, route: impl FnOnce() -> Route) -> Route {
        if !origin::is_allowed(headers, &self.config) {
            self.refusals.origin.fetch_add(1, Ordering::Relaxed);
            return Route::Http(plain_response(StatusCode::FORBIDDEN, FOREIGN_PAGE));
        }
        route()
    }
}

/// What pages are told that may not connect.
pub(super) const FOREIGN_PAGE: &str = "this page may not connect here: its origin is not among the gateway's allowed_origins, or it has a host name that is not among \
     [server] names\n";

/// The forms of the protocol by their names among subprotocols. A browser that offers one and is not answered with it closes the socket.
const SUBPROTOCOLS: [(&str, Form); 2] = [("centrifuge-json", Form::Json), ("centrifuge-protobuf", Form::Protobuf)];

/// In which form a client speaks, and by which name it is answered: the first that it offers of those that we know. Who names none
/// speaks JSON, unless the query says otherwise.
fn form_of(query: Option<&str>, headers: &HeaderMap) -> (Form, Option<&'static str>) {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|line| line.to_str().ok());
    let known = |offered: &str| SUBPROTOCOLS.into_iter().find(|(name, _)| *name == offered.trim());
    let offered = lines.flat_map(|line| line.split(',')).find_map(known);
    let asks = |pair: &str| matches!(pair, "format=protobuf" | "cf_protocol=protobuf");
    let form = match offered {
        _ if query.is_some_and(|query| query.split('&').any(asks)) => Form::Protobuf,
        Some((_, form)) => form,
        None => Form::Json,
    };
    (form, offered.map(|(name, _)| name))
}

/// The path without the prefix, where it has it.
fn under_prefix<'a>(path: &'a str, prefix: &str) -> &'a str {
    path.strip_prefix(prefix).filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// The user named by a path, or what is wrong with it.
fn user_of(encoded: &str) -> Result<UserName, String> {
    let bad = |why: &dyn std::fmt::Display| format!("this is not a user name: {why}. {USER_NAME_RULE}\n");
    let name = percent_decoded(encoded).ok_or_else(|| bad(&"its percent-encoding is broken"))?;
    UserName::new(&name).map_err(|error| bad(&error))
}

/// Undoes percent-encoding. `None` if it is broken or no text: the crate would take a broken one as it is, and a user would come to an inbox of another
/// name.
fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    let is_whole = |rest: &str| rest.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    text.split('%').skip(1).all(is_whole).then(|| percent_decode_str(text).decode_utf8().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(config: GatewayConfig) -> SocketRoutes {
        SocketRoutes::new(Arc::new(config), vec![Arc::new(Intake::new(1))], &Guesses::default())
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn status(route: Option<Route>) -> Option<u16> {
        route.map(|route| match route {
            Route::Http(response) => response.status().as_u16(),
            Route::Upgrade(_) => 101,
            Route::Stream(_) => 200,
        })
    }

    #[test]
    fn the_table_holds() {
        let open = routes(GatewayConfig::open());
        let closed = routes(GatewayConfig::default());
        let table = [
            ("/connection/websocket", Some(101), Some(101)),
            ("/socket/ann", Some(101), None),
            ("/ufire-websocket/socket/ann", Some(101), None),
            ("/ufire-websocketsocket/ann", None, None),
            ("/socket/", Some(400), None),
            ("/socket/a%20b", Some(400), None),
            ("/socket/a%2", Some(400), None),
            ("/socket/a%", Some(400), None),
            ("/socket/%zz", Some(400), None),
            ("/socket/%+1", Some(400), None),
            ("/socket/%FF", Some(400), None),
            ("/socket/100%25", Some(101), None),
            ("/socket/a+b", Some(101), None),
            ("/socket/%C3%A9", Some(101), None),
            ("/socket/a/b", Some(400), None),
            ("/echo", None, None),
            ("/api/publish", None, None),
        ];
        for (path, when_open, when_closed) in table {
            assert_eq!(status(open.route(path, None, &HeaderMap::new(), HERE)), when_open, "{path}");
            assert_eq!(status(closed.route(path, None, &HeaderMap::new(), HERE)), when_closed, "{path}");
        }
        assert_eq!(status(open.with_echo().route("/echo", None, &HeaderMap::new(), HERE)), Some(101));
    }

    #[test]
    fn sockets_are_dealt_to_those_gateways_that_take_them() {
        let intakes: Vec<_> = (0..3).map(|_| Arc::new(Intake::<Client>::new(1))).collect();
        let routes = SocketRoutes::new(Arc::new(GatewayConfig::open()), intakes.clone(), &Guesses::default());
        let dealt = |count: usize| {
            let mut dealt = [0; 3];
            for _ in 0..count {
                let desk = routes.desks.deal();
                dealt[intakes.iter().position(|intake| Arc::ptr_eq(intake, &desk.intake)).unwrap()] += 1;
            }
            dealt
        };
        assert_eq!(dealt(9), [3, 3, 3]);
        intakes[1].set_takes_sockets(false);
        assert_eq!(dealt(9), [3, 0, 6], "the next one takes them");
        intakes[0].set_takes_sockets(false);
        intakes[2].set_takes_sockets(false);
        assert_eq!(dealt(9), [3, 3, 3], "where none takes sockets they must go somewhere");
        intakes[1].set_takes_sockets(true);
        assert_eq!(dealt(9), [0, 9, 0]);
    }

    #[test]
    fn the_form_is_the_first_that_is_offered_or_what_the_query_says() {
        let (json, protobuf) = (Some("centrifuge-json"), Some("centrifuge-protobuf"));
        for (query, offered, expected) in [
            (None, &[][..], (Form::Json, None)),
            (None, &["chat, superchat"], (Form::Json, None)),
            (None, &["centrifuge-json"], (Form::Json, json)),
            (None, &["centrifuge-protobuf"], (Form::Protobuf, protobuf)),
            (None, &["centrifuge-protobuf,  centrifuge-json"], (Form::Protobuf, protobuf)),
            (None, &["chat", "centrifuge-json,centrifuge-protobuf"], (Form::Json, json)),
            (Some("format=protobuf"), &[], (Form::Protobuf, None)),
            (Some("a=b&cf_protocol=protobuf"), &["chat"], (Form::Protobuf, None)),
            (Some("format=protobuf"), &["centrifuge-json"], (Form::Protobuf, json)),
            (Some("format=json&cf_protocol_version=v2&xformat=protobuf"), &[], (Form::Json, None)),
        ] {
            let mut headers = HeaderMap::new();
            for line in offered {
                headers.append("sec-websocket-protocol", line.parse().unwrap());
            }
            assert_eq!(form_of(query, &headers), expected, "{query:?} {offered:?}");
        }
    }

    #[test]
    fn an_overlong_name_is_refused() {
        let path = format!("/socket/{}", "a".repeat(129));
        assert_eq!(status(routes(GatewayConfig::open()).route(&path, None, &HeaderMap::new(), HERE)), Some(400));
    }

    #[test]
    fn foreign_pages_are_refused() {
        let mut headers = HeaderMap::new();
        headers.insert("origin", "https://evil.example".parse().unwrap());
        headers.insert("host", "chat.example".parse().unwrap());
        let routes = routes(GatewayConfig::default());
        assert_eq!(status(routes.route("/connection/websocket", None, &headers, HERE)), Some(403));
        assert_eq!(routes.refusals().origin.load(Ordering::Relaxed), 1);
    }
}
