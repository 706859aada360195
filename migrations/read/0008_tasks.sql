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
  version bigint not null
);
-- All tasks of a note: they move and go with it, the removed ones too.
create index tasks_of_note on tasks (note_id);
