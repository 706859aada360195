-- Blocks. Who may see one follows from its note, and is joined when read.
create table blocks (
  id uuid primary key,
  note_id uuid not null,
  type text not null,
  content jsonb not null,
  -- Its place among the note's blocks, compared byte by byte.
  rank text collate "C" not null,
  -- Taken out of its note; it can be restored.
  removed boolean not null,
  created_by text not null,
  created_at timestamptz not null,
  updated_by text not null,
  updated_at timestamptz not null,
  version bigint not null
);
-- All blocks of a note, in order; and all of them go with it, the removed ones too.
create index blocks_of_note on blocks (note_id, rank);
