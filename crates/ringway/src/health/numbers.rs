//! Health in numbers, for whoever is alarmed by a rule of his own.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

use super::{Health, Status};
use crate::clock;

/// Computed when asked for.
#[derive(Debug)]
pub struct Numbers(Health);

impl Numbers {
    pub(super) fn new(health: Health) -> Self {
        Self(health)
    }
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let gauge = ConstGauge::new(0_u64);
        let status = self.0.report().status;
        let help = "1 for how this process is, as /health says it, 0 for the others";
        let mut family = encoder.encode_descriptor("health", help, None, gauge.metric_type())?;
        for one in Status::ALL {
            let value = ConstGauge::new(u64::from(one == status));
            value.encode(family.encode_family(&[("status", one.word())])?)?;
        }
        let now = clock::now();
        let (alone, unserved, silence) = self.0.with_look(now, |look| {
            let silence = if look.registry_is_away() { look.registry_silence().as_secs_f64() } else { 0.0 };
            (look.without_second_copy(), look.unserved(), silence)
        });
        let slots = [
            ("slots_without_second_copy", "Slots that should have a second copy and have none", alone),
            ("slots_unserved", "Slots in which nothing can be published now", unserved),
        ];
        for (name, help, value) in slots {
            let value = ConstGauge::new(value);
            value.encode(encoder.encode_descriptor(name, help, None, value.metric_type())?)?;
        }
        if let Some(census) = self.0.census() {
            let facts = [
                (
                    "census_listed",
                    "1 while the census lists this member, 0 while it does not or is away",
                    census.is_listed,
                ),
                ("census_rests", "1 while the census has the node of this process rest", census.rests),
            ];
            for (name, help, holds) in facts {
                let value = ConstGauge::new(u64::from(holds));
                value.encode(encoder.encode_descriptor(name, help, None, value.metric_type())?)?;
            }
        }
        let help = "How long the registry has not answered this process; 0 while it does";
        let silence = ConstGauge::new(silence);
        silence.encode(encoder.encode_descriptor("registry_away_seconds", help, None, silence.metric_type())?)
    }
}
