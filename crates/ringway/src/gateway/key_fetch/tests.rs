//! Against a small server that does as it is told.

use parking_lot::Mutex;
use ringway_hub::{Keys, Source, TokenError, Tokens, Verifier};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(20);

const QUICK: Pace = Pace {
    usual: Duration::from_secs(600),
    least: Duration::from_millis(20),
    retry: Duration::from_millis(10),
    slowest: Duration::from_millis(20),
    patience: Duration::from_millis(500),
};

/// A public key of RFC 8037, under a name.
fn key(id: &str) -> String {
    format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{id}","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}"#)
}

fn set(ids: &[&str]) -> String {
    let keys: Vec<String> = ids.iter().map(|id| key(id)).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// What the server answers; nothing at all where it is `None`.
type Script = Arc<Mutex<Option<String>>>;

async fn publisher(first: Option<String>) -> (String, Script, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys?v=1", listener.local_addr().unwrap());
    let (script, asked): (Script, _) = (Arc::new(Mutex::new(first)), Arc::new(AtomicU64::new(0)));
    let (answers, count) = (script.clone(), asked.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answers, count) = (answers.clone(), count.clone());
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                if !String::from_utf8_lossy(&head[..read]).starts_with("GET /keys?v=1 HTTP/1.1") {
                    return;
                }
                count.fetch_add(1, Ordering::Relaxed);
                let answer = answers.lock().clone();
                match answer {
                    Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                    None => sleep(SOON).await,
                }
            });
        }
    });
    (url, script, asked)
}

fn verifier(url: &str) -> Verifier {
    let source = Source { keys: Keys::Published(url.into()), ..Source::default() };
    Verifier::of(&Tokens { connections: vec![source], subscriptions: None }, || Duration::from_secs(1000))
}

/// A token that names a key. Its signature is nobody's.
fn token(id: &str) -> String {
    use base64::Engine as _;
    let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(&format!(r#"{{"alg":"EdDSA","kid":"{id}"}}"#)), part("{}"), part(&"x".repeat(64)))
}

async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

#[tokio::test]
async fn a_new_key_is_fetched_once_a_token_names_it_and_a_withdrawn_one_is_gone() {
    let (url, script, asked) = publisher(Some(ok(&set(&["a"])))).await;
    let verifier = verifier(&url);
    let fetch = KeyFetch::at(verifier.key_sets().to_vec(), QUICK);
    eventually("the first set", || fetch.keys() == 1).await;
    // A key that is there says at once that the signature is wrong.
    assert_eq!(verifier.verify(&token("a")), Err(TokenError::Invalid));
    let before = asked.load(Ordering::Relaxed);
    assert_eq!(before, 1, "nobody asked for more");

    *script.lock() = Some(ok(&set(&["b", "c"])));
    assert_eq!(verifier.verify(&token("b")), Err(TokenError::Unknown), "its client is to come again");
    eventually("the new key", || verifier.verify(&token("b")) == Err(TokenError::Invalid)).await;
    assert_eq!(fetch.keys(), 2);
    assert_eq!(verifier.verify(&token("a")), Err(TokenError::Unknown));
    eventually("no old key", || verifier.verify(&token("a")) == Err(TokenError::Invalid)).await;
    assert_eq!((fetch.trouble(), fetch.fetches().1), (None, 0));
}

#[tokio::test]
async fn names_that_nobody_publishes_cost_no_more_than_the_pace_allows() {
    let (url, _script, asked) = publisher(Some(ok(&set(&["a"])))).await;
    let verifier = verifier(&url);
    let pace = Pace { least: Duration::from_secs(600), ..QUICK };
    let fetch = KeyFetch::at(verifier.key_sets().to_vec(), pace);
    eventually("the first set", || fetch.keys() == 1).await;
    for n in 0..10_000 {
        assert_eq!(verifier.verify(&token(&n.to_string())), Err(TokenError::Unknown));
        tokio::task::yield_now().await;
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn who_publishes_may_be_away_at_the_start_and_later() {
    let (url, script, _) = publisher(Some("HTTP/1.1 503 Away\r\ncontent-length: 0\r\n\r\n".to_owned())).await;
    let verifier = verifier(&url);
    let fetch = KeyFetch::at(verifier.key_sets().to_vec(), QUICK);
    eventually("a failure", || fetch.trouble().is_some()).await;
    assert!(fetch.trouble().unwrap().contains("it answers 503; tokens that need them"), "{:?}", fetch.trouble());
    assert_eq!(verifier.verify(&token("a")), Err(TokenError::Unknown));

    *script.lock() = Some(ok(&set(&["a"])));
    eventually("an end of it", || fetch.trouble().is_none() && fetch.keys() == 1).await;
    assert_eq!(verifier.verify(&token("a")), Err(TokenError::Invalid));

    let moved = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_owned();
    let huge = ok(&format!(r#"{{"keys":[{}],"more":"{}"}}"#, key("b"), "x".repeat(LARGEST_SET)));
    for (answer, why) in [
        (Some(ok("<html>")), "no set of keys"),
        (Some(ok(r#"{"keys":[]}"#)), "no key that can check"),
        (Some(huge), "larger than"),
        (Some(moved), "the keys are elsewhere"),
        (Some("garbage\r\n\r\n".to_owned()), "does not speak HTTP"),
        (None, "no answer within"),
    ] {
        *script.lock() = answer;
        eventually(why, || {
            let _ = verifier.verify(&token("another"));
            fetch.trouble().is_some_and(|told| told.contains(why) && told.contains("are good meanwhile"))
        })
        .await;
        assert_eq!(verifier.verify(&token("a")), Err(TokenError::Invalid), "the last good set stays");
    }
    *script.lock() = Some(ok(&set(&["a", "b"])));
    eventually("it is well again", || fetch.trouble().is_none() && fetch.keys() == 2).await;
}
