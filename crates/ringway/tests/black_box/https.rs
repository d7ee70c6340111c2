//! The command line over TLS, as it is where a proxy stands in front of a gateway.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use ringway_testkit::Server;
use ringway_testkit::server::{KEY, TOKEN};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::support::{command, demo, dev, output};

/// What a server shows, and who signed it.
enum Shown {
    /// A certificate for `localhost`, signed by the CA.
    Good,
    /// The same, of long ago.
    Expired,
    /// The CA's own.
    Authority,
}

/// A proxy that ends TLS in front of a server. It ends with this value.
struct Proxy {
    addr: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A CA of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate"))
    }

    fn written_to(&self, directory: &Path, name: &str) -> String {
        let path = directory.join(name);
        std::fs::write(&path, self.0.pem()).expect("a file");
        path.to_str().expect("a path in ASCII").to_owned()
    }

    async fn in_front_of(&self, server: &Server, shown: Shown) -> Proxy {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        if matches!(shown, Shown::Expired) {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let own = KeyPair::generate().expect("a key");
        let (certificate, key) = match shown {
            Shown::Authority => (self.0.der().clone(), self.0.key().serialize_der()),
            _ => (params.signed_by(&own, &self.0).expect("a certificate").der().clone(), own.serialize_der()),
        };
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("usual versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.into()))
            .expect("a key that fits");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        Proxy { addr, serving: tokio::spawn(serve(listener, Arc::new(config).into(), server.addr())) }
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, to: SocketAddr) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // Clients that do not trust it end here.
            if let (Ok(mut stream), Ok(mut onward)) = (acceptor.accept(stream).await, TcpStream::connect(to).await) {
                let _ = copy_bidirectional(&mut stream, &mut onward).await;
            }
        });
    }
}

/// Exit code and all that a command said.
async fn told(server: &Server, args: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = command(server.process.dir());
    command.args(args).env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
    command.envs(environment.iter().copied());
    let output = output(command).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[tokio::test]
async fn clients_speak_tls_and_trust_a_ca_that_is_named() {
    let server = dev("").await;
    let authority = Authority::new();
    let ca = authority.written_to(server.process.dir(), "ca.pem");
    let proxy = authority.in_front_of(&server, Shown::Good).await;
    let url = format!("https://localhost:{}", proxy.addr.port());
    for args in
        [&["members"][..], &["ring", "--user", "bob"], &["top", "--count", "1"], &["changes"], &["plan", "add", "n-2"]]
    {
        let (code, text) = told(&server, &[args, &["--url", &url, "--token", TOKEN, "--ca", &ca]].concat(), &[]).await;
        assert_eq!(code, Some(0), "{args:?}: {text}");
    }
    let (code, text) =
        told(&server, &["send", "bob", "hello", "--url", &url, "--api-key", KEY, "--ca", &ca], &[]).await;
    assert_eq!(code, Some(0), "{text}");
    let environment = [("RINGWAY_URL", &*url), ("RINGWAY_CA", &*ca), ("RINGWAY_ADMIN_TOKEN", TOKEN)];
    let (code, text) = told(&server, &["members"], &environment).await;
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = told(&server, &["members", "--url", &url, "--token", TOKEN], &[("SSL_CERT_FILE", &ca)]).await;
    assert_eq!(code, Some(0), "what the machine trusts is trusted: {text}");
}

#[tokio::test]
async fn what_is_not_trusted_is_told_with_its_mend() {
    let server = dev("").await;
    let authority = Authority::new();
    let ca = authority.written_to(server.process.dir(), "ca.pem");
    let [good, expired, ca_itself] = [
        authority.in_front_of(&server, Shown::Good).await,
        authority.in_front_of(&server, Shown::Expired).await,
        authority.in_front_of(&server, Shown::Authority).await,
    ];
    let empty = server.process.dir().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let other = Authority::new().written_to(server.process.dir(), "other.pem");
    let at = |scheme: &str, host: &str, port: u16| format!("{scheme}://{host}:{port}");
    let (tls, plain) = (good.addr.port(), server.addr().port());
    for (url, ca, code, words) in [
        (at("https", "localhost", tls), other.as_str(), 69, &["not trusted", "--ca", &*other][..]),
        (at("https", "127.0.0.1", tls), &ca, 69, &["127.0.0.1", "localhost", "--url"]),
        (at("https", "localhost", expired.addr.port()), &ca, 69, &["expired", "renewed"]),
        (at("https", "localhost", ca_itself.addr.port()), &ca, 69, &["CA:FALSE"]),
        (at("https", "127.0.0.1", plain), &ca, 69, &["TLS", "http://"]),
        (at("http", "127.0.0.1", tls), &ca, 69, &["https://"]),
        (at("https", "localhost", tls), "/nowhere/ca.pem", 2, &["/nowhere/ca.pem"]),
        (at("https", "localhost", tls), empty.to_str().unwrap(), 2, &["empty.pem", "no certificate"]),
        (at("ftp", "localhost", tls), &ca, 2, &["https://"]),
    ] {
        let (found, text) = told(&server, &["members", "--url", &url, "--token", TOKEN, "--ca", ca], &[]).await;
        assert_eq!(found, Some(code), "{url}: {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{url}: {words:?} in {text}");
        assert!(!text.contains("Is it running"), "{url}: {text}");
    }
    let nobody = [("SSL_CERT_FILE", &*other)];
    let url = at("https", "localhost", tls);
    let (code, text) = told(&server, &["members", "--url", &url, "--token", TOKEN], &nobody).await;
    assert!(code == Some(69) && text.contains("--ca FILE") && text.contains("RINGWAY_CA"), "{text}");
}

#[tokio::test]
async fn chaos_makes_its_faults_over_tls() {
    let server = demo(2).await;
    let authority = Authority::new();
    let ca = authority.written_to(server.process.dir(), "ca.pem");
    let proxy = authority.in_front_of(&server, Shown::Good).await;
    let url = format!("https://localhost:{}", proxy.addr.port());
    let faults = ["--settle", "--changes", "1", "--faults", "add", "--clients", "2", "--plain", "0", "--rate", "20"];
    let there = ["chaos", "--url", &url, "--token", TOKEN, "--ca", &ca];
    let (code, text) = told(&server, &[&there[..], &faults].concat(), &[]).await;
    assert_eq!(code, Some(0), "{text}");
    server.settled(3).await;
}
