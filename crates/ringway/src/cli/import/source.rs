//! Reading what is to be translated: JSON, YAML, TOML or environment variables, of version 6 or before.

use std::path::Path;

use serde_json::{Map, Value};
use yaml_rust2::{Yaml, YamlLoader};

use super::names::{EXAMPLE, FLAT, FLAT_FAMILIES, RENAMED, SECTIONS};

const PREFIX: &str = "CENTRIFUGO_";

/// A document of settings in sections, as version 6 has them.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Where it is from, for people.
    pub(super) name: String,
    pub(super) settings: Map<String, Value>,
}

impl Source {
    /// Reads a file by its ending: `.json`, `.yaml`, `.yml`, `.toml`, `.env`.
    ///
    /// # Errors
    /// It cannot be read; the sentence says why.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let shown = file.display();
        let text =
            std::fs::read_to_string(file).map_err(|why| format!("cannot read {shown}: {why}. Check its path"))?;
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
        let name = file.file_name().map_or_else(|| shown.to_string(), |name| name.to_string_lossy().into_owned());
        Self::parse(&name, &ending, &text).map_err(|why| format!("{shown} cannot be read as {ending}: {why}"))
    }

    pub(super) fn parse(name: &str, ending: &str, text: &str) -> Result<Self, String> {
        let document = match ending {
            "json" => serde_json::from_str(text).map_err(|why| why.to_string())?,
            "toml" => serde_json::to_value(text.parse::<toml::Table>().map_err(|why| why.to_string())?)
                .map_err(|why| why.to_string())?,
            "yaml" | "yml" => {
                let documents = YamlLoader::load_from_str(text).map_err(|why| why.to_string())?;
                documents.into_iter().next().map_or(Value::Null, of_yaml)
            }
            "env" => {
                let mut source = Self { name: name.to_owned(), ..Self::default() };
                source.lay_over(text.lines().filter_map(variable));
                return Ok(source);
            }
            _ => {
                return Err(
                    "the ending says what it is: .json, .yaml, .toml, or .env for environment variables".to_owned()
                );
            }
        };
        let settings = match document {
            Value::Object(settings) => settings,
            Value::Null => Map::new(),
            _ => return Err("it holds no settings, which are names with values".to_owned()),
        };
        Ok(Self { name: name.to_owned(), settings: in_sections(settings) })
    }

    /// Lays environment variables over it; those of others are passed over.
    pub(super) fn lay_over(&mut self, variables: impl Iterator<Item = (String, String)>) {
        let mut flat = Map::new();
        for (name, value) in variables {
            let Some(name) = name.strip_prefix(PREFIX).map(str::to_lowercase) else { continue };
            let value = Value::String(value);
            match paths().find(|path| path.replace('.', "_") == name) {
                Some(path) => put(&mut self.settings, &path, value),
                None if name.starts_with("channel_namespaces") => namespace(&mut self.settings, &name, &value),
                None => drop(flat.insert(name, value)),
            }
        }
        for (name, value) in in_sections(flat) {
            merge(&mut self.settings, name, value);
        }
        if self.name.is_empty() {
            self.name = "environment variables".to_owned();
        }
    }
}

/// `NAME=value` or `export NAME="value"`.
fn variable(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim().strip_prefix("export ").unwrap_or(line.trim()).split_once('=')?;
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    (!name.starts_with('#')).then(|| (name.trim().to_owned(), value.to_owned()))
}

fn of_yaml(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Real(text) => text.parse::<f64>().map_or(Value::String(text), Value::from),
        Yaml::Integer(number) => number.into(),
        Yaml::String(text) => text.into(),
        Yaml::Boolean(is) => is.into(),
        Yaml::Array(items) => items.into_iter().map(of_yaml).collect(),
        Yaml::Hash(entries) => {
            let name = |key: Yaml| key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned);
            Value::Object(entries.into_iter().map(|(key, value)| (name(key), of_yaml(value))).collect())
        }
        _ => Value::Null,
    }
}

/// Settings of version 5 and before stand at the top, all of them; here they get their sections.
fn in_sections(flat: Map<String, Value>) -> Map<String, Value> {
    let mut settings = Map::new();
    let options = EXAMPLE["channels"]["without_namespace"].as_table();
    for (name, value) in flat {
        let known = FLAT.iter().find(|(old, _)| *old == name && !value.is_object());
        let family = FLAT_FAMILIES.iter().find(|(old, _)| name.starts_with(old));
        let is_option = name != "enabled" && options.is_some_and(|options| options.contains_key(&name));
        match (known, family) {
            (Some((_, path)), _) => put(&mut settings, path, value),
            (None, Some((old, new))) => put(&mut settings, &name.replacen(old, new, 1), value),
            (None, None) if is_option => put(&mut settings, &format!("channel.without_namespace.{name}"), value),
            // `health: true` was a switch once.
            (None, None) if value.is_boolean() => put(&mut settings, &format!("{name}.enabled"), value),
            (None, None) => merge(&mut settings, name, value),
        }
    }
    settings
}

/// Every path that a variable can set.
fn paths() -> impl Iterator<Item = String> {
    let of_section = |(theirs, ours): &(&str, &str)| {
        let table = ours.split('.').try_fold(&toml::Value::Table(EXAMPLE.clone()), |at, key| at.get(key)).cloned();
        let names: Vec<String> =
            table.and_then(|table| Some(table.as_table()?.keys().cloned().collect())).unwrap_or_default();
        let theirs = (*theirs).to_owned();
        names.into_iter().map(move |name| format!("{theirs}.{name}")).collect::<Vec<_>>()
    };
    // The longer names first: `client.token.…` before `client.…`.
    RENAMED.iter().map(|(theirs, _)| (*theirs).to_owned()).chain(SECTIONS.iter().rev().flat_map(of_section))
}

/// `CHANNEL_NAMESPACES` with all of them in JSON, or `CHANNEL_NAMESPACES_<NAME>_<OPTION>` with one option.
fn namespace(settings: &mut Map<String, Value>, variable: &str, value: &Value) {
    let rest = variable.strip_prefix("channel_namespaces").unwrap_or_default();
    if rest.is_empty() {
        let list = value.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| value.clone());
        return put(settings, "channel.namespaces", list);
    }
    let options = EXAMPLE["channels"]["without_namespace"].as_table().into_iter().flat_map(toml::Table::keys);
    let mut fits =
        options.filter_map(|option| Some((rest.strip_suffix(&format!("_{option}"))?.strip_prefix('_')?, option)));
    let Some((name, option)) = fits.by_ref().min_by_key(|(name, _)| name.len()) else {
        return put(settings, variable, value.clone());
    };
    let channel = settings.entry("channel").or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(channel) = channel else { return };
    let Value::Array(all) = channel.entry("namespaces").or_insert_with(|| Value::Array(Vec::new())) else { return };
    let is_it = |entry: &&mut Value| entry["name"].as_str().is_some_and(|other| other.eq_ignore_ascii_case(name));
    match all.iter_mut().find(is_it) {
        Some(entry) => entry[option] = value.clone(),
        None => {
            all.push(Value::Object(Map::from_iter([
                ("name".to_owned(), name.into()),
                (option.clone(), value.clone()),
            ])));
        }
    }
}

fn put(settings: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => merge(settings, path.to_owned(), value),
        Some((section, rest)) => {
            let inner = settings.entry(section).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn merge(settings: &mut Map<String, Value>, name: String, value: Value) {
    match (settings.get_mut(&name), value) {
        (Some(Value::Object(inner)), Value::Object(more)) => {
            more.into_iter().for_each(|(name, value)| merge(inner, name, value));
        }
        (_, value) => drop(settings.insert(name, value)),
    }
}
