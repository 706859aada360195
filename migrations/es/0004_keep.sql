-- What happens beside appends.

-- Makes the weeks of es.command from yesterday's to the next, and drops those that are over 30 days old, as it does with
-- refusals.
-- Run it now and then; should nobody, rows land in the default partition and are moved here later.
create function es.keep_house(today date default (clock_timestamp() at time zone 'utc')::date) returns void
language plpgsql security definer
set search_path = pg_catalog, es, pg_temp set timezone = 'UTC'
-- Appends wait for us meanwhile, so we do not wait for a slow reader.
set lock_timeout = '1s'
as $$
declare
  monday date;
  part text;
begin
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
  delete from es.command_rest where created_at < today - 30;
  delete from es.refusal where at < today - 30;
end $$;
select es.keep_house();

-- Puts the hash of a new refresh token in the place of the old one; false if it was not the current one, or
-- the session has ended. No event: a rotation is no news to anybody. Of earlier rotations those within `grace` are kept.
-- A null `expires` leaves the end as it is.
create function es.rotate_session(session text, old bytea, new bytea, grace interval, expires timestamptz default null)
returns boolean language plpgsql security definer set search_path = pg_catalog, es, pg_temp as $$
begin
  update es.session s
     set refresh = new,
         rotated_at = clock_timestamp()
                      || array(select r.at from unnest(s.rotated_at) with ordinality r(at, nth)
                                where r.at > clock_timestamp() - grace order by r.nth),
         expires_at = coalesce(expires, s.expires_at)
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
