//! The router against a hub that answers as the test says.

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use ringway_core::id::StreamEpoch;
use ringway_core::message::{Census, Entry, HistoryPage, NodeInfo, Presence, PresencePage};
use ringway_core::{ChannelName, Epoch, Incarnation, MemberId, Position};
use ringway_hub::{ApiAnswer, ApiRequest, Batch, Call, ChannelsPlace, ClientInput, MemberInfo};
use ringway_protocol::api::ApiError;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

mod batches;
mod openapi;

const KEY: &str = "the key";

fn config() -> GatewayConfig {
    GatewayConfig { api_key: Some(KEY.into()), ..GatewayConfig::open() }
}

/// Sends a request to a router whose hub gives these answers, one after the other. None of the body if it was broken off.
async fn paged(body: Value, answers: Vec<ApiAnswer>) -> (Vec<(Option<u64>, i32)>, Option<Value>) {
    let (asked, body) = told("/api/history", body, answers).await;
    let histories = asked.into_iter().map(|request| match request {
        ApiRequest::History(history) => (history.since.map(|since| since.offset), history.limit),
        request => panic!("{request:?}"),
    });
    (histories.collect(), body)
}

/// The same, with what the hub was asked.
async fn told(path: &str, body: Value, answers: Vec<ApiAnswer>) -> (Vec<ApiRequest>, Option<Value>) {
    let (asked, body) = exchange_all(config(), post(path, body.to_string()), answers).await;
    (asked, body.map(|body| serde_json::from_str(&body).unwrap()))
}

/// Sends a request to a router whose hub gives these answers, and is asked for no more.
async fn exchange_all(
    config: GatewayConfig,
    request: Request<Body>,
    answers: Vec<ApiAnswer>,
) -> (Vec<ApiRequest>, Option<String>) {
    let intake = Arc::new(Intake::new(1 << 20));
    let router = routes(Arc::new(config), intake.clone(), Guesses::default());
    let asked = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let seen = asked.clone();
    let hub = tokio::spawn(async move {
        let mut batch = Batch::default();
        for answer in answers {
            intake.arrived().await;
            intake.take(&mut batch);
            let Some(ClientInput::Call(Call { request, reply })) = batch.inputs.pop() else { panic!("a call") };
            seen.lock().push(request);
            reply.send(answer);
        }
        intake.arrived().await;
        panic!("asked for more than there is");
    });
    let response = router.oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.ok();
    assert!(!hub.is_finished());
    hub.abort();
    let asked = std::mem::take(&mut *asked.lock());
    (asked, body.map(|body| String::from_utf8(body.to_bytes().to_vec()).unwrap()))
}

fn page(offsets: impl Iterator<Item = u64>, more: bool) -> ApiAnswer {
    let entry = |offset: u64| Entry::of(offset.to_string().as_bytes());
    let publications = offsets.map(|offset| (offset, entry(offset))).collect();
    ApiAnswer::History(HistoryPage { top: at(9), publications, more })
}

#[tokio::test]
async fn a_long_history_is_one_body_of_many_pages() {
    let offsets = |body: &Value| -> Vec<u64> {
        let publications = body["result"]["publications"].as_array().unwrap().iter();
        publications.map(|publication| publication["offset"].as_u64().unwrap()).collect()
    };
    let all = json!({"channel": "news", "limit": -1});
    let failed = ApiAnswer::Failed(ApiError::Internal);
    let answers = vec![page(1..=3, true), failed, page(4..=4, true), page(5..=9, false)];
    let (asked, body) = paged(all.clone(), answers).await;
    let body = body.unwrap();
    assert_eq!((offsets(&body), &body["result"]["offset"]), ((1..=9).collect(), &json!(9)));
    assert_eq!(asked, [(None, -1), (Some(3), 6), (Some(3), 6), (Some(4), 5)]);
    let down = json!({"channel": "news", "limit": 5, "reverse": true});
    let (asked, body) = paged(down, vec![page((7..=9).rev(), true), page((5..=6).rev(), false)]).await;
    assert_eq!((offsets(&body.unwrap()), asked), (vec![9, 8, 7, 6, 5], vec![(None, 5), (Some(7), 2)]));
    let (_, body) = paged(all, vec![page(1..=3, true), page(7..=9, false)]).await;
    assert_eq!(body, None, "what came between is gone: no answer with a hole in it");
}

const CENSUS: Census = Census { node: Incarnation(2), epoch: Epoch(1), losses: 0 };

fn presence(clients: std::ops::RangeInclusive<u128>, more: bool) -> ApiAnswer {
    let one = |client| Presence { client, user: "ann".into(), conn_info: None, chan_info: None };
    ApiAnswer::Presence(PresencePage { census: CENSUS, clients: clients.map(one).collect(), more })
}

#[tokio::test]
async fn very_many_who_are_present_are_one_body_of_many_pages() {
    let who = || json!({"channel": "news"});
    let failed = |error| ApiAnswer::Failed(error);
    let answers =
        vec![presence(1..=2, true), failed(ApiError::Internal), presence(3..=3, true), presence(4..=5, false)];
    let (asked, body) = told("/api/presence", who(), answers).await;
    let clients = body.unwrap()["result"]["presence"].as_object().unwrap().len();
    let behind = asked.iter().map(|request| match request {
        ApiRequest::Presence(_) => None,
        ApiRequest::MorePresence(query) => query.after,
        request => panic!("{request:?}"),
    });
    let after = |client| Some((client, CENSUS));
    assert_eq!((clients, behind.collect::<Vec<_>>()), (5, vec![None, after(2), after(2), after(3)]));
    let answers = vec![presence(1..=2, true), failed(ApiError::UnrecoverablePosition)];
    assert_eq!(told("/api/presence", who(), answers).await.1, None, "half of them is not all of them");
}

/// Channels of these numbers with long names, and where the next ones are.
fn channels(numbers: std::ops::Range<u32>, next: Option<u64>) -> ApiAnswer {
    let long = |number| ChannelName::new(&format!("{number:05}-{}", "x".repeat(200))).unwrap();
    let place = |epoch| ChannelsPlace { epoch: Epoch(epoch), node: Incarnation(2), after: None };
    ApiAnswer::Channels(numbers.map(|number| (long(number), number)).collect(), next.map(place))
}

#[tokio::test]
async fn very_many_channels_are_one_body_of_many_pages() {
    let changed = || ApiAnswer::Failed(ApiError::UnrecoverablePosition);
    let count = |body: Option<Value>| body.map(|body| body["result"]["channels"].as_object().unwrap().len());
    // A view that changes before anything was told costs nobody anything.
    let answers = vec![channels(0..200, Some(1)), changed(), channels(0..400, Some(2)), channels(400..800, None)];
    let (asked, body) = told("/api/channels", json!({}), answers).await;
    let places = asked.iter().map(|request| match request {
        ApiRequest::Channels(place) => place.as_ref().map(|place| place.epoch.0),
        request => panic!("{request:?}"),
    });
    assert_eq!((count(body), places.collect::<Vec<_>>()), (Some(800), vec![None, Some(1), None, Some(2)]));
    let answers = || vec![channels(0..600, Some(1)), channels(600..1200, Some(1)), channels(1200..1201, None)];
    assert_eq!(count(told("/api/channels", json!({}), answers()).await.1), Some(1201));
    let one = json!({"pattern": "01200*"});
    assert_eq!(count(told("/api/channels", one, answers()).await.1), Some(1), "few of many");
    let broken = vec![channels(0..600, Some(1)), changed()];
    assert_eq!(told("/api/channels", json!({}), broken).await.1, None, "half of them is not all of them");
}

/// Sends a request to a router whose hub gives `answer` to the first call.
async fn exchange(
    config: GatewayConfig,
    request: Request<Body>,
    answer: impl FnOnce(ApiRequest) -> ApiAnswer + Send + 'static,
) -> (StatusCode, String) {
    let intake = Arc::new(Intake::new(1 << 20));
    let config = Arc::new(config);
    let router = routes(config.clone(), intake.clone(), Guesses::default()).merge(plain_routes(config, intake.clone()));
    let hub = tokio::spawn(async move {
        intake.arrived().await;
        let mut batch = Batch::default();
        intake.take(&mut batch);
        if let Some(ClientInput::Call(Call { request, reply })) = batch.inputs.pop() {
            reply.send(answer(request));
        }
    });
    let response = router.oneshot(request).await.unwrap();
    hub.abort();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[allow(clippy::needless_pass_by_value, reason = "the shape of an answer")]
fn never(request: ApiRequest) -> ApiAnswer {
    panic!("the hub was asked: {request:?}")
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).header("X-API-Key", KEY).body(body.into()).unwrap()
}

async fn result(path: &str, body: Value, answer: ApiAnswer) -> Value {
    let (status, body) = exchange(config(), post(path, body.to_string()), |_| answer).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn at(offset: u64) -> Position {
    Position { epoch: StreamEpoch::parse("abcdefgh").unwrap(), offset }
}

#[tokio::test]
async fn the_methods_have_the_shapes_of_the_reference() {
    let place = json!({"result": {"offset": 1, "epoch": "abcdefgh"}});
    let publish = json!({"channel": "news", "data": {"a": 1}});
    assert_eq!(result("/api/publish", publish.clone(), ApiAnswer::Published(Some(at(1)))).await, place);
    assert_eq!(result("/api/publish", publish.clone(), ApiAnswer::Published(None)).await, json!({"result": {}}));
    let failed = ApiAnswer::Failed(ApiError::UnknownChannel);
    let error = json!({"error": {"code": 102, "message": "unknown channel"}});
    assert_eq!(result("/api/publish", publish, failed).await, error);
    let parts = ApiAnswer::Broadcast(vec![Ok(Some(at(1))), Err(ApiError::UnknownChannel)]);
    let broadcast = json!({"channels": ["a", "b:c"], "data": 1});
    assert_eq!(result("/api/broadcast", broadcast, parts).await, json!({"result": {"responses": [place, error]}}));
    let present = || presence(1..=1, false);
    let client = uuid::Uuid::from_u128(1).to_string();
    let expected = json!({"result": {"presence": {&client: {"user": "ann", "client": &client}}}});
    assert_eq!(result("/api/presence", json!({"channel": "news"}), present()).await, expected);
    let expected = json!({"result": {"num_clients": 1, "num_users": 1}});
    assert_eq!(
        result("/api/presence_stats", json!({"channel": "news"}), ApiAnswer::PresenceStats(1, 1)).await,
        expected
    );
    let history = ApiAnswer::History(HistoryPage { top: at(2), publications: Vec::new(), more: false });
    let expected = json!({"result": {"publications": [], "epoch": "abcdefgh", "offset": 2}});
    assert_eq!(result("/api/history", json!({"channel": "news", "limit": 0}), history).await, expected);
    assert_eq!(result("/api/disconnect", json!({"user": "ann"}), ApiAnswer::Done).await, json!({"result": {}}));
}

#[tokio::test]
async fn members_and_channels_are_listed() {
    let member = MemberInfo {
        id: MemberId::new("node-1").unwrap(),
        incarnation: Incarnation(7),
        sockets: 3,
        node: NodeInfo { users: 2, channels: 4, ..NodeInfo::default() },
    };
    let info = result("/api/info", json!({}), ApiAnswer::Info(vec![member])).await;
    let node = &info["result"]["nodes"][0];
    assert_eq!((&node["name"], &node["num_clients"], &node["num_channels"]), (&json!("node-1"), &json!(3), &json!(4)));
    let name = |name: &str| ChannelName::new(name).unwrap();
    let found = ApiAnswer::Channels(vec![(name("b:1"), 2), (name("a:1"), 1), (name("c"), 1)], None);
    let channels = result("/api/channels", json!({"pattern": "*:1"}), found).await;
    let expected = json!({"result": {"channels": {"a:1": {"num_clients": 1}, "b:1": {"num_clients": 2}}}});
    assert_eq!(channels, expected);
}

#[tokio::test]
async fn a_publication_is_handed_on_whole() {
    let body = json!({"channel": "news", "data": {"a": [1, 2]}, "tags": {"k": "v"}, "idempotency_key": "once"});
    let (status, _) = exchange(config(), post("/api/publish", format!("{body:#}")), |request| {
        let ApiRequest::Publish(publish) = request else { panic!("{request:?}") };
        assert_eq!(publish.entry.data(), br#"{"a":[1,2]}"#, "compact");
        assert_eq!(publish.entry.tags().collect::<Vec<_>>(), [("k", "v")]);
        assert_eq!((publish.entry.publisher(), publish.idempotency_key), (None, Some("once".into())));
        ApiAnswer::Published(None)
    })
    .await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn without_the_key_nothing_is_done() {
    let body = r#"{"channel":"news","data":1}"#;
    let request =
        |header: &str, value: &str| Request::post("/api/publish").header(header, value).body(body.into()).unwrap();
    for refused in [request("x-other", "1"), request("x-api-key", "wrong"), request("authorization", "Bearer the key")]
    {
        let (status, text) = exchange(config(), refused, never).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(text.contains("key"), "{text}");
    }
    let in_query = |query: &str| Request::post(format!("/api/publish?{query}")).body(body.into()).unwrap();
    for refused in ["api_key=wrong", "api_key=", "api-key=the+key", "a=1"] {
        assert_eq!(exchange(config(), in_query(refused), never).await.0, StatusCode::UNAUTHORIZED, "{refused}");
    }
    for let_in in ["api_key=the%20key", "a=1&api_key=the+key"] {
        let answer = exchange(config(), in_query(let_in), |_| ApiAnswer::Published(None)).await;
        assert_eq!(answer.0, StatusCode::OK, "{let_in}");
    }
    let keyless = || GatewayConfig { api_key: None, ..config() };
    assert_eq!(exchange(keyless(), request("x-api-key", KEY), never).await.0, StatusCode::UNAUTHORIZED);
    let insecure = GatewayConfig { api_insecure: true, ..keyless() };
    assert_eq!(exchange(insecure, in_query("a=1"), |_| ApiAnswer::Published(None)).await.0, StatusCode::OK);
    for let_in in [request("x-api-key", KEY), request("authorization", "apikey the key")] {
        assert_eq!(exchange(config(), let_in, |_| ApiAnswer::Published(None)).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn bad_requests_have_their_status() {
    let get = Request::get("/api/publish").header("X-API-Key", KEY).body(Body::empty()).unwrap();
    let table = [
        (post("/api/publish", "{\"channel\":"), StatusCode::BAD_REQUEST),
        (post("/api/publish", ""), StatusCode::BAD_REQUEST),
        (post("/api/publish", "[]"), StatusCode::BAD_REQUEST),
        (post("/api/publish", vec![b' '; 2 << 20]), StatusCode::PAYLOAD_TOO_LARGE),
        (post("/api/nonsense", "{}"), StatusCode::NOT_FOUND),
        (get, StatusCode::METHOD_NOT_ALLOWED),
    ];
    for (request, expected) in table {
        let name = format!("{} {}", request.method(), request.uri());
        assert_eq!(exchange(config(), request, never).await.0, expected, "{name}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_an_error_in_the_answer() {
    for (path, body) in [
        ("/api/publish", json!({"channel": "news"})),
        ("/api/channels", json!({"pattern": "["})),
        ("/api/disconnect", json!({"user": "ann", "disconnect": {"code": 1000}})),
    ] {
        let (status, text) = exchange(config(), post(path, body.to_string()), never).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::OK, &json!(107)));
    }
    let nobody = json!({"user": "ann", "client": "no such id"});
    assert_eq!(exchange(config(), post("/api/disconnect", nobody.to_string()), never).await.1, r#"{"result":{}}"#);
}

#[tokio::test]
async fn errors_are_statuses_for_those_who_wish_it() {
    let body = r#"{"channel":"news","data":1}"#;
    let statuses = GatewayConfig { api_errors: ErrorMode::Transport, ..config() };
    let mut wishes = post("/api/publish", body);
    wishes.headers_mut().insert("X-Centrifugo-Error-Mode", "transport".parse().unwrap());
    let mut other = post("/api/publish", body);
    other.headers_mut().insert("X-Centrifugo-Error-Mode", "other".parse().unwrap());
    let failed = |_| ApiAnswer::Failed(ApiError::UnrecoverablePosition);
    let bare = r#"{"code":112,"message":"unrecoverable position"}"#;
    assert_eq!(exchange(config(), wishes, failed).await, (StatusCode::RANGE_NOT_SATISFIABLE, bare.to_owned()));
    assert_eq!(exchange(statuses, post("/api/publish", body), failed).await.1, bare);
    assert_eq!(exchange(config(), other, failed).await.0, StatusCode::OK);
    use ApiError::{BadRequest, Conflict, Internal, NotAvailable, NotFound, UnknownChannel, UnrecoverablePosition};
    let all = [Internal, UnknownChannel, NotFound, BadRequest, NotAvailable, UnrecoverablePosition, Conflict];
    assert_eq!(all.map(ApiError::status), [500, 404, 404, 400, 400, 416, 409]);
}

#[tokio::test]
async fn there_are_no_extensions() {
    for (body, code) in [(json!({"method": "x", "params": {}}), 104), (json!({}), 107)] {
        let (_, text) = exchange(config(), post("/api/rpc", body.to_string()), never).await;
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["error"]["code"], json!(code));
    }
}

#[tokio::test]
async fn too_much_at_once_is_503() {
    let request = post("/api/publish", r#"{"channel":"news","data":1}"#);
    assert_eq!(exchange(config(), request, |_| ApiAnswer::Overloaded).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn the_way_in_from_outside_answers_ok() {
    for prefix in ["", "/ufire-websocket"] {
        for method in ["GET", "POST"] {
            let path = format!("{prefix}/websocket/to/b%C3%A9a/hello%20there%2F/you");
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let (status, text) = exchange(config(), request, |request| {
                let ApiRequest::Say(user, data) = request else { panic!("{request:?}") };
                assert_eq!(user.as_str(), "béa");
                assert_eq!(data, Bytes::from_static(br#"{"content":"hello there//you","from":null}"#));
                ApiAnswer::Published(Some(at(1)))
            })
            .await;
            assert_eq!((status, text.as_str()), (StatusCode::OK, "OK"));
        }
    }
}

#[tokio::test]
async fn the_way_in_from_outside_says_what_is_wrong() {
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let (status, text) = exchange(config(), get("/websocket/to/a%23b/hi"), never).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.contains("user name"), "{text}");
    assert_eq!(exchange(config(), get("/websocket/to/%FF/hi"), never).await.0, StatusCode::BAD_REQUEST);
    let failed = |_| ApiAnswer::Failed(ApiError::Internal);
    let (status, text) = exchange(config(), get("/websocket/to/bob/hi"), failed).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("did not acknowledge"), "{text}");
    let closed = GatewayConfig { plain: None, ..config() };
    assert_eq!(exchange(closed, get("/websocket/to/bob/hi"), never).await.0, StatusCode::NOT_FOUND);
}
