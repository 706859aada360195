-- Who may do what. Roles belong to the cluster: several databases may make them at the same moment.
do $$
declare
  wanted text;
begin
  foreach wanted in array array['daybook_command', 'daybook_projector', 'daybook_query'] loop
    begin
      if not exists (select from pg_roles where rolname = wanted) then
        execute format('create role %I nologin', wanted);
      end if;
    exception when duplicate_object or unique_violation then
      null; -- another database was faster
    end;
    begin
      if not exists (select from pg_auth_members m where m.roleid = wanted::regrole
                        and m.member = current_user::regrole) then
        execute format('grant %I to current_user', wanted);
      end if;
    exception when duplicate_object or unique_violation or internal_error then
      null; -- the same ("tuple concurrently updated" is an internal error)
    end;
  end loop;
  -- Policies run beside the projector and ask through the command path: for that it may become the command role, but has none of
  -- its rights unasked.
  begin
    alter role daybook_projector noinherit;
    grant daybook_command to daybook_projector;
  exception when unique_violation or internal_error then
    null;
  end;
  -- The projector makes and swaps the read schemas.
  execute format('grant create on database %I to daybook_projector', current_database());
end $$;

revoke all on schema es from public;
revoke all on all tables in schema es from public;
revoke all on all functions in schema es from public;
grant usage on schema es to daybook_command, daybook_projector, daybook_query;

grant execute on function es.readable to daybook_command, daybook_projector, daybook_query;

grant select on all tables in schema es to daybook_command;
-- What a policy was refused is between it and the operator.
revoke select on es.refusal from daybook_command;
grant execute on function es.append, es.rotate_session, es.keep_house to daybook_command;
grant insert (epoch, agreed_position, reason, timeline, system_identifier) on es.epoch to daybook_command;
-- Snapshots decide nothing, so the role that makes them writes them itself.
grant insert, delete, update (sequence, snapshot_version, encrypted) on es.snapshot to daybook_command;

grant select on es.event, es.key, es.epoch, es.skip, es.policy to daybook_projector;
grant insert on es.skip to daybook_projector;
grant insert, update on es.policy to daybook_projector;
grant select, insert on es.refusal to daybook_projector;

grant select on es.event, es.key, es.epoch, es.skip to daybook_query;
grant select (session_id, user_id, expires_at, ended_at) on es.session to daybook_query;
