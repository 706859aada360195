//! The reads over a fresh database, with a hand in place of the projector.

use axum::Router;
use axum::http::header::IF_NONE_MATCH;
use kit::{Answer, Level, TestRequest, database, master};
use query_api::watermark::{Mark, Watermark};
use query_api::{Parts, QueryApp};
use serde_json::{Value, json};
use servers::testing::{self, TestDatabase};
use shared::domain::clock::Clock;
use shared::domain::id::{SessionId, UserId};
use shared::domain::text::fold;
use shared::log::server_keys::ServerKeys;
use shared::process::auth::{Issuer, Verifier};
use shared::process::lifecycle::Shutdown;
use shared::process::postgres::{DatabaseRole, pool};
use shared::process::read_schema;
use sqlx::{Executor, PgPool};
use uuid::Uuid;

pub(crate) const EPOCH: &str = "0000000a";
pub(crate) const ADA: UserId = UserId(Uuid::from_u128(0xada));
pub(crate) const BOB: UserId = UserId(Uuid::from_u128(0xb0b));

pub(crate) struct World {
    /// Runs as the owner, with the read schema as its search path.
    pub(crate) owner: PgPool,
    /// How far the reads believe the tables to be.
    pub(crate) watermark: Watermark,
    /// What reads are asked with.
    pub(crate) query: PgPool,
    router: Router,
    issuer: Issuer,
    // Last, so that it outlives the pools.
    _database: TestDatabase,
}

fn merged(mut row: Value, more: Value) -> Value {
    if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
        row.extend(more);
    }
    row
}

pub(crate) async fn world() -> World {
    in_schema(read_schema::name()).await
}

/// Reads in the schema of that name, which may not be there.
pub(crate) async fn in_schema(schema: &str) -> World {
    testing::will_count_statements();
    let database = database(Level::Tables).await.expect("a database");
    let options: sqlx::postgres::PgConnectOptions = database.url.parse().expect("an address");
    let owner = PgPool::connect_lazy_with(options.options([("search_path", read_schema::name())]));
    let query = pool(&database.url, DatabaseRole::Query, Some(schema), 4).expect("a pool");
    let keys = ServerKeys::load(&query, &master()).await.expect("made by the migration");
    let verifier = Verifier::start(&keys, Clock::System, query.clone(), &Shutdown::new());
    let watermark = Watermark::fixed(Mark { epoch: EPOCH.to_owned(), position: 7, head: 7 });
    let issuer = Issuer::new(&keys, Clock::System);
    let app = QueryApp::new(Parts { pool: query.clone(), watermark: watermark.clone(), verifier, keys });
    let (router, _) = query_api::routes().with_state::<()>(app).split_for_parts();
    let world = World { owner, watermark, query, router, issuer, _database: database };
    world.write(&format!("update checkpoint set position = 7, epoch = '{EPOCH}'")).await;
    world
}

impl World {
    /// Runs SQL as the owner.
    pub(crate) async fn write(&self, sql: &str) {
        self.owner.execute(sql).await.expect("well-formed SQL");
    }

    pub(crate) async fn user(&self, user: UserId, name: &str) {
        self.write(&format!(
            "insert into users values ('{user}', '{name}@example.org', '{name}', '{name}', '{name}', null, null, null,
             '{{\"theme\": \"dark\"}}', '2026-01-01', '2026-01-02', 3)"
        ))
        .await;
    }

    /// A notebook of `user`, made `minute` minutes after midnight.
    pub(crate) async fn notebook(&self, id: u128, user: UserId, minute: i32) {
        let (id, at) = (Uuid::from_u128(id), format!("timestamptz '2026-01-01Z' + interval '{minute} min'"));
        self.write(&format!(
            "insert into notebooks values ('{id}', 'n{minute}', '', '{user}', {at}, '{user}', {at}, 1);
             insert into members values ('notebook', '{id}', '{user}', 3, {minute}, null, '{user}', {at})"
        ))
        .await;
    }

    /// A note titled by its number, made `minute` minutes after midnight.
    pub(crate) async fn note(&self, id: u128, notebook: u128, minute: i32) {
        let (notebook, at) =
            (Uuid::from_u128(notebook), format!("timestamptz '2026-01-01Z' + interval '{minute} min'"));
        self.write(&format!(
            "insert into notes values ('{}', '{notebook}', '{id}', '{ADA}', {at}, '{ADA}', {at}, 1)",
            Uuid::from_u128(id)
        ))
        .await;
    }

    /// A text block of that text.
    pub(crate) async fn block(&self, id: u128, note: u128, rank: &str, more: Value) {
        let row = json!({
            "id": Uuid::from_u128(id), "note_id": Uuid::from_u128(note), "type": "text",
            "content": {"text": id.to_string(), "spans": []}, "rank": rank, "removed": false, "created_by": ADA,
            "created_at": "2026-01-01T00:00:00Z", "updated_by": ADA, "updated_at": "2026-01-01T00:00:00Z", "version": 1
        });
        self.insert("blocks", row, more).await;
    }

    /// A task titled by its number, Ada's; with `more` columns.
    pub(crate) async fn task(&self, id: u128, note: Option<u128>, more: Value) {
        let row = json!({
            "id": Uuid::from_u128(id), "note_id": note.map(Uuid::from_u128), "owner_id": ADA, "title": id.to_string(),
            "priority": 0, "removed": false, "created_by": ADA, "created_at": "2026-01-01T00:00:00Z",
            "updated_by": ADA, "updated_at": "2026-01-01T00:00:00Z", "version": 1
        });
        let folded = |field: &str| more[field].as_str().or_else(|| row[field].as_str()).map(fold);
        let folded = json!({"title_folded": folded("title"), "description_folded": folded("description")});
        self.insert("tasks", merged(row, folded), more).await;
        let root = "update tasks t set notebook_id = n.notebook_id from notes n where n.id = t.note_id";
        self.write(root).await;
    }

    async fn insert(&self, table: &str, row: Value, more: Value) {
        let row = merged(row, more);
        let columns: Vec<&str> = row.as_object().into_iter().flatten().map(|(name, _)| &**name).collect();
        let columns = columns.join(", ");
        let insert = format!(
            "insert into {table} ({columns}) select {columns} from jsonb_populate_record(null::{table}, $1)"
        );
        sqlx::query(&insert).bind(row).execute(&self.owner).await.expect("a row");
    }

    /// Lets a person into a notebook.
    pub(crate) async fn share(&self, notebook: u128, user: UserId, role: &str) {
        self.grant(&format!("notebook:{}", Uuid::from_u128(notebook)), user.0, role).await;
    }

    /// Grants a role on a container, later than all notebooks were made.
    pub(crate) async fn grant(&self, container: &str, principal: Uuid, role: &str) {
        let (kind, id) = container.split_once(':').expect("a scope");
        let role = 1 + ["viewer", "editor", "owner"].iter().position(|name| *name == role).expect("a role");
        self.write(&format!(
            "insert into members values ('{kind}', '{id}', '{principal}', {role}, 1000000, null, '{ADA}', now())"
        ))
        .await;
    }

    /// Quarantines a row by an event of these scopes.
    pub(crate) async fn quarantined(&self, table: &str, key: &str, scopes: &str) {
        let why = "insert into quarantine (table_name, key, position, why, scopes)";
        self.write(&format!("{why} values ('{table}', '{key}', 6, 'a test', '{{{scopes}}}')")).await;
    }

    pub(crate) async fn get(&self, user: UserId, address: &str) -> Answer {
        self.get_unless(user, address, None).await
    }

    /// Asks with `If-None-Match`.
    pub(crate) async fn get_unless(&self, user: UserId, address: &str, seen: Option<&str>) -> Answer {
        let (token, _) = self.issuer.issue(user, SessionId(Uuid::from_u128(1)));
        let request = TestRequest::get(address).bearer(&token);
        let request = seen.into_iter().fold(request, |request, seen| request.header(IF_NONE_MATCH, seen));
        self.ask(request).await
    }

    pub(crate) async fn ask(&self, request: TestRequest) -> Answer {
        request.send(&self.router).await
    }
}
