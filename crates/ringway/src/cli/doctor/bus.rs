//! RabbitMQ, where orders go through it.

use ringway_engine::rabbit::{self, InspectError, Inspection};

use super::finding::{Finding, What};
use crate::config::{BusAt, Config};
use crate::engine;

/// Servers before this one were never tried.
const TESTED_SERVER: (u64, u64) = (3, 10);

/// Whether these settings use RabbitMQ at all.
pub(super) fn used(config: &Config) -> bool {
    config.cluster.bus == BusAt::Rabbit
}

/// Connects as a member does, and declares the exchange.
pub(super) async fn look(config: &Config) -> Vec<Finding> {
    vec![judged(rabbit::inspect(&engine::rabbit_settings(config)).await)]
}

fn judged(inspected: Result<Inspection, InspectError>) -> Finding {
    let seen = match inspected {
        Ok(seen) => seen,
        Err(why) => {
            let advice =
                "Start RabbitMQ, or correct the section [rabbitmq] of the config. Until then orders go over the links.";
            let end = if matches!(why, InspectError::Open(_)) { "." } else { "" };
            return Finding::fault(What::Rabbit, format!("It cannot be used: {why}{end}"), advice);
        }
    };
    let Some(version) = seen.version else {
        return Finding::ok(
            What::Rabbit,
            format!("RabbitMQ lets the user in, and has the exchange {}.", seen.exchange),
        );
    };
    let told = format!("RabbitMQ {version} lets the user in, and has the exchange {}.", seen.exchange);
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    match (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < TESTED_SERVER {
        false => Finding::ok(What::Rabbit, told),
        true => Finding::warning(What::Rabbit, told, "Upgrade it: Ringway is tested with 3.10 and later."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_server_is_judged_by_its_version_and_whom_it_lets_in() {
        let seen = |version: Option<&str>| {
            Ok(Inspection { exchange: "ringway.a.orders".to_owned(), version: version.map(str::to_owned) })
        };
        let level = |version| judged(seen(version)).level;
        assert_eq!([level(Some("3.10.8")), level(Some("4.3.0")), level(None)], [Level::Ok; 3]);
        assert_eq!(level(Some("3.9.29")), Level::Warning);
        let refused = judged(Err(InspectError::Away("RabbitMQ at x: no. Check [rabbitmq] vhost".to_owned())));
        assert!(refused.level == Level::Fault && refused.seen.contains("[rabbitmq] vhost"), "{refused:?}");
    }
}
