//! Tables on terminals: they are as wide as there is room, whatever members are called.

use std::io::Read;
use std::process::{Command, Stdio};

use nix::pty::{OpenptyResult, Winsize, openpty};
use regex_lite::Regex;
use ringway_testkit::server::TOKEN;
use ringway_testkit::{Process, Server, eventually_ok};

use crate::support::{BINARY, CHANGE, SOON, command, configured, ringway};

/// What a command writes on a terminal of so many columns, without colours and the like.
async fn on_terminal(columns: u16, mut command: Command) -> String {
    let text = tokio::task::spawn_blocking(move || {
        let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(&size, None).expect("a terminal");
        command.stdin(Stdio::null()).stdout(slave).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the program starts");
        // It holds the other end, which must be closed for the text to end.
        drop(command);
        let mut text = Vec::new();
        // A terminal that nobody holds any more is an error to its reader.
        let _ = std::fs::File::from(master).read_to_end(&mut text);
        assert!(child.wait().expect("it ends").success());
        String::from_utf8(text).expect("text")
    });
    let escapes = Regex::new("\x1b\\[[?0-9;]*[A-Za-z]").expect("a regular expression");
    escapes.replace_all(&text.await.expect("it ends"), "").replace('\r', "")
}

#[tokio::test]
async fn tables_fit_the_terminal_whatever_the_names() {
    let names = ["one", "two"].map(|end| format!("{}-{end}", "n".repeat(60)));
    let builder = Process::builder(&*BINARY, &["gateway", "--port", "0", "--link-listen", "127.0.0.1:0"]);
    let builder = configured(builder.env("RINGWAY_SECRET", "a secret of members"), "[cluster]\nslots = 256\n");
    let mut server = Server::start(builder, SOON).await;
    let join = server.process.wait_for(r#"members address=([0-9.]+:[0-9]+)"#, SOON).await.remove(1);
    let node = |name: &String| {
        let args = ["node", "--join", &join, "--id", name, "--link-listen", "127.0.0.1:0"];
        Process::builder(&*BINARY, &args).env("RINGWAY_SECRET", "a secret of members").start()
    };
    let _nodes = names.each_ref().map(node);
    server.settled(2).await;
    let url = format!("http://{}", server.addr());
    let home = server.process.dir();
    eventually_ok(CHANGE, || async {
        let told = ringway(home, &["changes", "--url", &url, "--token", TOKEN]).await;
        anyhow::ensure!(String::from_utf8_lossy(&told.stdout).contains(&names[1]), "no receipt yet");
        Ok(())
    })
    .await;
    for args in [&["members"][..], &["changes"], &["ring"], &["plan", "kill", &names[0]], &["top", "--count", "1"]] {
        let args = [args, &["--url", &url, "--token", TOKEN]].concat();
        for columns in [80, 60] {
            let mut command = command(home);
            command.args(&args);
            let text = on_terminal(columns, command).await;
            let table = text.lines().take_while(|line| !line.contains("slots would move"));
            let table: Vec<&str> = table.filter(|line| !line.contains(&*BINARY)).collect();
            assert!(table.len() >= 3 && text.contains("-one") && text.contains("-two"), "{args:?}: {text}");
            let widest = table.iter().map(|line| line.chars().count()).max();
            assert!(widest <= Some(columns.into()), "{args:?} on {columns} columns: {widest:?}\n{text}");
        }
        let piped = ringway(home, &args).await;
        let piped = String::from_utf8_lossy(&piped.stdout);
        assert!(names.iter().all(|name| piped.contains(name)) && !piped.contains("no room"), "{args:?}: {piped}");
    }
}
