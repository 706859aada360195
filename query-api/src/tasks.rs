//! Reading tasks.

use axum::extract::State;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::access::{Action, Role};
use shared::domain::id::{BlockId, NoteId, NotebookId, TaskId, UserId};
use shared::domain::tasks::{DueTime, Priority};
use shared::domain::text::fold;
use shared::process::auth::Caller;
use shared::process::http::{Api, Path};
use shared::process::problem::{Problem, ProblemType};
use sqlx::Decode;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use crate::after::When;
use crate::answer::{Answer, Read, Versioned, failed};
use crate::app::QueryApp;
use crate::cursor::{Listed, Page, Paging};
use crate::list::{Filters, List, PageQuery};

/// The routes of the module.
pub(crate) fn routes() -> Api<QueryApp> {
    Api::new().route(Action::TasksList, routes!(list)).route(Action::TasksRead, routes!(read))
}

/// A task as one person sees it.
// Selected in the order of these fields.
#[derive(Debug, Decode, Serialize, ToSchema)]
#[schema(as = tasks::Task)]
struct Task {
    id: TaskId,
    /// The note it belongs to; null when it is the caller's own.
    #[schema(required)]
    note_id: Option<NoteId>,
    /// The notebook of that note.
    #[schema(required)]
    notebook_id: Option<NotebookId>,
    /// Its block in the note, which shares its id; null while it has none.
    #[schema(required)]
    block_id: Option<BlockId>,
    /// What is to be done; of a task with a block the block's text, and perhaps empty.
    title: String,
    #[schema(required)]
    description: Option<String>,
    completed: bool,
    #[schema(required)]
    completed_at: Option<DateTime<Utc>>,
    /// The time at which it is due.
    #[schema(required)]
    due_at: Option<DateTime<Utc>>,
    /// The day on which it is due, the same date everywhere; null where `due_at` is not.
    #[schema(required)]
    due_on: Option<NaiveDate>,
    /// 0 (not said) to 4 (most urgent).
    #[schema(value_type = Priority)]
    priority: i16,
    /// Who is to do it.
    #[schema(required)]
    assignee_id: Option<UserId>,
    /// What the caller may do with it.
    role: Role,
    /// Who added it: a person's id, or the name of a policy.
    created_by: String,
    created_at: DateTime<Utc>,
    /// Who changed it last: a person's id, or the name of a policy.
    updated_by: String,
    updated_at: DateTime<Utc>,
    /// For `If-Match` when changing it.
    version: i64,
    #[serde(skip)]
    key: i64,
}

impl Versioned for Task {
    fn version(&self) -> i64 {
        self.version
    }

    fn role(&self) -> Option<Role> {
        Some(self.role)
    }
}

/// Which tasks, and in which order.
#[derive(Debug, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those that are done, or only those that are not.
    completed: Option<bool>,
    /// Only those of one note.
    note_id: Option<NoteId>,
    /// Only those of one notebook's notes.
    notebook_id: Option<NotebookId>,
    /// Only those that this person is to do.
    assignee: Option<UserId>,
    /// Only those that are due before this time. A day counts as its last moment, in UTC.
    #[param(value_type = Option<DateTime<Utc>>)]
    due_before: Option<DueTime>,
    /// Only those that are due at this time or later. A day counts as its last moment, in UTC.
    #[param(value_type = Option<DateTime<Utc>>)]
    due_after: Option<DueTime>,
    /// Only those of this priority: 0 to 4.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 4)]
    priority: Option<Priority>,
    /// Only those with this text in title or description, in whatever case, width and composition.
    #[param(value_type = Option<String>, min_length = 1, max_length = 200, pattern = r"^[^\x00]*$")]
    q: Option<Wanted>,
    /// In which order.
    #[serde(default)]
    #[param(inline)]
    sort: Sort,
}

impl Filters for Which {
    const LIST: &'static str = "tasks";
}

/// A text that is looked for, in the form of the columns that are searched: see [`fold`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Wanted(String);

/// The orders of tasks; within each, later ones first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(default = "created")]
enum Sort {
    /// The newest first.
    #[default]
    Created,
    /// What was changed last first.
    Updated,
    /// What is due soonest first, a day as its last moment in UTC, and at the end what is not due.
    Due,
    /// The most urgent first.
    Priority,
}

/// The place of a task in its list: smaller keys first; for one key, larger ids first.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct TaskCursorKey {
    key: i64,
    id: Uuid,
}

impl Listed for Task {
    type Key = TaskCursorKey;

    fn cursor_key(&self) -> TaskCursorKey {
        TaskCursorKey { key: self.key, id: self.id.0 }
    }
}

impl TryFrom<String> for Wanted {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if !(1..=200).contains(&text.chars().count()) || text.contains('\0') {
            return Err("q takes 1 to 200 characters");
        }
        let folded = fold(&text);
        if folded.is_empty() { Err("q needs a character that can be seen") } else { Ok(Self(folded)) }
    }
}

impl From<Wanted> for String {
    fn from(wanted: Wanted) -> Self {
        wanted.0
    }
}

impl Wanted {
    /// A pattern for `like` that finds the text anywhere, whatever characters it has.
    fn pattern(&self) -> String {
        let literal: String = self
            .0
            .chars()
            .flat_map(|c| {
                let escape = matches!(c, '\\' | '%' | '_').then_some('\\');
                escape.into_iter().chain([c])
            })
            .collect();
        format!("%{literal}%")
    }
}

/// List tasks.
///
/// Those that you may see, in the order of `sort`.
#[utoipa::path(get, path = "/tasks", tag = "tasks", params(Which, PageQuery),
    responses((status = 200, body = Page<Task>)))]
async fn list(
    caller: Caller,
    State(app): State<QueryApp>,
    List { filters: which, paging }: List<Which, TaskCursorKey>,
) -> Result<Answer<Page<Task>>, Problem> {
    paging.answer(page(&app, caller, &which, &paging).await.map_err(failed)?)
}

/// One page, in the order that is asked for.
#[expect(clippy::too_many_lines, reason = "one statement")]
async fn page(
    app: &QueryApp,
    caller: Caller,
    which: &Which,
    paging: &Paging<TaskCursorKey>,
) -> sqlx::Result<Vec<Read<Task>>> {
    // Heads first, as in the list of notes, in whichever order: each has its column and its index. Then no more of each
    // notebook than can come before the last of the heads.
    macro_rules! by {
        ($key:literal) => {
            sqlx::query_as!(
                Read::<Task>,
                r#"select c.position, c.epoch,
                  case when t.id is not null then row(
                    t.id, t.note_id, t.notebook_id, b.id, t.title, t.description, t.completed_at is not null,
                    t.completed_at, t.due_at, t.due_on, t.priority, t.assignee_id, t.role, t.created_by, t.created_at,
                    t.updated_by, t.updated_at, t.version, t.key) end as "item?: Task",
                  exists (select from withheld
                           where user_id = $1 and table_name in ('members', 'notebooks', 'notes', 'tasks')
                             and ($2::uuid is null or scopes @> array['notebook:' || $2])
                             and ($3::uuid is null or scopes @> array['note:' || $3]
                                  or table_name in ('members', 'notebooks')
                                     and exists (select from notes
                                                  where id = $3 and scopes @> array['notebook:' || notebook_id])))
                    as "withheld!"
             from checkpoint c
             left join (
               with mine as materialized (
                      select g.container_id as id, max(g.role) as role
                        from my_grants g
                        join sound_notebooks b on b.id = g.container_id
                       where g.user_id = $1 and g.kind = 'notebook' and ($2::uuid is null or g.container_id = $2)
                         and ($3::uuid is null or g.container_id = (select notebook_id from notes where id = $3))
                       group by g.container_id),
                    wanted as not materialized (
                      select t.id, t.note_id, t.notebook_id, t.owner_id, t.key
                        from (select *, "# + $key + r#" as key from sound_tasks) t
                       where ($4::boolean is null or (t.completed_at is not null) = $4)
                         and ($5::uuid is null or t.assignee_id = $5)
                         and ($6::timestamptz is null or t.due < $6)
                         and ($7::timestamptz is null or t.due >= $7)
                         and ($8::smallint is null or t.priority = $8)
                         and ($9::text is null or t.title_folded like $9 or t.description_folded like $9)
                         and t.key >= coalesce($10, -9223372036854775808)
                         and ($10::bigint is null or t.key > $10 or t.id < $11)
                         and ($3::uuid is null or t.note_id = $3)),
                    -- The note is asked for task by task (`offset 0`) and by its id alone (a comparison that no index
                    -- knows): else all notes of a notebook could be read for each.
                    in_notes as not materialized (
                      select t.id, t.notebook_id, t.key
                        from wanted t
                       cross join lateral (select from sound_notes n
                                            where n.id = t.note_id and n.notebook_id is not distinct from t.notebook_id
                                           offset 0) n),
                    heads as materialized (
                      select m.id, m.role, h.key
                        from mine m
                       cross join lateral (select id, key from in_notes
                                            where notebook_id = m.id
                                            order by key, id desc
                                            limit 1) h
                       where $3::uuid is null
                       order by h.key, h.id desc
                       limit $12),
                    found as (
                      select t.id, h.role, t.key
                        from heads h
                       cross join lateral (select id, key from in_notes
                                            where notebook_id = h.id
                                              and key <= coalesce((select key from heads order by key
                                                                    offset $12::bigint - 1 limit 1), 9223372036854775807)
                                            order by key, id desc
                                            limit $12) t
                      union all
                      select t.id, m.role, t.key
                        from mine m
                        join sound_notes n on n.notebook_id = m.id and n.id = $3
                        join wanted t on t.note_id = n.id
                      union all
                      select t.id, g.role, t.key
                        from my_grants g
                        join sound_notes n on n.id = g.container_id
                        join sound_notebooks b on b.id = n.notebook_id
                        join wanted t on t.note_id = n.id
                       where g.user_id = $1 and g.kind = 'note' and ($2::uuid is null or n.notebook_id = $2)
                         and ($3::uuid is null or g.container_id = $3)
                      union all
                      select t.id, 3::smallint, t.key
                        from wanted t
                       where t.owner_id = $1 and t.note_id is null and $2::uuid is null)
               select t.*, f.role, f.key
                 from (
                   select id, max(role) as role, key
                     from found
                    group by id, key
                    order by key, id desc
                    limit $12) f
                 join tasks t on t.id = f.id) t on true
             left join blocks b on b.id = t.id and b.note_id = t.note_id and b.type = 'task' and not b.removed
            order by t.key, t.id desc"#,
                caller.user.0,
                which.notebook_id.map(|id| id.0),
                which.note_id.map(|id| id.0),
                which.completed,
                which.assignee.map(|id| id.0),
                which.due_before.map(DueTime::get),
                which.due_after.map(DueTime::get),
                which.priority.map(|priority| i16::from(priority.get())),
                which.q.as_ref().map(Wanted::pattern),
                paging.after().map(|place| place.key),
                paging.after().map(|place| place.id),
                paging.rows()
            )
            .fetch_all(&app.pool)
            .await
        };
    }
    match which.sort {
        Sort::Created => by!("by_created"),
        Sort::Updated => by!("by_updated"),
        Sort::Due => by!("by_due"),
        Sort::Priority => by!("by_priority"),
    }
}

/// Read a task.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks", params(("id" = TaskId, Path), When),
    responses((status = 200, body = Task)))]
async fn read(
    caller: Caller,
    State(app): State<QueryApp>,
    Path(id): Path<TaskId>,
    _: When,
) -> Result<Answer<Task>, Problem> {
    let read = sqlx::query_as!(
        Read::<Task>,
        r#"select c.position, c.epoch,
                  case when s.role is not null then row(
                    t.id, t.note_id, t.notebook_id, b.id, t.title, t.description, t.completed_at is not null,
                    t.completed_at, t.due_at, t.due_on, t.priority, t.assignee_id, s.role, t.created_by, t.created_at,
                    t.updated_by, t.updated_at, t.version, 0::bigint) end as "item?: Task",
                  exists (select from withheld
                           where user_id = $1
                             and (table_name = 'tasks' and key = ($2::uuid)::text
                                  or table_name = 'notes' and key = t.note_id::text
                                  or table_name = 'notebooks' and key = t.notebook_id::text
                                  or table_name = 'members' and (key like 'note:' || t.note_id || '/%'
                                                                 or key like 'notebook:' || t.notebook_id || '/%')))
                    as "withheld!"
             from checkpoint c
             left join tasks t on t.id = $2 and not t.removed
             left join (
               select max(g.role) as role
                 from sound_tasks t
                cross join lateral (
                  select 3::smallint as role where t.note_id is null and t.owner_id = $1
                  union all
                  select g.role
                    from sound_notes n
                    join sound_notebooks b on b.id = n.notebook_id
                   cross join lateral (
                     select role from my_grants where user_id = $1 and kind = 'note' and container_id = n.id
                     union all
                     select role from my_grants
                      where user_id = $1 and kind = 'notebook' and container_id = n.notebook_id) g
                   where n.id = t.note_id) g
                where t.id = $2) s on true
             left join blocks b on b.id = t.id and b.note_id = t.note_id and b.type = 'task' and not b.removed"#,
        caller.user.0,
        id.0
    )
    .fetch_one(&app.pool)
    .await
    .map_err(failed)?;
    read.answer(Action::TasksRead, || {
        Problem::new(ProblemType::TaskMissing, "There is no such task, or none that you may see.")
    })
}
