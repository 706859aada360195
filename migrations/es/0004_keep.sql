-- What happens beside appends.

-- Makes the weeks of es.command from yesterday's to the next, and drops those that are over 30 days old, as it does with
-- refusals and with sessions that ended or expired then. Of those it deletes at most so many in one call, as a writer waits
-- for it; true if there may be more.
-- Run it now and then; should nobody, rows land in the default partition and are moved here later.
create function es.keep_house(
  today date default (clock_timestamp() at time zone 'utc')::date, most int default 1000
) returns boolean language plpgsql security definer
set search_path = pg_catalog, es, pg_temp set timezone = 'UTC'
-- Appends wait for us meanwhile, so we do not wait for a slow reader.
set lock_timeout = '1s'
as $$
declare
  monday date;
  part text;
  deleted bigint;
  more boolean := false;
begin
  delete from es.command_rest where ctid = any (array(
    select c.ctid from es.command_rest c where c.created_at < today - 30 limit most));
  get diagnostics deleted = row_count;
  more := more or deleted = most;
  delete from es.refusal where ctid = any (array(select r.ctid from es.refusal r where r.at < today - 30 limit most));
  get diagnostics deleted = row_count;
  more := more or deleted = most;
  delete from es.session where ctid = any (array(
    select s.ctid from es.session s where s.ended_at < today - 30 or s.expires_at < today - 30 limit most
      for update skip locked));
  get diagnostics deleted = row_count;
  more := more or deleted = most;

  -- Once a week. Only this holds up appends.
  if not exists (select from generate_series(date_trunc('week', today - 1), today + 7, interval '1 week') d
                  where to_regclass('es.command_' || to_char(d, 'YYYYMMDD')) is null)
     and not exists (select from pg_inherits i join pg_class c on c.oid = i.inhrelid
                      where i.inhparent = 'es.command'::regclass and c.relname ~ '^command_[0-9]{8}$'
                        and to_date(right(c.relname, 8), 'YYYYMMDD') + 7 <= today - 30) then
    return more;
  end if;
  perform 1 from es.head for update;
  for monday in select d::date from generate_series(date_trunc('week', today - 1), today + 7, interval '1 week') d loop
    part := 'command_' || to_char(monday, 'YYYYMMDD');
    if to_regclass('es.' || part) is null then
      execute format('create table es.%I (like es.command including all)', part);
      execute format('with moved as (delete from es.command_rest where created_at >= %L and created_at < %L
                      returning *) insert into es.%I select * from moved', monday::timestamptz,
                     (monday + 7)::timestamptz, part);
      execute format('alter table es.command attach partition es.%I for values from (%L) to (%L)', part,
                     monday::timestamptz, (monday + 7)::timestamptz);
    end if;
  end loop;
  for part in select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
               where i.inhparent = 'es.command'::regclass and c.relname ~ '^command_[0-9]{8}$'
                 and to_date(right(c.relname, 8), 'YYYYMMDD') + 7 <= today - 30 loop
    execute format('drop table es.%I', part);
  end loop;
  return more;
end $$;
select es.keep_house();

-- Puts the hash of a new refresh token in the place of the old one; false if it was not the current one, or
-- the session has ended. No event: a rotation is no news to anybody. Of earlier rotations those within `grace` are kept.
-- It then expires after `lifetime`; null leaves the end as it is.
create function es.rotate_session(session text, old bytea, new bytea, grace interval, lifetime interval default null)
returns boolean language plpgsql security definer set search_path = pg_catalog, es, pg_temp as $$
begin
  update es.session s
     set refresh = new,
         rotated_at = clock_timestamp()
                      || array(select r.at from unnest(s.rotated_at) with ordinality r(at, nth)
                                where r.at > clock_timestamp() - grace order by r.nth),
         expires_at = coalesce(clock_timestamp() + lifetime, s.expires_at)
   where s.session_id = session and s.refresh = old and s.ended_at is null
     and s.expires_at > clock_timestamp();
  return found;
end $$;

-- The first history of this log. Managed servers may not tell who they are; the relay then cannot compare.
do $$
declare
  line int;
  system text;
begin
  begin
    select c.timeline_id into line from pg_control_checkpoint() c;
    select c.system_identifier::text into system from pg_control_system() c;
  exception when insufficient_privilege then
    raise notice 'this server does not say which it is';
  end;
  insert into es.epoch (epoch, agreed_position, reason, timeline, system_identifier)
    values (left(gen_random_uuid()::text, 8), 0, 'a new log', line, system);
end $$;
