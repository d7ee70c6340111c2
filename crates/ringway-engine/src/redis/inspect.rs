//! What Redis is like, for whoever looks after it.

use super::connection::reached;
use super::server::Server;
use super::{Config, OpenError};

/// What was found out.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The server that takes writes.
    pub server: Server,
}

/// Connects, and asks. Nothing is changed.
///
/// # Errors
/// [`OpenError`]: no server that takes writes can be reached, or none lets us in. An old version is none: it is told.
pub async fn inspect(config: &Config) -> Result<Inspection, OpenError> {
    let _installed = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (_, _, server) = reached(config).await?;
    Ok(Inspection { server })
}
