-- Notes. Who may see one follows from its notebook, and is joined when read.
create table notes (
  id uuid primary key,
  notebook_id uuid not null,
  title text not null,
  created_by text not null,
  created_at timestamptz not null,
  updated_by text not null,
  updated_at timestamptz not null,
  version bigint not null
);
