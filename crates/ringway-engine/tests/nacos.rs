//! A real Nacos: the server at `NACOS_ADDR`, or one of our own. Asked for by name (`./scripts/setup nacos` builds one).

use std::time::Duration;

use ringway_engine::census::{Absent, Census as _, Entry, Standing};
use ringway_engine::conformance;
use ringway_engine::nacos::{Config, Nacos, inspect};
use ringway_testkit::{NACOS_USER, NacosConsole, NacosServer, nacos_elsewhere};

const PASSWORD: &str = "nobody-may-see-this";

fn config(address: &str, service: &str) -> Config {
    Config {
        servers: vec![address.to_owned()],
        namespace: String::new(),
        group: "DEFAULT_GROUP".to_owned(),
        cluster: "DEFAULT".to_owned(),
        service: service.to_owned(),
        user: None,
    }
}

/// A service that nobody has used: a server that somebody else has started keeps what was set in it.
fn fresh_service() -> String {
    format!("test-{:08x}", rand::random::<u32>())
}

fn entry(id: &str, port: u16) -> Entry {
    let (roles, version) = ("node".to_owned(), "1".to_owned());
    Entry { id: id.to_owned(), incarnation: 7, roles, address: format!("127.0.0.1:{port}"), weight: 1.0, version }
}

/// The server to use, and its address.
async fn server() -> (Option<NacosServer>, String) {
    match nacos_elsewhere() {
        Some(address) => (None, address),
        None => {
            let server = NacosServer::start().await;
            let address = server.address();
            (Some(server), address)
        }
    }
}

async fn lists(nacos: &mut Nacos, ids: &[&str], limit: Duration) {
    let mut last = None;
    let listed = async {
        loop {
            let heard = nacos.next().await;
            let list = heard.map(|list| list.members.into_iter().map(|listed| listed.id).collect::<Vec<_>>());
            if list.as_ref().is_ok_and(|list| list == ids) {
                return;
            }
            last = Some(list);
        }
    };
    let in_time = tokio::time::timeout(limit, listed).await;
    assert!(in_time.is_ok(), "{ids:?} should be listed, and it is {last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Nacos server"]
async fn nacos_conforms() {
    let (_server, address) = server().await;
    let config = config(&address, &fresh_service());
    let console = NacosConsole::new(&address, &config.service);
    let open = || Nacos::new(config.clone(), None);
    conformance::census(open, async |id, is_offline| {
        console.set(id, &format!("enabled={}", !is_offline)).await.expect("the console does it");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Nacos server"]
async fn nacos_says_what_it_is_and_a_weight_that_was_set_in_it() {
    let (_server, address) = server().await;
    let config = config(&address, &fresh_service());
    let mut nacos = Nacos::new(config.clone(), None);
    nacos.enter(entry("one", 7001)).await.unwrap();
    lists(&mut nacos, &["one"], Duration::from_secs(10)).await;
    NacosConsole::new(&address, &config.service).set("one", "weight=3.5").await.unwrap();
    let mut standing = None;
    for _ in 0..10 {
        standing = nacos.next().await.unwrap().standing("one");
        if standing == Some(Standing::Well { weight: 3.5 }) {
            break;
        }
    }
    assert_eq!(standing, Some(Standing::Well { weight: 3.5 }));
    let seen = inspect(&config).await.unwrap();
    println!("{seen:?}");
    assert_eq!((seen.members, seen.is_protected), (1, false));
    nacos.leave().await;
}

/// The client comes back by itself, after a pause that doubles; what the server had in memory is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Nacos server"]
async fn nacos_that_was_killed_lists_its_members_again() {
    let mut server = NacosServer::start().await;
    let config = config(&server.address(), &fresh_service());
    let (mut one, mut two) = (Nacos::new(config.clone(), None), Nacos::new(config.clone(), None));
    one.enter(entry("one", 7001)).await.unwrap();
    two.enter(entry("two", 7002)).await.unwrap();
    lists(&mut one, &["one", "two"], Duration::from_secs(10)).await;
    server.kill();
    let Absent(why) = one.next().await.unwrap_err();
    assert!(why.contains("does not answer"), "{why}");
    server.run();
    server.serves().await;
    lists(&mut one, &["one", "two"], Duration::from_secs(90)).await;
    lists(&mut two, &["one", "two"], Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Nacos server"]
async fn nacos_that_comes_later_lists_who_has_entered_before() {
    let mut server = NacosServer::start().await;
    server.kill();
    let mut nacos = Nacos::new(config(&server.address(), &fresh_service()), None);
    nacos.enter(entry("one", 7001)).await.unwrap_err();
    nacos.next().await.unwrap_err();
    server.run();
    server.serves().await;
    lists(&mut nacos, &["one"], Duration::from_secs(90)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Nacos server"]
async fn nacos_with_users_lets_in_who_has_the_password() {
    let server = NacosServer::start_with_users().await;
    let service = fresh_service();
    let with = |user: Option<(&str, &str)>| Config {
        user: user.map(|(user, password)| (user.to_owned(), password.to_owned())),
        ..config(&server.address(), &service)
    };
    let mut nacos = Nacos::new(with(Some(NACOS_USER)), None);
    nacos.enter(entry("one", 7001)).await.unwrap();
    lists(&mut nacos, &["one"], Duration::from_secs(10)).await;
    inspect(&with(Some(NACOS_USER))).await.unwrap();
    for (user, part) in [(None, "nacos.user"), (Some((NACOS_USER.0, PASSWORD)), "nacos.password")] {
        let config = with(user);
        let Absent(why) = inspect(&config).await.unwrap_err();
        assert!(why.contains(part) && !why.contains(PASSWORD), "{why}");
        let mut nacos = Nacos::new(config.clone(), None);
        let Absent(why) = nacos.enter(entry("two", 7002)).await.unwrap_err();
        assert!(!why.contains(PASSWORD), "{why}");
        let Absent(why) = nacos.next().await.unwrap_err();
        assert!(why.contains(part) && !why.contains(PASSWORD), "{why}");
        assert!(!format!("{config:?} {nacos:?}").contains(PASSWORD));
    }
    lists(&mut nacos, &["one"], Duration::from_secs(10)).await;
}
