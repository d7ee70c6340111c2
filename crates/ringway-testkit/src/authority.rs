//! An authority that signs certificates for this machine, for servers that are to have TLS.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};

/// Certificates and keys in a folder.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// If the folder cannot be written to.
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let file = folder.join("ca.pem");
        std::fs::write(&file, issuer.pem()).expect("written");
        Self { issuer, file }
    }

    /// Its own certificate.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// A certificate for this machine and its key, in files.
    ///
    /// # Panics
    /// If the folder cannot be written to.
    pub fn certificate(&self, name: &str) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
        // One that is named as its issuer is taken for self-signed by OpenSSL.
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let own = KeyPair::generate().expect("a key");
        let at = |end: &str| self.file.with_file_name(format!("{name}.{end}"));
        let (certificate, key) = (at("pem"), at("key"));
        let signed = params.signed_by(&own, &self.issuer).expect("a certificate");
        std::fs::write(&certificate, signed.pem()).expect("written");
        std::fs::write(&key, own.serialize_pem()).expect("written");
        (certificate, key)
    }
}
