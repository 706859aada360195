-- Read schemas take each other's place, and go. Renaming locks no table, so no reader waits for it; dropping does. So
-- what is to go is renamed first, and whoever comes by drops its tables one by one when nobody reads them any more.

-- Retires a read schema that nobody has used for so long; false if there is none. Nobody finds it under its old name
-- from then on, so whoever wants that one gets a complete new one and never half an old one.
create function es.retire_read_schema(wanted text, unused interval default '0') returns boolean
language plpgsql security definer set search_path = pg_catalog, es, pg_temp as $$
declare
  gone text;
begin
  -- As es.make_read_schema does: none is made while one goes.
  perform pg_advisory_xact_lock(7233195940217056003);
  select 'read_gone_' || n.oid into gone
    from pg_namespace n join es.read_schema s on s.name = n.nspname
   where n.nspname = wanted and n.nspname !~ '^read_gone_' and s.last_used <= clock_timestamp() - unused;
  if gone is null then
    return false;
  end if;
  execute format('alter schema %I rename to %I', wanted, gone);
  update es.read_schema set name = gone where name = wanted;
  return true;
end $$;

-- Puts one read schema in the place of another, which is retired. The caller holds the checkpoints of both.
create function es.swap_read_schema(live text, side text) returns void
language plpgsql security definer set search_path = pg_catalog, es, pg_temp as $$
begin
  if not es.retire_read_schema(live) then
    raise exception 'there is no read schema %', live;
  end if;
  delete from es.read_schema where name = side;
  if not found then
    raise exception 'there is no read schema %', side;
  end if;
  execute format('alter schema %I rename to %I', side, live);
  insert into es.read_schema (name) values (live);
end $$;

revoke all on function es.retire_read_schema, es.swap_read_schema from public;
grant execute on function es.retire_read_schema, es.swap_read_schema to daybook_projector;
