//! What the black-box tests share: the real process, clients of each protocol, the checker, a swarm, and waiting for conditions.
//!
//! Everything takes addresses and deadlines from its caller and leaves nothing behind when it is dropped. A test of the whole reads like this:
//!
//! ```no_run
//! # use std::time::Duration;
//! # use ringway_testkit::{Pace, Process, Progress, Swarm, SwarmConfig, eventually, process};
//! # async fn test(binary: &str, pid_of_a_node: u32) -> anyhow::Result<()> {
//! let mut demo = Process::start(binary, &["demo", "--port", "0"]);
//! let addr: std::net::SocketAddr = demo.wait_for(r"http://([0-9.:]+)", Duration::from_secs(10)).await[1].parse()?;
//! let swarm = Swarm::connect(SwarmConfig::new(addr.into(), 1_000, 200), &Progress::new()).await?;
//! swarm.start(Pace::Rate(6_000.0));
//! swarm.mark();
//! process::kill(pid_of_a_node);
//! let slowest = eventually(Duration::from_secs(10), || async { swarm.reach().slowest() }).await;
//! assert!(slowest <= Duration::from_secs(1), "{:?}", swarm.reach().reached.first());
//! swarm.stop();
//! swarm.drained(Duration::from_secs(5)).await;
//! let report = swarm.report();
//! assert_eq!((report.closed, report.check.doubled), (0, 0), "{report}");
//! # Ok(())
//! # }
//! ```

mod wait;

pub mod log;
pub mod machine;
pub mod process;

mod authority;
mod mailbox;
mod nacos;
mod nats;
mod outside;
mod rabbit;
mod redis;

pub mod centrifuge;
pub mod plain;
pub mod raw;
pub mod server;
pub mod stream;

pub mod faulty;
pub mod registry;

pub use authority::Authority;
pub use centrifuge::CentrifugeClient;
pub use nacos::{NacosConsole, NacosServer, USER as NACOS_USER, nacos_elsewhere};
pub use nats::NatsServers;
pub use plain::PlainClient;
pub use process::Process;
pub use rabbit::RabbitServer;
pub use raw::RawWs;
pub use redis::{RedisServers, WATCHED};
pub use server::Server;
pub use stream::StreamClient;
pub use wait::{eventually, eventually_ok};

pub use ringway_bench::checker::{CheckReport, Checker, Delivery, Promise};
pub use ringway_bench::client::Form;
pub use ringway_bench::progress::Progress;
pub use ringway_bench::socket::Closed;
pub use ringway_bench::swarm::{Break, Channels, Ended, Pace, Reach, Swarm, SwarmConfig, SwarmReport};
pub use ringway_http::{self as http, Target};
