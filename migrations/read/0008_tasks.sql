-- Tasks. Who may see one follows from its note; one without a note is its owner's alone.
create table tasks (
  id uuid primary key,
  note_id uuid,
  -- That of the note, kept when the note moves: tasks are listed without their notes.
  notebook_id uuid,
  owner_id uuid not null,
  title text not null,
  description text,
  -- Both as shared::domain::text::fold makes them: what is searched.
  title_folded text not null,
  description_folded text,
  completed_at timestamptz,
  -- By a time or on a day of the calendar, never both.
  due_at timestamptz,
  due_on date,
  -- 0 (not said) to 4 (most urgent).
  priority smallint not null,
  assignee_id uuid,
  -- No longer wanted; it can be restored.
  removed boolean not null,
  created_by text not null,
  created_at timestamptz not null,
  updated_by text not null,
  updated_at timestamptz not null,
  version bigint not null,
  -- The place in each order in which tasks are listed, smallest first: microseconds, negative where the latest comes
  -- first. A day is over when the next one begins; what is not due comes last.
  by_created bigint not null generated always as (
    -(extract(epoch from created_at at time zone 'UTC') * 1000000)::bigint) stored,
  by_updated bigint not null generated always as (
    -(extract(epoch from updated_at at time zone 'UTC') * 1000000)::bigint) stored,
  by_due bigint not null generated always as (
    coalesce(
      (extract(epoch from coalesce(due_at at time zone 'UTC', (due_on + 1)::timestamp - interval '1 microsecond'))
       * 1000000)::bigint,
      9223372036854775807)) stored,
  by_priority bigint not null generated always as (
    (4 - priority)::bigint * 1000000000000000000
    - (extract(epoch from created_at at time zone 'UTC') * 1000000)::bigint) stored
);
-- All tasks of a note: they move and go with it, the removed ones too.
create index tasks_of_note on tasks (note_id);
