//! `daybook watch`, which prints what a socket is sent.

use std::ffi::OsStr;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::{LIMIT, executable};

/// A socket that is sent everything from the beginning of the log on.
#[derive(Debug)]
pub struct Watch {
    lines: Lines<BufReader<ChildStdout>>,
    /// Ends with this.
    _program: Child,
}

impl Watch {
    /// Of the Daybook in a folder (`--data`) or at an address (`--url`).
    pub fn start(token: &str, option: &str, place: impl AsRef<OsStr>) -> Self {
        let mut program = Command::new(executable("daybook").expect("built"))
            .args(["watch", "--after", "0", "--token", token, option])
            .arg(place)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it runs");
        let lines = BufReader::new(program.stdout.take().expect("piped")).lines();
        Self { lines, _program: program }
    }

    /// The next frame; `None` when the socket has ended.
    pub async fn frame(&mut self) -> Option<Value> {
        let line = timeout(LIMIT, self.lines.next_line()).await.expect("a frame in time");
        line.expect("text").map(|line| serde_json::from_str(&line).expect("a frame is JSON"))
    }

    /// The next event; other frames are passed over.
    pub async fn event(&mut self) -> Value {
        loop {
            let mut frame = self.frame().await.expect("the socket is open");
            if frame["type"] == "event" {
                return frame["event"].take();
            }
        }
    }
}
