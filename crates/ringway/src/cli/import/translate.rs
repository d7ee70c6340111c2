//! From settings of the reference server to ours.

use std::time::Duration;

use serde_json::{Map, Value};
use toml::Table;

use super::Remark;
use super::names::{EXAMPLE, Kind, LEFT_OVER, NOTHING, RENAMED, SECTIONS};
use super::source::Source;
use crate::config;

/// What became of them.
#[derive(Debug, Default)]
pub(super) struct Translated {
    pub(super) table: Table,
    pub(super) choices: Vec<Remark>,
    pub(super) missing: Vec<Remark>,
}

pub(super) fn translate(source: Source) -> Translated {
    let mut settings = Value::Object(source.settings);
    let mut to = Translated::default();
    to.differing_defaults();
    for (theirs, ours) in RENAMED {
        to.one(&mut settings, theirs, ours);
    }
    for (theirs, ours) in SECTIONS {
        if let Some(Value::Object(section)) = at(&mut settings, theirs) {
            to.same_names(section, theirs, ours);
        }
    }
    to.namespaces(&mut settings);
    to.tokens("client.token");
    to.tokens("client.subscription_token");
    if get(&to.table, "client.subscription_token.enabled") != Some(&true.into()) {
        remove(&mut to.table, "client.subscription_token");
    }
    to.channels();
    to.left_over("", &settings);
    to
}

impl Translated {
    /// What is set there where nobody sets it, and otherwise here.
    fn differing_defaults(&mut self) {
        set(&mut self.table, "server.listen", "0.0.0.0".into());
        set(&mut self.table, "server.port", 8000.into());
        set(&mut self.table, "client.subscribe_to_user_personal_channel", false.into());
        set(&mut self.table, "channels.without_namespace.enabled", true.into());
    }

    fn one(&mut self, settings: &mut Value, theirs: &str, ours: &str) {
        let (section, name) = theirs.rsplit_once('.').unwrap_or(("", theirs));
        let Some(Value::Object(section)) = at(settings, section) else { return };
        if section.get(name).is_some_and(is_unset) {
            section.remove(name);
        } else if let Some(value) = section.remove(name) {
            self.convert(theirs, &value, ours);
        }
    }

    /// Everything in a section that has the same name here.
    fn same_names(&mut self, section: &mut Map<String, Value>, theirs: &str, ours: &str) {
        let Some(known) = get(&EXAMPLE, ours).and_then(toml::Value::as_table) else { return };
        for (name, _) in known.iter().filter(|(_, default)| !default.is_table()) {
            let is_ours = section.get(name).is_some_and(|value| !value.is_object());
            if let Some(value) = is_ours.then(|| section.remove(name)).flatten().filter(|value| !value.is_null()) {
                self.convert(&format!("{theirs}.{name}"), &value, &format!("{ours}.{name}"));
            }
        }
    }

    /// Writes a value down in the form that ours has. A namespace's setting has the form of those of channels without one.
    fn convert(&mut self, theirs: &str, value: &Value, ours: &str) {
        let name = ours.rsplit('.').next().unwrap_or(ours);
        let like = match ours.starts_with("channels.namespaces.") {
            true => format!("channels.without_namespace.{name}"),
            false => ours.to_owned(),
        };
        match get(&EXAMPLE, &like).map(|default| converted(default, value)) {
            Some(Ok(value)) => set(&mut self.table, ours, value),
            Some(Err(why)) => self.choose(theirs, &why),
            None => self.miss(theirs, NOTHING),
        }
    }

    fn namespaces(&mut self, settings: &mut Value) {
        let Some(all) = at(settings, "channel").and_then(|channel| channel.as_object_mut()?.remove("namespaces"))
        else {
            return;
        };
        let Value::Array(all) = all else {
            return self.choose("channel.namespaces", "is no list of namespaces, and was left out");
        };
        for mut namespace in all {
            let Some(entry) = namespace.as_object_mut() else { continue };
            let name = entry.remove("name").and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default();
            let theirs = format!("channel.namespaces.{name}");
            if name.is_empty() || name.contains(['.', ':', '#', '$']) {
                self.choose(&theirs, "has a name that a namespace cannot have here, and was left out");
                continue;
            }
            set(&mut self.table, &format!("channels.namespaces.{name}"), toml::Value::Table(Table::new()));
            let known = get(&EXAMPLE, "channels.without_namespace")
                .and_then(toml::Value::as_table)
                .cloned()
                .unwrap_or_default();
            for (option, value) in std::mem::take(entry) {
                match known.contains_key(&option) && option != "enabled" {
                    true => self.convert(
                        &format!("{theirs}.{option}"),
                        &value,
                        &format!("channels.namespaces.{name}.{option}"),
                    ),
                    false => self.left_over(&format!("{theirs}.{option}"), &value),
                }
            }
        }
    }

    /// Keys that do not go together here.
    fn tokens(&mut self, section: &str) {
        const KEYS: [&str; 4] = ["hmac_secret_key", "hmac_previous_secret_key", "rsa_public_key", "ecdsa_public_key"];
        let endpoint = get(&self.table, &format!("{section}.jwks_public_endpoint"))
            .and_then(toml::Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if endpoint.contains("{{") {
            remove(&mut self.table, &format!("{section}.jwks_public_endpoint"));
            let why = "what a token says never chooses where keys come from: write the address of each issuer under [[client.token.issuers]]";
            self.choose(&format!("{section}.jwks_public_endpoint"), why);
        } else if !endpoint.is_empty() {
            for key in KEYS.map(|key| format!("{section}.{key}")) {
                if remove(&mut self.table, &key).is_some_and(|value| value.as_str() != Some("")) {
                    self.choose(&key, "does not count there beside jwks_public_endpoint, and was left out");
                }
            }
        }
        let has_keys = KEYS
            .iter()
            .chain(&["jwks_public_endpoint"])
            .any(|key| get(&self.table, &format!("{section}.{key}")).is_some_and(|value| value.as_str() != Some("")));
        if !has_keys && get(&self.table, section).is_some() {
            remove(&mut self.table, section);
            if section == "client.token" {
                self.choose(section, "has no key, so no token is good: set one");
            }
        }
    }

    /// Options of channels that do not go together here.
    fn channels(&mut self) {
        let mut kinds = vec!["channels.without_namespace".to_owned()];
        let named = get(&self.table, "channels.namespaces").and_then(toml::Value::as_table);
        kinds.extend(named.into_iter().flat_map(Table::keys).map(|name| format!("channels.namespaces.{name}")));
        for kind in kinds {
            let is_zero = |value: &toml::Value| {
                matches!(value, toml::Value::Integer(0))
                    || value.as_str().is_some_and(|text| config::duration(text) == Some(Duration::ZERO))
            };
            let has =
                |table: &Table, name: &str| get(table, &format!("{kind}.{name}")).is_some_and(|value| !is_zero(value));
            let drop_of = |to: &mut Self, names: &[&str], why: &str| {
                for name in names.iter().map(|name| format!("{kind}.{name}")) {
                    if remove(&mut to.table, &name).is_some_and(|value| value != false.into()) {
                        to.choose(&name.replacen("channels", "channel", 1), why);
                    }
                }
            };
            if !(has(&self.table, "history_size") && has(&self.table, "history_ttl")) {
                drop_of(
                    self,
                    &["history_size", "history_ttl"],
                    "a history has a size and a time: without one of them there is none, and it was left out",
                );
                let needs = ["force_recovery", "allow_recovery", "force_positioning", "allow_positioning"];
                drop_of(self, &needs, "does nothing without a history, and was left out");
            }
            if get(&self.table, &format!("{kind}.join_leave")) != Some(&true.into()) {
                drop_of(self, &["force_push_join_leave"], "does nothing without join_leave, and was left out");
            }
        }
    }

    /// What nobody has taken.
    fn left_over(&mut self, path: &str, value: &Value) {
        let is_off = |section: &Map<String, Value>| {
            section.get("enabled").is_some_and(|enabled| matches!(enabled, Value::Bool(false)) || enabled == "false")
        };
        match value {
            Value::Object(section) if is_off(section) => {}
            Value::Object(section) => {
                for (name, value) in section {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.left_over(&path, value);
                }
            }
            value if is_unset(value) => {}
            _ => match LEFT_OVER.iter().find(|(begins, ..)| path.starts_with(begins)) {
                Some((_, Kind::Choice, why)) => self.choose(path, why),
                Some((_, Kind::Missing, why)) => self.miss(path, why),
                None => self.miss(path, NOTHING),
            },
        }
    }

    fn choose(&mut self, key: &str, why: &str) {
        self.choices.push(Remark { key: key.to_owned(), why: why.to_owned() });
    }

    fn miss(&mut self, key: &str, why: &str) {
        self.missing.push(Remark { key: key.to_owned(), why: why.to_owned() });
    }
}

/// It is there, and says nothing.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::String(text) => text.is_empty() || text == "false",
        Value::Array(items) => items.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Object(section) => section.is_empty(),
    }
}

/// A value in the form that a setting of ours has, told by its default. The error continues the sentence "`key`: …".
fn converted(default: &toml::Value, value: &Value) -> Result<toml::Value, String> {
    let wrong = || format!("is {value}, which cannot be read, and was left out");
    let found = match default {
        toml::Value::Boolean(_) => value.as_bool().or_else(|| value.as_str()?.parse().ok()).map(Into::into),
        toml::Value::Integer(_) => value.as_i64().or_else(|| value.as_str()?.parse().ok()).map(Into::into),
        toml::Value::Array(_) => texts(value).map(Into::into),
        toml::Value::String(text) if config::duration(text).is_some() => {
            return time(value).ok_or_else(wrong).and_then(written);
        }
        toml::Value::String(text) if config::size(text).is_some() => {
            value.as_u64().or_else(|| value.as_str()?.parse().ok()).map(|bytes| format!("{bytes}B").into())
        }
        _ => value.as_str().map(Into::into),
    };
    found.ok_or_else(wrong)
}

/// A list of texts; a variable has them with blanks between.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(text.split_whitespace().map(str::to_owned).collect()),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// A time such as `1h30m` or `250ms`; a bare number counts nanoseconds. `None` within: it is negative, which turns something off.
fn time(value: &Value) -> Option<Option<Duration>> {
    if let Some(nanoseconds) = value.as_i64() {
        return Some(u64::try_from(nanoseconds).ok().map(Duration::from_nanos));
    }
    let mut rest = value.as_str()?;
    if rest.starts_with('-') {
        return Some(None);
    }
    if let Ok(nanoseconds) = rest.parse() {
        return Some(Some(Duration::from_nanos(nanoseconds)));
    }
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let units = [("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
        let (unit, each) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        sum += number * each;
        rest = &rest[unit.len()..];
    }
    Duration::try_from_secs_f64(sum).ok().map(Some)
}

/// As our files have it: a whole number and one unit.
fn written(time: Option<Duration>) -> Result<toml::Value, String> {
    let Some(time) = time else {
        return Err("is negative, which turns it off there; here it cannot be turned off, and was left out".to_owned());
    };
    let seconds = time.as_secs();
    Ok(match () {
        () if time.subsec_nanos() > 0 => format!("{}ms", time.as_millis()),
        () if seconds > 0 && seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        () if seconds > 0 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        () if seconds > 0 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        () => format!("{seconds}s"),
    }
    .into())
}

fn at<'a>(settings: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    if path.is_empty() { Some(settings) } else { path.split('.').try_fold(settings, |at, key| at.get_mut(key)) }
}

fn get<'a>(table: &'a Table, path: &str) -> Option<&'a toml::Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let found = table.get(first)?;
    match rest {
        None => Some(found),
        Some(rest) => get(found.as_table()?, rest),
    }
}

fn set(table: &mut Table, path: &str, value: toml::Value) {
    match path.split_once('.') {
        None => drop(table.insert(path.to_owned(), value)),
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Table::new().into());
            if let Some(inner) = inner.as_table_mut() {
                set(inner, rest, value);
            }
        }
    }
}

fn remove(table: &mut Table, path: &str) -> Option<toml::Value> {
    match path.split_once('.') {
        None => table.remove(path),
        Some((first, rest)) => remove(table.get_mut(first)?.as_table_mut()?, rest),
    }
}
