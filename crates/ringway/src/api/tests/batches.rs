//! Several commands in one body.

use super::*;

async fn answered(path: &str, body: &str, answers: Vec<ApiAnswer>) -> (Vec<ApiRequest>, String) {
    let (asked, body) = exchange_all(config(), post(path, body.to_owned()), answers).await;
    (asked, body.expect("a whole body"))
}

#[tokio::test]
async fn each_command_of_a_batch_is_answered_in_its_place() {
    let body = r#"{"commands":[{"publish":{"channel":"a","data":1}},{"presence":{"channel":"a"}},null,{"nonsense":{}},
        {"rpc":{"method":"x"}},{"history":{"channel":"a","limit":-1}},{"publish":{"channel":"a"}},{"info":{},"publish":null}]}"#;
    let answers = vec![
        ApiAnswer::Published(Some(at(1))),
        ApiAnswer::Failed(ApiError::NotAvailable),
        page(1..=2, true),
        page(3..=9, false),
        ApiAnswer::Overloaded,
    ];
    let (asked, body) = answered("/api/batch", body, answers).await;
    assert_eq!(asked.len(), 5);
    let body: Value = serde_json::from_str(&body).unwrap();
    let replies = body["replies"].as_array().unwrap();
    let error = |code: u16, message: &str| json!({"error": {"code": code, "message": message}});
    let (bad, not_found) = (error(107, "bad request"), error(104, "not found"));
    assert_eq!(replies[0], json!({"publish": {"offset": 1, "epoch": "abcdefgh"}}));
    assert_eq!(replies[1..5], [error(108, "not available"), bad.clone(), not_found.clone(), not_found]);
    assert_eq!(replies[5]["history"]["publications"].as_array().unwrap().len(), 9);
    assert_eq!(replies[6..], [bad, error(100, "internal server error")]);
}

#[tokio::test]
async fn commands_side_by_side_are_answered_in_their_order() {
    let body = r#"{"parallel":true,"commands":[{"info":{}},{"publish":{"channel":"a","data":1}},{"publish":{"channel":"b","data":1}}]}"#;
    let intake = Arc::new(Intake::new(1 << 20));
    let router = routes(Arc::new(config()), intake.clone(), Guesses::default());
    // The hub is asked for all before it answers any, the last one first.
    let hub = tokio::spawn(async move {
        let mut calls = Vec::new();
        while calls.len() < 3 {
            intake.arrived().await;
            let mut batch = Batch::default();
            intake.take(&mut batch);
            calls.extend(batch.inputs);
        }
        for call in calls.into_iter().rev() {
            let ClientInput::Call(Call { request, reply }) = call else { panic!("a call") };
            reply.send(match request {
                ApiRequest::Publish(publish) if publish.channel == ChannelName::new("a") => {
                    ApiAnswer::Published(Some(at(1)))
                }
                ApiRequest::Publish(_) => ApiAnswer::Published(Some(at(2))),
                _ => ApiAnswer::Info(Vec::new()),
            });
        }
    });
    let response = router.oneshot(post("/api/batch", body)).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    hub.await.unwrap();
    let expected = r#"{"replies":[{"info":{"nodes":[]}},{"publish":{"offset":1,"epoch":"abcdefgh"}},{"publish":{"offset":2,"epoch":"abcdefgh"}}]}"#;
    assert_eq!(String::from_utf8(body.to_vec()).unwrap(), expected);
}

#[tokio::test]
async fn what_cannot_be_read_in_a_batch_has_nothing_done() {
    let many = format!(r#"{{"commands":[{}{{}}]}}"#, "{},".repeat(10_000));
    for body in [
        r#"{"commands":[{"info":{}},{"publish":{"channel":1}}]}"#,
        r#"{"commands":[{"info":{}},[]]}"#,
        r#"[{"info":{}}]"#,
        "",
        &many,
    ] {
        let (status, _) = exchange(config(), post("/api/batch", body.to_owned()), never).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{}", &body[..body.len().min(80)]);
    }
    assert_eq!(answered("/api/batch", "{}", vec![]).await.1, r#"{"replies":[]}"#);
    let long = r#"{"commands":[{"history":{"channel":"a","limit":-1}}]}"#;
    let answers = vec![page(1..=3, true), page(7..=9, false)];
    assert_eq!(exchange_all(config(), post("/api/batch", long), answers).await.1, None, "a hole is not told");
}

#[tokio::test]
async fn lines_of_commands_are_answered_by_lines() {
    let body = r#"{"id":7,"method":"publish","params":{"channel":"a","data":1}}{"method":"INFO"}
{"method":6,"params":{"channel":"a","limit":0}} {"params":{"channel":1}} {"id":8,"method":33} {"id":9,"method":"rpc","params":{}}"#;
    let answers = vec![ApiAnswer::Published(None), ApiAnswer::Info(Vec::new()), page(0..0, false)];
    let (_, body) = answered("/api", body, answers).await;
    let expected = [
        r#"{"id":7,"result":{}}"#,
        r#"{"result":{"nodes":[]}}"#,
        r#"{"result":{"publications":[],"epoch":"abcdefgh","offset":9}}"#,
        r#"{"error":{"code":107,"message":"bad request"}}"#,
        r#"{"id":8,"error":{"code":104,"message":"not found"}}"#,
        r#"{"id":9,"error":{"code":107,"message":"bad request"}}"#,
    ];
    assert_eq!(body, expected.join("\n"));
    for body in ["", "[]", r#"{"method":"nonsense"}"#, r#"{"method":"info"}}"#] {
        assert_eq!(exchange(config(), post("/api", body), never).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
}
