-- Who may see what: the views that reads join. None folds roles and none names two ways to a thing, because the planner
-- could then no longer begin with the caller; a statement that needs the highest role takes it itself.

-- The grants that hold for a person: its own, those of everyone and those of the public. Also those that are quarantined.
create view held_grants as
select m.principal as user_id, m.kind, m.container_id, m.principal, m.role, m.since
  from members m
 where m.until is null
union all
select u.id, m.kind, m.container_id, m.principal, m.role, m.since
  from users u
  join members m on m.principal = '00000000-0000-0000-0000-000000000000' and m.until is null
union all
select u.id, m.kind, m.container_id, m.principal, 1::smallint, m.since
  from users u
  join members m on m.principal = 'ffffffff-ffff-ffff-ffff-ffffffffffff' and m.until is null;

-- Those that count. One that is quarantined does not: what may have been taken away is not shown.
create view my_grants as
select user_id, kind, container_id, role, since
  from held_grants
 where kind || ':' || container_id || '/' || principal not in (select key from quarantine where table_name = 'members')
   and kind || ':' || container_id || '/*' not in (select key from quarantine where table_name = 'members');

-- What of a table can be shown. Left out by `not in`, not by a join: hardly ever is there anything, and a join could cost
-- the order of an index. A child needs its parent to be sound too, which is joined where it is read.
create view sound_notebooks as
select * from notebooks where id::text not in (select key from quarantine where table_name = 'notebooks');
create view sound_notes as
select * from notes where id::text not in (select key from quarantine where table_name = 'notes');
create view sound_blocks as
select * from blocks
 where not removed and id::text not in (select key from quarantine where table_name = 'blocks');
create view sound_tasks as
select *,
       -- A day is over when the next one begins.
       coalesce(due_at, (due_on + 1)::timestamp at time zone 'UTC' - interval '1 microsecond') as due
  from tasks
 where not removed and id::text not in (select key from quarantine where table_name = 'tasks');

-- The containers, one branch for each kind: what each is in, and whether its row is quarantined.
create view containers as
select 'notebook' as kind, id, null as parent_kind, null::uuid as parent_id,
       id::text in (select key from quarantine where table_name = 'notebooks') as is_quarantined
  from notebooks
union all
select 'note', id, 'notebook', notebook_id,
       id::text in (select key from quarantine where table_name = 'notes')
  from notes;

-- What is withheld from a person who would see it: rows of its containers, its own, and its grants.
create view withheld as
select g.user_id, q.table_name, q.key, q.scopes
  from quarantine q
 cross join unnest(q.scopes) s (scope)
  join held_grants g on g.kind || ':' || g.container_id = s.scope
 where q.table_name <> 'members'
    or q.key in (g.kind || ':' || g.container_id || '/*', g.kind || ':' || g.container_id || '/' || g.principal)
union all
-- A child goes with its parent; whoever has the child alone hears of no more.
select g.user_id, 'notes', n.id::text, array['note:' || n.id, 'notebook:' || n.notebook_id]
  from quarantine q
  join notes n on q.table_name = 'notebooks' and q.key = n.notebook_id::text
  join held_grants g on g.kind = 'note' and g.container_id = n.id
 -- Asked first, and no longer than it takes to see that nothing is quarantined.
 where exists (select from quarantine)
union all
select case when s.scope ~ '^user:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then substr(s.scope, 6)::uuid end,
       q.table_name, q.key, q.scopes
  from quarantine q
 cross join unnest(q.scopes) s (scope)
 where q.table_name <> 'members'
union all
select case when q.key ~ '/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then split_part(q.key, '/', 2)::uuid end,
       q.table_name, q.key, q.scopes
  from quarantine q
 where q.table_name = 'members';
