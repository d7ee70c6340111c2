//! A small HTTP/1.1 client for the server API, the admin API and the pages beside them: one connection, one request after the other.
//! The command line, the load generator and the tests use it, and whoever fetches the keys that issuers of tokens publish.

mod site;
mod target;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

pub use site::Site;
pub use target::Target;

/// No answer of ours is larger; a page that never ends must not fill the memory.
const LARGEST_BODY: usize = 64 * 1024 * 1024;
/// Longer than any deadline of the server, so that its own error is seen first.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// All header fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text, with replacement characters where it is none.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is none; the error shows what it is.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {}, not JSON: {:?}", self.status, self.text()))
    }

    /// The samples of one metric, by what its labels say (`{mode="reset"}`, or nothing), if the body is a page of metrics.
    pub fn metric(&self, name: &str) -> BTreeMap<String, f64> {
        let its = |line: &str| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']))?;
            let (labels, value) = rest.rsplit_once(' ')?;
            Some((labels.to_owned(), value.parse().ok()?))
        };
        self.text().lines().filter_map(its).collect()
    }

    /// One header field's value, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A kept-alive connection.
#[derive(Debug)]
pub struct Connection {
    host: String,
    sender: SendRequest<Full<Bytes>>,
    largest: usize,
}

impl Connection {
    /// Connects to `addr`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(addr: SocketAddr) -> anyhow::Result<Self> {
        Self::over(connected(addr).await?, addr.to_string()).await
    }

    /// Speaks over an open stream, to a server that is known by the name `host`.
    async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, host: String) -> anyhow::Result<Self> {
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the sender, or with the socket; what failed is seen by the request.
        tokio::spawn(connection);
        Ok(Self { host, sender, largest: LARGEST_BODY })
    }

    /// Takes no answer with a body of more bytes than these.
    #[must_use]
    pub fn taking(self, largest: usize) -> Self {
        Self { largest, ..self }
    }

    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// The connection ended, the body is too large, or no answer came in time.
    pub async fn request(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        let exchange = async {
            self.sender.ready().await?;
            let answer = self.sender.send_request(request.body(Full::new(body))?).await.map_err(told)?;
            let (head, body) = answer.into_parts();
            let Ok(body) = Limited::new(body, self.largest).collect().await else {
                bail!("the answer's body broke off, or is larger than {} bytes", self.largest);
            };
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
        };
        match tokio::time::timeout(LONGEST_WAIT, exchange).await {
            Ok(answer) => answer.with_context(|| format!("{path} at {}", self.host)),
            Err(_) => bail!("{path} at {}: no answer within {LONGEST_WAIT:?}", self.host),
        }
    }
}

/// What came back instead of an answer: of all that does not speak HTTP, TLS is met most.
fn told(why: hyper::Error) -> anyhow::Error {
    let is_parse = why.is_parse();
    let why = anyhow::Error::from(why);
    if is_parse { why.context("it does not speak HTTP there (if it speaks TLS, use https://)") } else { why }
}

async fn connected(addr: SocketAddr) -> anyhow::Result<TcpStream> {
    let connecting = tokio::time::timeout(LONGEST_WAIT, TcpStream::connect(addr));
    let stream = connecting.await.with_context(|| format!("no answer from {addr} within {LONGEST_WAIT:?}"))?;
    let stream = stream.with_context(|| format!("cannot connect to {addr}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// `GET` over a connection of its own.
///
/// # Errors
/// As [`Connection::open`] and [`Connection::request`].
pub async fn get(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
    Connection::open(addr).await?.request(Method::GET, path, headers, Bytes::new()).await
}

/// `POST` of a JSON body over a connection of its own.
///
/// # Errors
/// As [`get`].
pub async fn post(
    addr: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &serde_json::Value,
) -> anyhow::Result<Answer> {
    let mut headers = headers.to_vec();
    headers.push(("content-type", "application/json"));
    post_raw(addr, path, &headers, body.to_string()).await
}

/// `POST` of any bytes, with nothing said about them but `headers`.
///
/// # Errors
/// As [`get`].
pub async fn post_raw(
    addr: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> anyhow::Result<Answer> {
    Connection::open(addr).await?.request(Method::POST, path, headers, body.into()).await
}
