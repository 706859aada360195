-- An event, once stored, is never changed or deleted: not by a service, not by the owner by mistake.
create function es.refuse_change() returns trigger language plpgsql set search_path = pg_catalog as $$
begin
  raise exception 'events are never changed or deleted' using errcode = 'restrict_violation';
end $$;

create trigger event_stays before update or delete or truncate on es.event
  for each statement execute function es.refuse_change();
-- Also for a session that poses as a replica.
alter table es.event enable always trigger event_stays;
