-- Notebooks. Actors are text: a policy acts too, and has no id.
create table notebooks (
  id uuid primary key,
  name text not null,
  description text not null,
  created_by text not null,
  created_at timestamptz not null,
  updated_by text not null,
  updated_at timestamptz not null,
  version bigint not null
);
