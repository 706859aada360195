-- Notebooks, and who may see them. Actors are text: a policy acts too, and has no id.
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

create table notebook_members (
  notebook_id uuid not null,
  user_id uuid not null,
  -- viewer, editor or owner.
  role text not null,
  -- Since when; of the first owner, since the notebook is there.
  created_at timestamptz not null,
  primary key (notebook_id, user_id)
);
