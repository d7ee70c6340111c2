//! Every command and setting that a document, a help or an error names is one that there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap::error::ErrorKind;
use regex_lite::Regex;

use super::super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Files of a kind below a directory.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|why| panic!("{}: {why}", directory.display()));
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|its| its == extension) {
            found.push(path);
        }
    }
    found
}

/// Each document with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let at_root = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name));
    let paths = files(&root().join("docs"), "md").into_iter().chain(at_root);
    paths.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Each source of the program with its text. What is in tests need not be true.
fn sources() -> Vec<(PathBuf, String)> {
    let crates = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path().join("src"));
    let paths = crates.flat_map(|source| files(&source, "rs"));
    let paths = paths.filter(|path| !path.to_string_lossy().contains("tests"));
    paths.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The lines of a document's blocks of shell commands.
fn shell_lines(text: &str) -> Vec<String> {
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n"));
    blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// What stands between backticks in running text and begins with the program's name. Patterns such as `a|b` are not commands.
fn inline(text: &str) -> Vec<String> {
    let code = Regex::new("`(?:taskset -c 0 )?(ringway [^`\n]+)`").unwrap();
    let found = code.captures_iter(text).map(|found| found[1].to_owned());
    found.filter(|command| !command.contains(['|', '[', '{'])).collect()
}

/// The commands of this program in a shell's line: their arguments, with something in the place of what the reader fills in.
fn commands(line: &str) -> Vec<Vec<String>> {
    let words = shlex::split(line).unwrap_or_else(|| panic!("no line for a shell: {line}"));
    let commands = words.split(|word| ["&&", "&", "|", ";"].contains(&word.as_str()));
    let own = commands.filter_map(|words| match words {
        [cargo, run, release, dashes, arguments @ ..]
            if [cargo, run, release, dashes].into_iter().eq(["cargo", "run", "--release", "--"]) =>
        {
            Some(arguments)
        }
        [first, arguments @ ..] if first == "ringway" => Some(arguments),
        _ => None,
    });
    own.map(filled_in).collect()
}

fn filled_in(arguments: &[String]) -> Vec<String> {
    let mut filled = Vec::new();
    for word in arguments {
        let wants_one = filled.last().is_some_and(|last: &String| last.starts_with("--"));
        match word.as_str() {
            "…" | "ADDR" if filled.last().is_some_and(|last| last == "--join") => filled.push("host:1".to_owned()),
            "…" if wants_one => filled.push("1".to_owned()),
            "…" => {}
            "PID" | "$!" | "W" | "G" | "N" => filled.push("1".to_owned()),
            other => filled.push(other.to_owned()),
        }
    }
    filled
}

/// Whether a command is there to be run, or only named in running text.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    ToRun,
    Named,
}

#[track_caller]
fn assert_understood(place: &Path, line: &str, told: Told) -> usize {
    let commands = commands(line);
    for arguments in &commands {
        let words = std::iter::once("ringway").chain(arguments.iter().map(String::as_str));
        match Cli::try_parse_from(words).map_err(|why| (why.kind(), why)) {
            Ok(_) | Err((ErrorKind::DisplayHelp, _)) => {}
            Err((ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingRequiredArgument, _))
                if told == Told::Named => {}
            Err((_, why)) => panic!("{}: {line}\n{why}", place.display()),
        }
    }
    commands.len()
}

#[test]
fn commands_of_the_documents_are_understood() {
    let mut count = 0;
    for (path, text) in documents() {
        count += shell_lines(&text).iter().map(|line| assert_understood(&path, line, Told::ToRun)).sum::<usize>();
        count += inline(&text).iter().map(|line| assert_understood(&path, line, Told::Named)).sum::<usize>();
    }
    assert!(count > 60, "only {count} commands were found: are they still looked for where they stand?");
}

#[test]
fn commands_in_help_are_understood() {
    let mut count = 0;
    let example = Regex::new("(?m)^  (ringway .+?)(?:  .*)?$").unwrap();
    let mut left = vec![Cli::command()];
    while let Some(command) = left.pop() {
        let help = command.clone().render_long_help().to_string();
        let examples = example.captures_iter(&help).map(|found| found[1].to_owned());
        let name = Path::new(command.get_name());
        count += examples.map(|line| assert_understood(name, &line, Told::ToRun)).sum::<usize>();
        count += inline(&help).iter().map(|line| assert_understood(name, line, Told::Named)).sum::<usize>();
        left.extend(command.get_subcommands().cloned());
    }
    assert!(count > 20, "only {count} examples were found");
}

#[test]
fn commands_in_messages_are_understood() {
    for (path, text) in sources() {
        for line in inline(&text) {
            assert_understood(&path, &line, Told::Named);
        }
    }
    let page = fs::read_to_string(root().join("console/index.html")).unwrap();
    let code = Regex::new("<code>(ringway [^<]+)</code>").unwrap();
    for found in code.captures_iter(&page) {
        assert_understood(Path::new("console/index.html"), &found[1], Told::Named);
    }
}

/// Flags of every command.
fn flags() -> BTreeSet<String> {
    let mut flags = BTreeSet::from(["help".to_owned(), "version".to_owned()]);
    let mut left = vec![Cli::command()];
    while let Some(command) = left.pop() {
        flags.extend(command.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned)));
        left.extend(command.get_subcommands().cloned());
    }
    flags
}

#[test]
fn flags_that_are_named_are_flags() {
    /// Of cargo, of the simulation, and of scripts.
    const OTHERS: [&str; 29] = [
        "sentinel",
        "kinds",
        "rounds",
        "megabytes",
        "bench",
        "release",
        "locked",
        "path",
        "workspace",
        "test",
        "mode",
        "seeds",
        "from",
        "sabotage",
        "forgets",
        "example",
        "large",
        "channels",
        "slots",
        "quick",
        "root",
        "show",
        "no-default-features",
        "no-deps",
        "quiet",
        "ignored",
        "nocapture",
        "features",
        "sessions",
    ];
    let flags = flags();
    let flag = Regex::new("(?:^|[\\s`(\"])--([a-z][a-z-]+)").unwrap();
    for (path, text) in documents().into_iter().chain(sources()) {
        if path.to_string_lossy().contains("ringway-sim") {
            continue;
        }
        for found in flag.captures_iter(&text) {
            let name = &found[1];
            assert!(flags.contains(name) || OTHERS.contains(&name), "{}: there is no --{name}", path.display());
        }
    }
}

#[test]
fn settings_that_are_named_are_settings() {
    let example: toml::Table = fs::read_to_string(root().join("ringway.example.toml")).unwrap().parse().unwrap();
    let example = toml::Value::Table(example);
    let setting = Regex::new(r"(?:^|[\s`(,])\[([a-z_.]+)\] ([a-z_]{3,})").unwrap();
    let mut count = 0;
    for (path, text) in documents().into_iter().chain(sources()) {
        for found in setting.captures_iter(&text) {
            let path_of = format!("{}.{}", &found[1], &found[2]);
            let known = path_of.split('.').try_fold(&example, |at, key| at.get(key)).is_some();
            // A section is named by itself in running text, too: "[cluster] of the first gateway".
            let is_section = found[1].split('.').try_fold(&example, |at, key| at.get(key)).is_some();
            let is_word =
                ["and", "the", "for", "with", "has", "counts", "may"].contains(&&found[2]) || &found[2] == "of";
            assert!(known || is_section && is_word, "{}: there is no {path_of}", path.display());
            count += 1;
        }
    }
    assert!(count > 15, "only {count} settings were found");
}

#[test]
fn tests_that_documents_name_are_there() {
    let test = Regex::new("`cargo test -p (ringway[a-z-]*)(?: --test ([a-z_]+))?(?: ([a-z_]+))?`").unwrap();
    let mut count = 0;
    for (path, text) in documents() {
        for found in test.captures_iter(&text) {
            let part = |at: usize| found.get(at).map(|part| part.as_str());
            let place = root().join("crates").join(&found[1]).join(part(2).map_or("src", |_| "tests"));
            let suite = part(2).unwrap_or("");
            let sources = files(&place, "rs").into_iter().filter(|file| file.to_string_lossy().contains(suite));
            let name = part(3).unwrap_or("");
            let is_there = |file: PathBuf| {
                let its_own = file.strip_prefix(&place).is_ok_and(|own| own.to_string_lossy().contains(name));
                its_own
                    || Regex::new(&format!("fn [a-z_0-9]*{name}")).unwrap().is_match(&fs::read_to_string(file).unwrap())
            };
            assert!(sources.into_iter().any(is_there), "{}: {} runs no test", path.display(), &found[0]);
            count += 1;
        }
    }
    assert!(count > 10, "only {count} were found");
}
