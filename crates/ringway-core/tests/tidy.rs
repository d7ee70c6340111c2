//! What the architecture says about the sources, held to them: nothing orphaned, nothing imported against the grain,
//! nothing left for later.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/ringway-core has a parent").to_owned()
}

fn rust_files(under: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(under).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_files(under: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    rust_files(under, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no sources under {}", under.display());
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files that `mod` lines of this one lead to.
fn children(file: &Path) -> Vec<PathBuf> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let parent = file.parent().unwrap_or(Path::new(""));
    // A crate's own folder of tests has a root in every file; one among the sources is a module like others.
    let holds_roots = parent.ends_with("tests") && parent.with_file_name("Cargo.toml").exists();
    let is_root = matches!(stem, "lib" | "main") || parent.ends_with("bin") || holds_roots;
    let folder = if is_root { parent.to_owned() } else { parent.join(stem) };
    let name = |line: &str| {
        let line =
            line.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ").trim_start_matches("pub ");
        Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    };
    read(file).lines().filter_map(name).map(|name| folder.join(format!("{name}.rs"))).collect()
}

#[test]
fn every_source_is_reached_by_a_mod_line() {
    for entry in fs::read_dir(crates()).unwrap().flatten() {
        let src = entry.path().join("src");
        let roots = [src.join("lib.rs"), src.join("main.rs")];
        let mut open: Vec<PathBuf> = roots.into_iter().filter(|root| root.exists()).collect();
        open.extend(fs::read_dir(src.join("bin")).into_iter().flatten().flatten().map(|entry| entry.path()));
        let mut reached = HashSet::new();
        while let Some(file) = open.pop() {
            if file.exists() && reached.insert(file.clone()) {
                open.extend(children(&file));
            }
        }
        let orphans: Vec<_> = all_files(&src).into_iter().filter(|file| !reached.contains(file)).collect();
        assert!(orphans.is_empty(), "no mod line leads to {orphans:?}");
    }
}

/// A crate of rules depends on none of these and uses none of those, its tests aside.
fn knows_nothing_of(name: &str, dependencies: &[&str], words: &[&str]) {
    let manifest = read(&crates().join(name).join("Cargo.toml"));
    let depends = manifest.split("[dev-dependencies]").next().unwrap_or_default();
    for banned in dependencies {
        let is_banned = |line: &str| line.split(['.', ' ', '=']).next() == Some(banned);
        assert!(!depends.lines().any(is_banned), "{name} depends on {banned}");
    }
    let is_test = |file: &Path| file.iter().any(|part| part == "tests");
    for file in all_files(&crates().join(name).join("src")).into_iter().filter(|file| !is_test(file)) {
        let text = read(&file);
        for banned in words {
            assert!(!text.contains(banned), "{} uses {banned}", file.display());
        }
    }
}

#[test]
fn the_rules_know_no_runtime_no_socket_and_no_clock() {
    let words = ["std::net", "std::fs", "std::thread", "std::time::Instant", "SystemTime", ".ln()"];
    knows_nothing_of("ringway-core", &["tokio", "rand", "socket2", "nix", "tracing"], &words);
}

#[test]
fn sessions_know_no_runtime_no_socket_no_clock_and_no_chance() {
    let dependencies = ["tokio", "rand", "socket2", "nix", "hyper", "axum", "jiff", "ringway-edge", "ringway-link"];
    let words = ["std::fs", "std::thread", "std::time::Instant", "SystemTime", "new_v4", "TcpStream"];
    knows_nothing_of("ringway-hub", &dependencies, &words);
}

/// It says what, and a dialect makes bytes of it. Tokens are JSON by their own standard: what reads them may know that.
#[test]
fn sessions_know_no_wire() {
    let src = crates().join("ringway-hub/src");
    let may_know = |file: &Path| ["tests", "auth", "auth.rs"].iter().any(|one| file.starts_with(src.join(one)));
    for file in all_files(&src).into_iter().filter(|file| !may_know(file)) {
        let text = read(&file);
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for word in ["json", "ws::", "::ws", "Opcode", "WebSocketText"] {
                assert!(!line.contains(word), "{} uses {word}: {line}", file.display());
            }
        }
    }
}

#[test]
fn roles_do_not_import_one_another() {
    let src = crates().join("ringway/src");
    let gateway = all_files(&src.join("gateway"));
    for file in gateway.iter().chain([&src.join("gateway.rs")]) {
        for other in ["crate::member", "crate::orchestrator", "crate::admin", "crate::app", "crate::demo"] {
            assert!(!read(file).contains(other), "{} imports {other}", file.display());
        }
    }
}

/// What serves is the same in a program that is built without `bench` and `chaos`, and asks nobody over HTTP: but for the keys of tokens,
/// which their issuers publish.
#[test]
fn what_serves_knows_no_load_generator_and_no_client() {
    let src = crates().join("ringway/src");
    let fetches = src.join("gateway/key_fetch.rs");
    for file in all_files(&src).iter().filter(|file| !file.starts_with(src.join("cli"))) {
        let text = read(file);
        for other in ["ringway_bench", "hdrhistogram"] {
            assert!(!text.contains(other), "{} uses {other}", file.display());
        }
        assert!(!text.contains("ringway_http") || *file == fetches, "{} uses ringway_http", file.display());
    }
}

#[test]
fn nothing_is_left_for_later() {
    let marks = ["TO\u{44}O", "FIX\u{4d}E", "XX\u{58}", "unimplemen\u{74}ed!", "to\u{64}o!"];
    for file in all_files(&crates()) {
        let text = read(&file);
        for mark in marks {
            assert!(!text.contains(mark), "{} says {mark}", file.display());
        }
        assert!(!file.ends_with("mod.rs"), "{}: a module's story stands beside its folder", file.display());
    }
}

/// The arguments of every `info!`, `warn!` and `error!` of a source, each as one text.
fn log_lines(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for name in ["info!(", "warn!(", "error!("] {
        let begins = source.match_indices(name).map(|(at, _)| at);
        let is_whole = |at: &usize| !source[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        found.extend(begins.filter(is_whole).map(|at| arguments(&source[at + name.len()..])));
    }
    found
}

/// Up to the bracket that closes what was opened before.
fn arguments(text: &str) -> &str {
    let (mut depth, mut quoted, mut escaped) = (1, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

/// `?field`, `field = ?value` or `{value:?}`: a question mark behind an expression is the operator.
fn has_debug(line: &str) -> bool {
    line.match_indices('?').any(|(at, _)| {
        let (before, behind) = (line[..at].trim_end(), &line[at + 1..]);
        let is_sigil = behind.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '&')
            && (before.is_empty() || before.ends_with(['=', ',', '(']));
        behind.starts_with('}') || is_sigil
    })
}

#[test]
fn log_lines_are_for_people() {
    for (line, debug) in [
        ("?slots, \"x\"", true),
        ("a = ?b, \"x\"", true),
        ("\"{slots:?}\"", true),
        ("\"{:.1?}\", took", true),
        ("error = %ask()?, \"is it full? {why}\"", false),
    ] {
        assert_eq!(has_debug(line), debug, "{line}");
    }
    let mut seen = 0;
    let is_source = |file: &PathBuf| !file.iter().any(|part| part == "tests");
    for file in all_files(&crates()).into_iter().filter(is_source) {
        let text = read(&file);
        let lines = log_lines(&text);
        seen += lines.len();
        let debug: Vec<_> = lines.into_iter().filter(|line| has_debug(line)).collect();
        assert!(debug.is_empty(), "{} shows people what is for programmers: {debug:?}", file.display());
    }
    assert!(seen > 20, "only {seen} log lines were found");
}

#[test]
fn members_write_by_the_thread_of_the_log_alone() {
    let crates = crates();
    let mut files: Vec<PathBuf> = ["core", "protocol", "edge", "link"]
        .iter()
        .flat_map(|name| all_files(&crates.join(format!("ringway-{name}/src"))))
        .collect();
    files.extend(all_files(&crates.join("ringway/src")));
    // The first is that thread; the others are programs that are no members, and may wait for their reader.
    let may = |file: &PathBuf| {
        ["telemetry", "telemetry.rs", "cli", "cli.rs"].iter().any(|name| file.iter().any(|part| part == *name))
    };
    for file in files.iter().filter(|file| !may(file) || file.ends_with("cli/run.rs")) {
        let text = read(file);
        for banned in ["println!", "print!(", "stdout()", "stderr()", "dbg!"] {
            let waits = text.match_indices(banned).any(|(at, _)| !text[..at].ends_with("on_"));
            assert!(!waits, "{} has {banned}: a member that writes there waits for whoever reads it", file.display());
        }
    }
}
