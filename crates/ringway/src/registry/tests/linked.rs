//! The registry over a link: real links to the member task of a first gateway, which looks after its cluster meanwhile.

use std::net::{Ipv4Addr, SocketAddr};

use ringway_core::MemberId;
use ringway_core::message::{Frame, Message};
use ringway_link::{Event, Identity, Limits, LinkSender, Links, Listener, OnWrongSecret, Secret, Settings, Target};
use ringway_testkit::registry::MEMBERS;
use tokio::time::{sleep, timeout};

use super::*;
use crate::app::{self, Running};
use crate::config::{self, Config, Roles};

/// The token of the admin API.
pub(super) const ADMIN: &str = "an admin token for tests";
const SECRET: &str = "a join secret for tests";
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const PATIENCE: Duration = Duration::from_secs(10);

/// The settings of a member on this machine.
pub(super) fn config(id: &str) -> Config {
    let mut config = Config::default().open();
    (config.server.port, config.server.internal_listen) = (0, None);
    config.cluster.id = Some(MemberId::new(id).unwrap());
    config.cluster.link_listen = Some(LOOPBACK);
    config.cluster.secret = Some(config::Secret(SECRET.to_owned()));
    config.cluster.slots = SlotCount::MIN;
    config.admin.token = Some(config::Secret(ADMIN.to_owned()));
    config
}

/// A member that is no more than its link with the first gateway.
struct Guest {
    links: Links,
    events: mpsc::Receiver<Event>,
    sender: LinkSender,
}

impl Guest {
    async fn come(member: u8, host: &str) -> Self {
        let listener = Listener::bind(&LOOPBACK.to_string()).await.unwrap();
        let identity = Identity {
            id: MemberId::new(&format!("member-{member}")).unwrap(),
            incarnation: Incarnation(rand::random()),
            roles: ringway_link::Roles { gateway: true, node: false },
            address: listener.address().to_string().into(),
            client_address: Some("127.0.0.1:1".into()),
            keeps_registry: false,
            birth: None,
        };
        let (secret, limits) = (Secret::new(SECRET), Limits::default());
        let settings =
            Settings { identity, cluster: "".into(), secret, limits, on_wrong_secret: OnWrongSecret::default() };
        let (links, mut events) = Links::start(listener, settings);
        links.dial(Target::anyone(host));
        let sender = loop {
            if let Event::Up { sender, .. } = timeout(PATIENCE, events.recv()).await.unwrap().unwrap() {
                break sender;
            }
        };
        Self { links, events, sender }
    }

    async fn answer(&mut self, id: u64) -> Option<RegistryAnswer> {
        loop {
            let Event::Frames { frames, .. } = timeout(PATIENCE, self.events.recv()).await.ok()?? else { continue };
            let answer = frames.into_iter().find_map(|frame| match frame.message {
                Message::RegistryAnswer(answer) if answer.id == id => Some(answer),
                _ => None,
            });
            if answer.is_some() {
                return answer;
            }
        }
    }
}

struct OverLinks {
    _host: Running,
    guests: Vec<Guest>,
}

impl OverLinks {
    async fn begin() -> Self {
        let bound = app::bind(Arc::new(config("gateway-1")), Roles::GATEWAY).await.unwrap();
        let address = bound.link_addr().to_string();
        let host = bound.start(None).await.unwrap();
        let mut guests = Vec::new();
        for member in MEMBERS {
            guests.push(Guest::come(member, &address).await);
        }
        while host.cluster.state().view.gateways.is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        Self { _host: host, guests }
    }

    fn guest(&self, member: u8) -> &Guest {
        &self.guests[usize::from(member) - 1]
    }
}

impl Subject for OverLinks {
    async fn ask(&mut self, asked: Vec<Asked>) -> Vec<Option<RegistryAnswer>> {
        let is_of = |guest: &&mut Guest, asked: &Asked| guest.links.identity().incarnation == asked.from;
        for asked in &asked {
            let guest = self.guests.iter_mut().find(|guest| is_of(guest, asked)).unwrap();
            let message = Message::RegistryRequest(asked.request.clone());
            guest.sender.send(Frame { epoch: Epoch(0), message }).unwrap();
        }
        let mut answers = Vec::new();
        for asked in &asked {
            let guest = self.guests.iter_mut().find(|guest| is_of(guest, asked)).unwrap();
            answers.push(guest.answer(asked.request.id).await);
        }
        answers
    }

    async fn pass(&mut self, time: Duration) {
        sleep(time).await;
    }

    fn ttl(&self) -> Duration {
        TTL
    }

    fn life(&self, member: u8) -> Incarnation {
        self.guest(member).links.identity().incarnation
    }

    fn address(&self, member: u8) -> Arc<str> {
        self.guest(member).links.identity().address.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_over_links_conforms() {
    assert_eq!(conform(OverLinks::begin).await, without_restarts());
}
