//! Each test gets a migrated database of its own.

use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::join_all;
use servers::testing;
use sqlx::{Connection, Executor, PgConnection};

static MIGRATED: AtomicU32 = AtomicU32::new(0);

async fn migrate(url: String) -> anyhow::Result<()> {
    MIGRATED.fetch_add(1, Ordering::Relaxed);
    let mut connection = PgConnection::connect(&url).await?;
    connection.execute("create table pages (number int primary key); insert into pages values (1)").await?;
    Ok(connection.close().await?)
}

#[tokio::test]
async fn copies_are_made_in_parallel_and_are_apart() {
    let name = format!("pages_{}", std::process::id());
    drop(testing::database(&name, migrate).await.unwrap());
    let copies = join_all((0..20).map(|_| testing::database(&name, migrate))).await;
    for copy in &copies {
        let mut connection = PgConnection::connect(&copy.as_ref().unwrap().url).await.unwrap();
        let added = connection.execute("insert into pages values (2)").await.unwrap();
        assert_eq!(added.rows_affected(), 1);
    }
    assert_eq!(MIGRATED.load(Ordering::Relaxed), 1);

    let one = testing::database(&name, migrate).await.unwrap();
    let url = one.url.clone();
    drop(one);
    assert!(PgConnection::connect(&url).await.is_err());
}
