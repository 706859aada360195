-- The read schemas of this database: one per shape, fed by the projector of that shape. One that no projector has used
-- for a day belongs to an older release and may go.
create table es.read_schema (
  name text primary key constraint read_schema_name check (name ~ '^read_[0-9a-z_]+$'),
  made_at timestamptz not null default clock_timestamp(),
  last_used timestamptz not null default clock_timestamp()
);
grant select, insert, update, delete on es.read_schema to daybook_projector;
grant select on es.read_schema to daybook_query;

-- Makes an empty schema that belongs to the projector; false if it was there. A right to create schemas would be the
-- database's own, and neither a copy of the database nor a restored dump of it keeps those.
create function es.make_read_schema(wanted text) returns boolean
language plpgsql security definer set search_path = pg_catalog, es, pg_temp as $$
begin
  -- Two projectors of one release do not both try; the loser finds a complete schema.
  perform pg_advisory_xact_lock(7233195940217056003);
  insert into es.read_schema as s (name) values (wanted)
    on conflict (name) do update set last_used = clock_timestamp();
  if exists (select from pg_namespace where nspname = wanted) then
    return false;
  end if;
  execute format('create schema %I authorization daybook_projector', wanted);
  return true;
end $$;
revoke all on function es.make_read_schema from public;
grant execute on function es.make_read_schema to daybook_projector;
