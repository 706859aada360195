-- Rows whose fold failed, and the later events that wait for them. Readers of such a row are told so.
create table quarantine (
  table_name text not null,
  key text not null,
  position bigint not null,
  why text not null,
  primary key (table_name, key, position)
);
