-- The read schemas of this database: one per shape, made by the projector that feeds it. One that no projector has
-- used for a day belongs to an older release and may go.
create table es.read_schema (
  name text primary key constraint read_schema_name check (name ~ '^read_[0-9a-z_]+$'),
  made_at timestamptz not null default clock_timestamp(),
  last_used timestamptz not null default clock_timestamp()
);
grant select, insert, update, delete on es.read_schema to daybook_projector;
grant select on es.read_schema to daybook_query;
