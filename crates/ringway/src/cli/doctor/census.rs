//! Nacos, where members are listed there. It only looks: nobody is entered.

use ringway_engine::nacos::{self, Inspection};

use super::finding::{Finding, What};
use crate::config::Config;
use crate::engine;

/// The version that the project's own tests ran against.
const TESTED: &str = "2.5.1";

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    match nacos::inspect(&engine::nacos_settings(config)).await {
        Ok(seen) => judged(&seen, &config.nacos.service),
        Err(why) => vec![Finding::warning(
            What::Nacos,
            format!("Nacos cannot be asked: {why}."),
            "Members work without it, but are not listed, and nothing that is set there counts. Start it, or correct the section [nacos] of the config.",
        )],
    }
}

fn judged(seen: &Inspection, service: &str) -> Vec<Finding> {
    vec![listed(seen, service), version(seen), threshold(seen, service)]
}

fn listed(seen: &Inspection, service: &str) -> Finding {
    let told = format!("Nacos answers, and lists {} members in the service {service}.", seen.members);
    match seen.is_protected {
        false => Finding::ok(What::Nacos, told),
        true => Finding::warning(
            What::Nacos,
            format!("{told} It says of all of them that they are well, because too few are."),
            "Until more are well nothing in this list counts: see to those that are not, or lower the protection threshold of the service.",
        ),
    }
}

fn version(seen: &Inspection) -> Finding {
    let what = What::NacosVersion;
    match seen.version.as_deref() {
        None => Finding::note(
            what,
            "Nacos does not tell its version.",
            "Give the user the right to ask, or look in its console.",
        ),
        Some(version) if version.starts_with("2.") => Finding::ok(what, format!("Nacos has version {version}.")),
        Some(version) => Finding::note(
            what,
            format!("Nacos has version {version}."),
            format!(
                "Ringway is tested with {TESTED}: set a member offline in the console, and see that it rests, before you rely on it."
            ),
        ),
    }
}

fn threshold(seen: &Inspection, service: &str) -> Finding {
    let what = What::NacosThreshold;
    match seen.threshold {
        None => Finding::note(
            what,
            format!("The protection threshold of {service} is unknown."),
            "There is no such service before the first member was listed.",
        ),
        Some(threshold) if threshold > 0.0 => Finding::warning(
            what,
            format!(
                "The protection threshold of {service} is {threshold}: where no more than this share of the members is well, Nacos says that all are."
            ),
            "Set it to 0 in the console: Ringway keeps its own measure of how many nodes may rest.",
        ),
        Some(_) => Finding::ok(what, format!("The protection threshold of {service} is 0.")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn what_is_seen_is_judged() {
        let well =
            Inspection { version: Some("2.5.1".to_owned()), threshold: Some(0.0), members: 3, is_protected: false };
        let of = |version: Option<&str>, threshold, is_protected| Inspection {
            version: version.map(str::to_owned),
            threshold,
            is_protected,
            ..well.clone()
        };
        use Level::{Note, Ok, Warning};
        let table = [
            (well.clone(), [Ok, Ok, Ok]),
            (of(None, None, false), [Ok, Note, Note]),
            (of(Some("3.0.1"), Some(0.5), true), [Warning, Note, Warning]),
        ];
        for (seen, expected) in table {
            let levels: Vec<Level> = judged(&seen, "ringway-members").iter().map(|finding| finding.level).collect();
            assert_eq!(levels, expected, "{seen:?}");
        }
    }
}
