//! Postgres as it is started here: reachable, restartable, and honest about foreign data.

use std::path::Path;
use std::time::Duration;

use servers::leash::send;
use servers::log_file::{self, older};
use servers::postgres::{Durability, Options, Postgres};
use servers::until::until;
use sqlx::{Connection, PgConnection};

fn options(data: &Path) -> Options {
    Options { data: data.to_owned(), durability: Durability::Durable, settings: Vec::new() }
}

async fn answer(url: &str, question: &'static str) -> String {
    let mut connection = PgConnection::connect(url).await.expect("it answers");
    sqlx::query_scalar(question).fetch_one(&mut connection).await.expect("the question is right")
}

#[tokio::test]
async fn data_outlives_a_kill_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(options(&folder.path().join("new/postgres"))).await.unwrap();
    postgres.create_database("diary").await.unwrap();
    postgres.create_database("diary").await.unwrap();
    let url = postgres.url("diary");
    assert_eq!(answer(&url, "select current_database()::text").await, "diary");
    assert_eq!(answer(&url, "show data_checksums").await, "on");
    assert_eq!(answer(&url, "show fsync").await, "on");
    assert_eq!(answer(&url, "select lower('ÉTÉ')").await, "été");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query("create table kept as select 1 as one").execute(&mut connection).await.unwrap();

    postgres.kill9().await.unwrap();
    assert!(PgConnection::connect(&url).await.is_err());
    postgres.restart().await.unwrap();
    assert_eq!(answer(&url, "select count(*)::text from kept").await, "1");
    postgres.restart().await.unwrap();
    assert_eq!(answer(&url, "select count(*)::text from kept").await, "1");
    let socket = url.split_once("host=").unwrap().1.to_owned();
    assert!(Path::new(&socket).exists());
    postgres.shutdown().await.unwrap();
    assert!(!Path::new(&socket).exists() && folder.path().join("new/postgres").exists());
}

#[tokio::test]
async fn what_a_killed_server_leaves_behind_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(options(folder.path())).await.unwrap();
    let mut connection = PgConnection::connect(&postgres.maintenance_url()).await.unwrap();
    let backend: i32 =
        sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
    // Frozen, it does not notice that the server is gone, and keeps its memory.
    send("STOP", &backend.to_string()).unwrap();
    postgres.kill9().await.unwrap();
    let log = folder.path().join("server.log");
    let refused_twice = async || {
        let said = std::fs::read_to_string(&log)?;
        Ok((said.matches("still in use").count() > 1).then_some(()))
    };
    let thaw = async {
        until(Duration::from_secs(30), "two attempts", refused_twice).await.unwrap();
        send("CONT", &backend.to_string()).unwrap();
    };
    let (restarted, ()) = tokio::join!(postgres.restart(), thaw);
    restarted.unwrap();
    assert_eq!(answer(&postgres.maintenance_url(), "select 'well'").await, "well");
}

#[tokio::test]
async fn a_folder_of_another_major_version_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("PG_VERSION"), "9\n").unwrap();
    let said = format!("{:#}", Postgres::start(options(folder.path())).await.unwrap_err());
    assert!(said.contains(&folder.path().display().to_string()), "{said}");
    assert!(said.contains("it was made by Postgres 9, and this machine has Postgres"), "{said}");
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(options(folder.path())).await.unwrap();
    let said = format!("{:#}", Postgres::start(options(folder.path())).await.unwrap_err());
    assert!(said.contains("postmaster.pid"), "{said}");
    postgres.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_log_does_not_grow_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(options(folder.path())).await.unwrap();
    let log = folder.path().join("server.log");
    let mut connection = PgConnection::connect(&postgres.maintenance_url()).await.unwrap();
    let mebibyte = "do $$ begin raise log '%', repeat('x', 1048576); end $$";
    for _ in 0..=log_file::LIMIT / 1_048_576 {
        sqlx::query(mebibyte).execute(&mut connection).await.unwrap();
    }
    let cut = async || {
        let sizes = [&log, &older(&log)].map(|file| std::fs::metadata(file).map_or(0, |found| found.len()));
        Ok((sizes[0] < log_file::LIMIT && sizes[1] == log_file::LIMIT).then_some(()))
    };
    until(Duration::from_secs(30), "cutting the log", cut).await.unwrap();
    sqlx::query("do $$ begin raise log 'still here'; end $$").execute(&mut connection).await.unwrap();
    assert!(std::fs::read_to_string(&log).unwrap().contains("still here"));
    postgres.shutdown().await.unwrap();
}
