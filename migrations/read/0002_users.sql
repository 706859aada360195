-- Persons, and their logins.
create table users (
  id uuid primary key,
  email text not null,
  username text not null,
  -- As shared::domain::text::fold makes it: what names are found and compared by.
  username_folded text collate "C" not null,
  display_name text not null,
  first_name text,
  last_name text,
  avatar_url text,
  preferences jsonb not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version bigint not null
);

create table sessions (
  id uuid primary key,
  user_id uuid not null,
  device text,
  address text,
  opened_at timestamptz not null,
  ended_at timestamptz,
  version bigint not null
);
