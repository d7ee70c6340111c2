//! `/openapi.json`: the server API for programs that make clients of it. The tables are held to the code by a test.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::methods::Method;

/// A field of a request or a result: its name, what it holds, and what it means.
type Field = (&'static str, Kind, &'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Flag,
    /// Any JSON.
    Json,
    Texts,
    /// An object of texts.
    Tags,
    /// A position: offset and epoch.
    Place,
    Object,
    List,
}

const CHANNEL: Field = ("channel", Kind::Text, "The channel's full name.");
const USER: Field = ("user", Kind::Text, "Whose connections; empty for anonymous clients.");
const CLIENT: Field = ("client", Kind::Text, "Only the connection with this id.");
const SESSION: Field = ("session", Kind::Text, "Only the connection with this session.");
const PLACE: &[Field] =
    &[("offset", Kind::Number, "Where it stands in its stream."), ("epoch", Kind::Text, "Which life of the stream.")];

/// What a publication may have, beside where it goes.
const PUBLICATION: &[Field] = &[
    ("data", Kind::Json, "The payload."),
    ("b64data", Kind::Text, "The payload in Base64, instead of data."),
    ("skip_history", Kind::Flag, "It is delivered and not kept."),
    ("tags", Kind::Tags, "What goes along with the payload."),
    ("idempotency_key", Kind::Text, "A repeat within 300 s is answered as the first one."),
    ("delta", Kind::Flag, "Asks for delta compression, where subscribers and channel have it."),
    ("version", Kind::Number, "Of the state that it tells of: one that is not newer is not delivered."),
    ("version_epoch", Kind::Text, "What version counts in."),
];

impl Method {
    fn about(self) -> &'static str {
        match self {
            Self::Publish => "Publishes to a channel.",
            Self::Broadcast => "Publishes the same to several channels.",
            Self::Subscribe => "Subscribes a user's connections to a channel.",
            Self::Unsubscribe => "Ends subscriptions of a user's connections.",
            Self::Disconnect => "Closes a user's connections.",
            Self::History => "Reads a part of a stream.",
            Self::HistoryRemove => "Drops what is kept of a channel.",
            Self::Presence => "Tells who is in a channel.",
            Self::PresenceStats => "Tells how many are in a channel.",
            Self::Info => "Tells what the members of the cluster hold.",
            Self::Rpc => "Calls an extension. There are none.",
            Self::Refresh => "Says until when a user's connections may stay.",
            Self::Channels => "Tells which channels have subscribers.",
        }
    }

    /// Fields of its request.
    pub(super) fn request(self) -> Vec<Field> {
        let with = |fields: &[Field], more: &[Field]| [fields, more].concat();
        match self {
            Self::Publish => with(&[CHANNEL], PUBLICATION),
            Self::Broadcast => with(&[("channels", Kind::Texts, "Where to.")], PUBLICATION),
            Self::Subscribe => with(
                &[USER, CHANNEL, CLIENT, SESSION],
                &[
                    ("info", Kind::Json, "What others in the channel see beside the user."),
                    ("b64info", Kind::Text, "The same in Base64."),
                    ("data", Kind::Json, "For the client."),
                    ("b64data", Kind::Text, "The same in Base64."),
                    ("recover_since", Kind::Place, "Behind which the subscription begins."),
                    ("override", Kind::Object, "Settings of the channel that are other for these connections."),
                    ("expire_at", Kind::Number, "When it ends, in seconds of Unix time; 0 for never."),
                ],
            ),
            Self::Unsubscribe => vec![USER, ("channel", Kind::Text, "From what; empty for all."), CLIENT, SESSION],
            Self::Disconnect => with(
                &[USER, CLIENT, SESSION],
                &[
                    ("whitelist", Kind::Texts, "Ids of connections that stay."),
                    ("disconnect", Kind::Object, "Code and reason of the close frame."),
                ],
            ),
            Self::History => with(
                &[CHANNEL],
                &[
                    ("limit", Kind::Number, "How many at most; 0: the position alone; -1: all."),
                    ("since", Kind::Place, "From where on."),
                    ("reverse", Kind::Flag, "From the newest down."),
                ],
            ),
            Self::HistoryRemove | Self::Presence | Self::PresenceStats => vec![CHANNEL],
            Self::Info => Vec::new(),
            Self::Rpc => vec![("method", Kind::Text, "Which.")],
            Self::Refresh => with(
                &[USER, CLIENT, SESSION],
                &[
                    ("expired", Kind::Flag, "They may stay no longer."),
                    ("expire_at", Kind::Number, "Until when, in seconds of Unix time; 0 for ever."),
                    ("info", Kind::Json, "What others see beside the user from now on."),
                ],
            ),
            Self::Channels => vec![("pattern", Kind::Text, "A glob; empty for all.")],
        }
    }

    /// Fields of its result.
    fn result(self) -> Vec<Field> {
        match self {
            Self::Publish => PLACE.to_vec(),
            Self::Broadcast => vec![("responses", Kind::List, "For each channel a result or an error, in order.")],
            Self::History => {
                [&[("publications", Kind::List, "Offsets with data, tags, and publishers.")], PLACE].concat()
            }
            Self::Presence => vec![("presence", Kind::Object, "Who is there, by the ids of their connections.")],
            Self::PresenceStats => {
                vec![("num_clients", Kind::Number, "Connections."), ("num_users", Kind::Number, "Different users.")]
            }
            Self::Info => vec![("nodes", Kind::List, "The members of the cluster.")],
            Self::Channels => vec![("channels", Kind::Object, "Names, each with num_clients.")],
            Self::Rpc => vec![("data", Kind::Json, "What the extension answers.")],
            _ => Vec::new(),
        }
    }
}

/// Answers with the document.
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document().to_string()).into_response()
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Method::ALL.iter().map(|method| path(*method)).collect();
    let commands = Method::ALL.iter().map(|method| (method.name().to_owned(), schema(&method.request())));
    let commands = json!({"type": "array", "items": {"type": "object", "properties": commands.collect::<Map<_, _>>()}});
    let batch = json!({"type": "object", "properties": {"commands": commands, "parallel": {"type": "boolean"}}});
    let replies = json!({"type": "object", "properties": {"replies": {"type": "array", "items": {"type": "object"}}}});
    paths.insert(
        "/api/batch".into(),
        post("batch", "Does several of these, each answered in its place.", &batch, &replies),
    );
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Ringway server API", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "security": [{"header": []}, {"query": []}],
        "components": {
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "query": {"type": "apiKey", "in": "query", "name": "api_key"},
            },
            "schemas": {"Error": schema(&[
                ("code", Kind::Number, "Which error."),
                ("message", Kind::Text, "The same for people."),
            ])},
        },
    })
}

fn path(method: Method) -> (String, Value) {
    let error = json!({"$ref": "#/components/schemas/Error"});
    let answer = json!({"type": "object", "properties": {"result": schema(&method.result()), "error": error}});
    (format!("/api/{}", method.name()), post(method.name(), method.about(), &schema(&method.request()), &answer))
}

fn post(name: &str, about: &str, request: &Value, answer: &Value) -> Value {
    let content = |schema: &Value| json!({"application/json": {"schema": schema}});
    json!({"post": {
        "operationId": name,
        "summary": about,
        "requestBody": {"required": true, "content": content(request)},
        "responses": {
            "200": {"description": "It was read; see error for whether it was done.", "content": content(answer)},
            "400": {"description": "The body cannot be read, and nothing was done."},
            "401": {"description": "The key is missing or wrong."},
            "503": {"description": "Too much is waiting: try again."},
        },
    }})
}

fn schema(fields: &[Field]) -> Value {
    let property = |(name, kind, about): &Field| {
        let mut schema = kind.schema();
        schema["description"] = json!(about);
        ((*name).to_owned(), schema)
    };
    json!({"type": "object", "properties": fields.iter().map(property).collect::<Map<_, _>>()})
}

impl Kind {
    fn schema(self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Number => json!({"type": "integer"}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Json => json!({}),
            Self::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Self::Tags => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            Self::Place => schema(PLACE),
            Self::Object => json!({"type": "object"}),
            Self::List => json!({"type": "array", "items": {"type": "object"}}),
        }
    }
}
