//! The user that Postgres runs as, since it refuses root.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// As whom the server runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum User {
    /// We are not root: as we are.
    Same,
    /// Root under another number, in a namespace of its own: the files stay root's.
    Mapped,
    /// The system's user `postgres`, where namespaces are forbidden.
    System,
}

impl User {
    const SYSTEM: [&str; 4] = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"];
    const MAP: [&str; 4] = ["unshare", "--user", "--map-user=1000", "--map-group=1000"];

    /// Whatever works here.
    pub(crate) fn choose() -> Result<Self> {
        if !is_root()? {
            return Ok(Self::Same);
        }
        if succeeds(&[&Self::MAP[..], &["true"]].concat()) {
            return Ok(Self::Mapped);
        }
        if succeeds(&[&Self::SYSTEM[..], &["true"]].concat()) {
            return Ok(Self::System);
        }
        bail!(
            "Postgres refuses to run as root, `unshare --user` does not work here, and nothing can be run as the user postgres; \
             run this as another user"
        )
    }

    /// The words that start `program` as this user, without a process in between.
    pub(crate) fn command(self, program: PathBuf) -> Vec<OsString> {
        let before: &[&str] = match self {
            Self::Same => &[],
            Self::Mapped => &Self::MAP,
            Self::System => &Self::SYSTEM,
        };
        before.iter().map(OsString::from).chain([program.into()]).collect()
    }

    /// Makes `folder` the user's own. Fails when the user could not reach it all the same.
    pub(crate) fn give(self, folder: &Path) -> Result<()> {
        if !matches!(self, Self::System) {
            return Ok(());
        }
        let status = Command::new("chown").arg("-R").arg("postgres:").arg(folder).status()?;
        ensure!(status.success(), "cannot give {} to the user postgres", folder.display());
        let reach = self.command("test".into());
        let reached = Command::new(&reach[0]).args(&reach[1..]).arg("-w").arg(folder).status()?;
        ensure!(
            reached.success(),
            "Postgres refuses to run as root, and the user postgres, as whom it runs instead, cannot reach {}: take \
             a data folder that every user can reach (--data or DAYBOOK_DATA), such as /var/lib/daybook, or run this \
             as another user",
            folder.display()
        );
        Ok(())
    }
}

fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("cannot start `id`")?;
    Ok(output.stdout == b"0\n")
}

fn succeeds(command: &[&str]) -> bool {
    Command::new(command[0]).args(&command[1..]).output().is_ok_and(|output| output.status.success())
}
