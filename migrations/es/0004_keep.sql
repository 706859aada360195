-- What happens beside appends.

-- Deletes what is over 30 days old: answers to commands, refusals, and sessions that ended or expired then. At most so
-- many of each in one call, as a writer waits for it; true if there may be more. Run it now and then.
create function es.keep_house(
  today date default (clock_timestamp() at time zone 'utc')::date, most int default 1000
) returns boolean language plpgsql security definer
set search_path = pg_catalog, es, pg_temp set timezone = 'UTC'
as $$
declare
  deleted bigint;
  more boolean := false;
begin
  delete from es.command where ctid = any (array(
    select c.ctid from es.command c where c.created_at < today - 30 limit most));
  get diagnostics deleted = row_count;
  more := more or deleted = most;
  delete from es.refusal where ctid = any (array(select r.ctid from es.refusal r where r.at < today - 30 limit most));
  get diagnostics deleted = row_count;
  more := more or deleted = most;
  delete from es.session where ctid = any (array(
    select s.ctid from es.session s where s.ended_at < today - 30 or s.expires_at < today - 30 limit most
      for update skip locked));
  get diagnostics deleted = row_count;
  return more or deleted = most;
end $$;

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
