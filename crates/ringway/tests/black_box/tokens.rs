//! Tokens of other kinds than a secret's, and the commands for tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData};
use ringway_testkit::centrifuge::CallError;
use ringway_testkit::{CentrifugeClient, Process, Server, Target, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{BINARY, SOON, configured, ringway};

async fn serve(config: &str) -> Server {
    let builder = Process::builder(&*BINARY, &["serve", "--port", "0"]).env("RINGWAY_LINK_LISTEN", "127.0.0.1:0");
    Server::start(configured(builder, config), SOON).await
}

/// Connects; the number of the error otherwise.
async fn connect(server: &Server, token: &str) -> Result<CentrifugeClient, Option<u64>> {
    let found = CentrifugeClient::connect_with(&Target::from(server.addr()), json!({ "token": token })).await;
    found.map_err(|why| match why.downcast_ref() {
        Some(CallError::Server { code, .. }) => Some(*code),
        _ => None,
    })
}

/// A token of ann's that this key has signed.
fn signed(key: &KeyPair, id: Option<&str>) -> String {
    let header = Header { kid: id.map(str::to_owned), ..Header::new(Algorithm::EdDSA) };
    encode(&header, &json!({"sub": "ann"}), &EncodingKey::from_ed_der(&key.serialize_der())).expect("a token")
}

#[tokio::test]
async fn what_the_commands_make_and_a_key_pair_signs_opens_a_connection() {
    let (home, pair) = (tempfile::tempdir().unwrap(), KeyPair::generate_for(&PKCS_ED25519).unwrap());
    let pem = home.path().join("public.pem");
    std::fs::write(&pem, pair.public_key_pem()).unwrap();
    let config = format!(
        "[client.token]\nhmac_secret_key = \"a signing key for tests alone\"\neddsa_public_key = {:?}\n",
        pem.to_str().unwrap()
    );
    let file = home.path().join("ringway.toml");
    std::fs::write(&file, &config).unwrap();
    let file = file.to_str().unwrap();
    let run = async |args: &[&str]| {
        let output = ringway(home.path(), args).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let server = serve(&config).await;

    let (code, token, why) = run(&["token", "--config", file, "--user", "ann", "--ttl", "5m"]).await;
    assert_eq!((code, why.as_str()), (Some(0), ""));
    let stranger = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    for (token, is_good) in [(token, true), (signed(&pair, None), true), (signed(&stranger, None), false)] {
        assert_eq!(connect(&server, &token).await.is_ok(), is_good, "{token}");
        let (code, told, _) = run(&["checktoken", "--config", file, "--json", &token]).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(
            (code, &told["good"], &told["claims"]["sub"]),
            (Some(i32::from(!is_good)), &json!(is_good), &json!("ann")),
            "{told}"
        );
    }
    let (code, token, _) = run(&["subtoken", "--config", file, "--user", "ann", "--channel", "$news", "--json"]).await;
    let token: Value = serde_json::from_str(&token).unwrap();
    assert_eq!((code, &token["claims"]["channel"]), (Some(0), &json!("$news")));
    let (code, told, _) = run(&["checktoken", "--config", file, token["token"].as_str().unwrap()]).await;
    assert!(code == Some(0) && told.contains("it opens $news to ann"), "{told}");
    let (code, _, why) = run(&["checktoken", "garbage"]).await;
    assert!(code == Some(1) && why.contains("no token"), "{why}");
    let (code, secret, _) = run(&["genkey"]).await;
    assert_eq!((code, secret.len()), (Some(0), 64));
}

/// Publishes a key once it is told to.
async fn publisher(key: &KeyPair) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/keys", listener.local_addr().expect("its address"));
    let x = URL_SAFE_NO_PAD.encode(key.der_bytes());
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x}]}).to_string();
    let (is_up, says) =
        (Arc::new(AtomicBool::new(false)), format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{set}", set.len()));
    let up = is_up.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            if stream.read(&mut head).await.is_ok() && up.load(Ordering::Relaxed) {
                let _ = stream.write_all(says.as_bytes()).await;
            }
        }
    });
    (url, is_up)
}

#[tokio::test]
async fn clients_of_published_keys_come_again_until_these_are_fetched() {
    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let (url, is_up) = publisher(&pair).await;
    let server = serve(&format!("[client.token]\njwks_public_endpoint = \"{url}\"\n")).await;
    let token = signed(&pair, Some("one"));
    assert_eq!(connect(&server, &token).await.err(), Some(Some(100)), "it starts, and asks its clients to come again");
    is_up.store(true, Ordering::Relaxed);
    eventually(SOON, || async { connect(&server, &token).await.ok() }).await;
    assert_eq!(
        connect(&server, &signed(&KeyPair::generate_for(&PKCS_ED25519).unwrap(), Some("one"))).await.err(),
        Some(None),
        "closed"
    );
    let metric = server.metrics("ringway_token_keys").await.unwrap();
    assert_eq!(metric.values().copied().collect::<Vec<_>>(), [1.0]);
}
