//! What the database itself refuses: each service's role has its part and no more, and events stay.

use shared::process::postgres::{DatabaseRole, options};
use sqlx::{ConnectOptions, Executor, PgConnection};

use crate::world::database;

/// The SQLSTATE of a missing grant.
const DENIED: &str = "42501";
/// The SQLSTATE of `es.refuse_change`.
const STAYS: &str = "23001";

async fn code(connection: &mut PgConnection, statement: &str) -> Option<String> {
    let error = connection.execute(statement).await.err()?;
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

#[tokio::test]
async fn no_role_writes_what_es_append_writes() -> anyhow::Result<()> {
    let database = database().await?;
    for role in [DatabaseRole::Command, DatabaseRole::Projector, DatabaseRole::Query] {
        let mut connection = options(&database.url, role, None)?.connect().await?;
        for table in ["head", "event", "command", "claim", "place", "key", "credential", "session"] {
            for statement in [
                format!("insert into es.{table} select * from es.{table}"),
                format!("delete from es.{table}"),
                format!("truncate es.{table}"),
            ] {
                let got = code(&mut connection, &statement).await;
                assert_eq!(got.as_deref(), Some(DENIED), "{}: {statement}", role.name());
            }
        }
        let changed = code(&mut connection, "update es.event set scopes = '{}'").await;
        assert_eq!(changed.as_deref(), Some(DENIED));
    }
    Ok(())
}

#[tokio::test]
async fn readers_see_no_secrets_and_call_nothing() -> anyhow::Result<()> {
    let database = database().await?;
    for role in [DatabaseRole::Projector, DatabaseRole::Query] {
        let mut connection = options(&database.url, role, None)?.connect().await?;
        for statement in [
            "select * from es.session",
            "select * from es.credential",
            "select * from es.claim",
            "select * from es.command",
            "select es.rotate_session('s', '', '', '10 s')",
            "select es.keep_house()",
            "select es.append_sides('[]', '{}', now())",
        ] {
            let got = code(&mut connection, statement).await;
            assert_eq!(got.as_deref(), Some(DENIED), "{}: {statement}", role.name());
        }
        for table in ["event", "key", "epoch", "skip"] {
            assert_eq!(code(&mut connection, &format!("select * from es.{table}")).await, None, "{table}");
        }
    }
    let mut query = options(&database.url, DatabaseRole::Query, None)?.connect().await?;
    assert_eq!(code(&mut query, "select session_id, user_id, ended_at from es.session").await, None);
    Ok(())
}

#[tokio::test]
async fn snapshots_are_the_command_sides_alone() -> anyhow::Result<()> {
    let database = database().await?;
    let statements = [
        "select * from es.snapshot",
        "insert into es.snapshot values ('note', '1', 1, 1, '')",
        "update es.snapshot set sequence = 2, snapshot_version = 2, encrypted = ''",
        "delete from es.snapshot",
    ];
    for role in [DatabaseRole::Command, DatabaseRole::Projector, DatabaseRole::Query] {
        let mut connection = options(&database.url, role, None)?.connect().await?;
        for statement in statements {
            let expected = (role != DatabaseRole::Command).then_some(DENIED);
            let got = code(&mut connection, statement).await;
            assert_eq!(got.as_deref(), expected, "{}: {statement}", role.name());
        }
        for statement in ["update es.snapshot set aggregate_id = '2'", "truncate es.snapshot"] {
            let got = code(&mut connection, statement).await;
            assert_eq!(got.as_deref(), Some(DENIED), "{}: {statement}", role.name());
        }
    }
    Ok(())
}

#[tokio::test]
async fn refusals_are_the_projectors_alone_and_stay_as_they_were_written() -> anyhow::Result<()> {
    let database = database().await?;
    let insert = "insert into es.refusal (policy, position, aggregate_id, person, slug, detail)
                  values ('p', 1, 'a', 'b', 's', 'd') on conflict do nothing";
    for role in [DatabaseRole::Command, DatabaseRole::Projector, DatabaseRole::Query] {
        let mut connection = options(&database.url, role, None)?.connect().await?;
        for statement in ["select * from es.refusal", insert, insert] {
            let expected = (role != DatabaseRole::Projector).then_some(DENIED);
            let got = code(&mut connection, statement).await;
            assert_eq!(got.as_deref(), expected, "{}: {statement}", role.name());
        }
        for statement in
            ["update es.refusal set detail = ''", "delete from es.refusal", "truncate es.refusal"]
        {
            let got = code(&mut connection, statement).await;
            assert_eq!(got.as_deref(), Some(DENIED), "{}: {statement}", role.name());
        }
    }
    let mut owner = database.url.parse::<sqlx::postgres::PgConnectOptions>()?.connect().await?;
    for (days, left) in [(29, 1), (32, 0)] {
        owner.execute(format!("select es.keep_house(current_date + {days})").as_str()).await?;
        let count = "select count(*) from es.refusal";
        assert_eq!(
            sqlx::query_scalar::<_, i64>(count).fetch_one(&mut owner).await?,
            left,
            "after {days} days"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_owner_cannot_change_events_either() -> anyhow::Result<()> {
    let database = database().await?;
    let mut owner = database.url.parse::<sqlx::postgres::PgConnectOptions>()?.connect().await?;
    for statement in [
        "update es.event set scopes = '{}'",
        "delete from es.event",
        "truncate es.event",
        "set session_replication_role = replica; delete from es.event",
    ] {
        assert_eq!(code(&mut owner, statement).await.as_deref(), Some(STAYS), "{statement}");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_rotates_once_and_not_after_its_end() -> anyhow::Result<()> {
    let database = database().await?;
    let mut owner = database.url.parse::<sqlx::postgres::PgConnectOptions>()?.connect().await?;
    owner
        .execute(
            r"insert into es.session (session_id, user_id, refresh, expires_at, device, address)
              values ('s', 'u', '\x01', now() + interval '1 day', 'd', 'a')",
        )
        .await?;
    let mut command = options(&database.url, DatabaseRole::Command, None)?.connect().await?;
    assert!(rotated(&mut command, r"\x01", r"\x02").await?);
    assert!(!rotated(&mut command, r"\x01", r"\x03").await?, "the old token is no longer the current one");
    owner.execute("update es.session set ended_at = now()").await?;
    assert!(!rotated(&mut command, r"\x02", r"\x03").await?, "the session has ended");
    Ok(())
}

async fn rotated(command: &mut PgConnection, old: &str, new: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select es.rotate_session('s', $1::bytea, $2::bytea, '10 s')")
        .bind(hex::decode(&old[2..]).expect("hex"))
        .bind(hex::decode(&new[2..]).expect("hex"))
        .fetch_one(command)
        .await
}

#[tokio::test]
async fn answers_are_kept_for_thirty_days_and_go_in_steps() -> anyhow::Result<()> {
    let database = database().await?;
    let mut owner = database.url.parse::<sqlx::postgres::PgConnectOptions>()?.connect().await?;
    owner
        .execute(
            r"insert into es.command (hash, fingerprint, id, version, position, created_at)
              select gen_random_uuid(), '\x01', 'i', 1, 0, now() from generate_series(1, 10)",
        )
        .await?;
    for (days, more, left) in [(29, false, 10), (32, true, 6), (32, true, 2), (32, false, 0), (32, false, 0)]
    {
        let keep = format!("select es.keep_house(current_date + {days}, 4)");
        assert_eq!(sqlx::query_scalar::<_, bool>(&keep).fetch_one(&mut owner).await?, more, "{days}, {left}");
        let all = "select count(*) from es.command";
        assert_eq!(sqlx::query_scalar::<_, i64>(all).fetch_one(&mut owner).await?, left, "{days}");
    }
    Ok(())
}

#[tokio::test]
async fn sessions_go_a_month_after_their_end_in_steps() -> anyhow::Result<()> {
    let database = database().await?;
    let mut owner = database.url.parse::<sqlx::postgres::PgConnectOptions>()?.connect().await?;
    owner
        .execute(
            r"insert into es.session (session_id, user_id, refresh, expires_at, ended_at, device, address)
              select kind || n, 'u', '\x01', now() + expires, now() + ended, 'd', 'a'
                from generate_series(1, 5) n,
                     (values ('ended', interval '20 days', interval '-1 hour'), ('expired', '-1 hour', null),
                             ('open', '70 days', null)) v(kind, expires, ended)",
        )
        .await?;
    for (days, more, left) in
        [(29, false, 15), (32, true, 11), (32, true, 7), (32, false, 5), (32, false, 5), (102, false, 0)]
    {
        let keep =
            format!("select es.keep_house(current_date + {days}, {})", if days == 32 { 4 } else { 100 });
        assert_eq!(sqlx::query_scalar::<_, bool>(&keep).fetch_one(&mut owner).await?, more, "{days}, {left}");
        let count = "select count(*) from es.session";
        assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut owner).await?, left, "{days}");
    }
    Ok(())
}

#[tokio::test]
async fn keeping_house_does_not_wait_for_the_log() -> anyhow::Result<()> {
    let database = database().await?;
    let mut owner = database.url.parse::<sqlx::postgres::PgConnectOptions>()?.connect().await?;
    let mut command = options(&database.url, DatabaseRole::Command, None)?.connect().await?;
    let mut hold = sqlx::Connection::begin(&mut owner).await?;
    hold.execute("select from es.head for update").await?;
    command.execute("select es.keep_house()").await?;
    command.execute("select es.keep_house(current_date + 60)").await?;
    Ok(())
}
