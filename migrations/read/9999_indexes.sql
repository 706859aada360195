-- What finds rows for readers alone: what the fold looks for is made with its table. Tables that are built beside the live
-- ones get these when they are filled, which is quicker than row by row. In one transaction: they are all there or none is.
alter table feed add primary key (scope, position);

create index users_by_name on users (username_folded);
create index sessions_of_user on sessions (user_id, opened_at desc, id desc);
-- What a principal was granted, and what ended while somebody was away.
create index members_of on members (principal, kind, container_id) include (role, since) where until is null;
create index members_ended on members (principal, until) where until is not null;
create index notes_of_notebook on notes (notebook_id, created_at desc, id desc);
create index tasks_by_created on tasks (notebook_id, by_created, id desc) where not removed;
create index tasks_by_updated on tasks (notebook_id, by_updated, id desc) where not removed;
create index tasks_by_due on tasks (notebook_id, by_due, id desc) where not removed;
create index tasks_by_priority on tasks (notebook_id, by_priority, id desc) where not removed;
create index tasks_of_owner on tasks (owner_id) where note_id is null and not removed;
