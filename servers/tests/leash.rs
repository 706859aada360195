//! A server never outlives the process that started it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use servers::leash::send;
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
