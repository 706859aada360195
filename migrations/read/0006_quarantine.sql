-- Rows whose fold failed, and the later events that wait for them. Readers of such a row are told so.
create table quarantine (
  -- Both compared byte by byte, as they are names.
  table_name text collate "C" not null,
  -- A UUID; of a grant `notebook:<id>/<principal>`, and `notebook:<id>/*` is all grants on that notebook.
  key text collate "C" not null,
  position bigint not null,
  -- What went wrong at this event; null when it only waits for an earlier one.
  why text,
  -- The event's: whom its row concerns can be told even when there is no row.
  scopes text[] not null,
  primary key (table_name, key, position)
);
-- A row is quarantined once. The projector reads this with every batch, so it holds only what is at fault.
create unique index quarantine_faults on quarantine (table_name, key) where why is not null;
-- The gateway asks for what was quarantined between two positions, lists for what concerns the caller.
create index quarantine_position on quarantine (position);
create index quarantine_scopes on quarantine using gin (scopes);
