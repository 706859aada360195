//! A server never outlives the process that started it, and its log does not grow for ever.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use servers::leash::{Leash, Spawn, send};
use servers::log_file::older;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{interval, timeout};

/// Waits until `gone` holds.
async fn wait(gone: impl Fn() -> bool) {
    let mut ticks = interval(Duration::from_millis(20));
    let waiting = async {
        while !gone() {
            ticks.tick().await;
        }
    };
    timeout(Duration::from_secs(15), waiting).await.expect("it is still there");
}

#[tokio::test]
async fn kill_9_of_the_parent_leaves_no_server_and_no_folder() {
    let print = r#"echo "$DAYBOOK_TEST_POSTGRES"; exec sleep 60"#;
    let mut parent = Command::new(env!("CARGO_BIN_EXE_servers"))
        .args(["lend", "sh", "-c", print])
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let url = lines.next_line().await.unwrap().unwrap();
    let socket = Path::new(url.split_once("host=").unwrap().1).to_owned();
    // The second line of the lock is the data folder, the first the server's number.
    let lock = std::fs::read_to_string(socket.join(".s.PGSQL.5432.lock")).unwrap();
    let server = Path::new("/proc").join(lock.lines().next().unwrap());
    let data = Path::new(lock.lines().nth(1).unwrap()).to_owned();
    assert!(server.exists() && data.exists());

    // The whole group, as `sleep` would hold on to our output.
    send("KILL", &format!("-{}", parent.id().unwrap())).unwrap();
    parent.wait().await.unwrap();
    wait(|| !server.exists()).await;
    wait(|| !socket.exists() && !data.exists()).await;
}

#[tokio::test]
async fn a_command_gets_a_postgres_and_its_status_comes_back() {
    let lent = r#"test -n "$DAYBOOK_TEST_POSTGRES" && exit 7"#;
    let status =
        Command::new(env!("CARGO_BIN_EXE_servers")).args(["lend", "sh", "-c", lent]).status().await.unwrap();
    assert_eq!(status.code(), Some(7));
}

#[tokio::test]
async fn a_log_keeps_its_last_part_and_goes_on() {
    const LIMIT: u64 = 4_096;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("server.log");
    let size = |file: &Path| std::fs::metadata(file).map_or(0, |found| found.len());
    let lines: Vec<String> = (1..=1000).map(|n| format!("line {n}")).collect();
    let lines = lines.join("\n") + "\n";
    let told = r#"printf %s "$1"; read -r _ <"$0"; echo "the end""#;
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let leash = Leash::spawn(&Spawn {
        command: &["sh".as_ref(), "-c".as_ref(), told.as_ref(), pipe.as_os_str(), lines.as_ref()],
        signal: "TERM",
        log: &log,
        log_limit: LIMIT,
        remove: &[],
    });
    let leash = leash.unwrap();
    wait(|| older(&log).exists() && size(&log) < LIMIT).await;
    let kept = std::fs::read_to_string(older(&log)).unwrap();
    assert_eq!(kept, lines[lines.len() - 4_096..]);
    std::fs::write(&pipe, "\n").unwrap();
    wait(|| size(&log) > 0).await;
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "the end\n");
    leash.stop().await.ok();
}
