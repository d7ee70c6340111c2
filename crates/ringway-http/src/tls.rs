//! TLS towards a server: whose certificates are trusted, and what to do about one that is not.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore};

/// How to speak TLS to one server.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    /// Who is trusted, in words.
    trusted: String,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls {{ name: {:?}, trusted: {} }}", self.name, self.trusted)
    }
}

impl Tls {
    /// To a server of this name, trusted by the certificates in the file `ca`, or else by the system's.
    pub(super) fn to(name: &str, ca: Option<&Path>) -> anyhow::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).with_context(|| format!("{name} is no name of a server"))?;
        let (roots, trusted) = match ca {
            Some(file) => (of_file(file)?, format!("by the certificates in {}", file.display())),
            None => (of_the_system()?, "by this machine's certificates".to_owned()),
        };
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .context("cannot speak TLS")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name, trusted })
    }

    /// Greets the server over an open stream, and checks its certificate.
    pub(super) async fn over(&self, stream: TcpStream) -> anyhow::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await.map_err(|why| self.told(&why))
    }

    /// What happened, and what to do.
    fn told(&self, why: &io::Error) -> anyhow::Error {
        let name = self.name.to_str();
        let Some(error) = why.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return anyhow!("{name} ended the TLS handshake: {why}. If it does not speak TLS, use http://");
        };
        match error {
            Error::InvalidCertificate(why) => anyhow!("the certificate of {name} is not trusted: {}", self.reason(why)),
            Error::InvalidMessage(_) => {
                anyhow!("{name} does not speak TLS there ({error}): use http://, or another port")
            }
            Error::AlertReceived(_) => anyhow!(
                "{name} refused the TLS handshake: {error}. Perhaps it is known by another name, or wants a client's certificate, which ringway has none of"
            ),
            other => anyhow!("no TLS with {name}: {other}"),
        }
    }

    fn reason(&self, why: &CertificateError) -> String {
        match why {
            // The second is a CA of the same name with another key, such as one that was made anew.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "whoever signed it is not vouched for {}. If it is signed by a CA of your own, give that CA's certificate: --ca FILE, or RINGWAY_CA",
                self.trusted
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("{why}. Use a name that stands in it in --url")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("{why}. It must be renewed, unless this machine's clock is wrong")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("{why}. Is this machine's clock right?")
            }
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                "it is a CA's certificate, not a server's. Make it one with `basicConstraints=critical,CA:FALSE`, or let it sign another one for the server".to_owned()
            }
            other => other.to_string(),
        }
    }
}

fn of_file(file: &Path) -> anyhow::Result<RootCertStore> {
    let told = || format!("--ca {}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).with_context(told)? {
        roots.add(certificate.with_context(told)?).with_context(told)?;
    }
    ensure!(
        !roots.is_empty(),
        "--ca {}: no certificate stands in it. It must be a PEM file (-----BEGIN CERTIFICATE-----)",
        file.display()
    );
    Ok(roots)
}

fn of_the_system() -> anyhow::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Old certificates of odd shapes are common there; the others count.
    roots.add_parsable_certificates(found.certs);
    ensure!(
        !roots.is_empty(),
        "this machine has no certificates to trust (on Debian they are the package ca-certificates): install them, or name a CA's with --ca FILE"
    );
    Ok(roots)
}
