//! A server as a person names it: `http://…` or `https://…`, and who vouches for the second.

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use hyper::Method;

use crate::target::{Parts, Target};
use crate::tls::Tls;
use crate::{Answer, Connection, LONGEST_WAIT, connected};

/// Where an API is, and how to speak to it.
#[derive(Debug, Clone)]
pub struct Site {
    target: Target,
    tls: Option<Tls>,
}

impl Site {
    /// Resolves `https://host:port/prefix`. `ca` is a file of the certificates to trust instead of the system's.
    ///
    /// # Errors
    /// The address cannot be read or resolved, or the certificates cannot be read.
    pub async fn resolve(url: &str, ca: Option<&Path>) -> anyhow::Result<Self> {
        let parts = Parts::of(url)?;
        let tls = parts.secure.then(|| Tls::to(parts.name(), ca)).transpose()?;
        let target = parts.resolve().await.with_context(|| url.to_owned())?;
        Ok(Self { target, tls })
    }

    /// Its name and port, as they were given.
    pub fn host(&self) -> &str {
        &self.target.host
    }

    /// A route's path, below what the address began with.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.target.prefix)
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there, or its certificate is not trusted; the text says what to do.
    pub async fn open(&self) -> anyhow::Result<Connection> {
        let stream = connected(self.target.addr).await?;
        let host = self.target.host.clone();
        let Some(tls) = &self.tls else { return Connection::over(stream, host).await };
        let greeted = tokio::time::timeout(LONGEST_WAIT, tls.over(stream)).await;
        Connection::over(greeted.with_context(|| format!("no TLS within {LONGEST_WAIT:?}"))??, host).await
    }

    /// One request to a route, over a connection of its own.
    ///
    /// # Errors
    /// As [`Site::open`] and [`Connection::request`].
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        self.open().await?.request(method, &self.path(path), headers, body).await
    }
}

impl From<Target> for Site {
    fn from(target: Target) -> Self {
        Self { target, tls: None }
    }
}
