-- What the write side keeps. Everything here is written by es.append alone, unless it says otherwise.
-- Keys are compared byte by byte (collate "C"): cheaper, and the same on every machine.
create schema es;

-- The lock that orders appends. Only ever locked: an updated row bloats under any open snapshot.
create table es.head (
  one boolean primary key default true constraint head_is_one check (one)
);
insert into es.head default values;

-- The truth: positions 1..N in the order of commit, without a gap.
-- `payload`: the data of the event. Encrypted: a byte 1, then nonce (24 bytes) and ciphertext of XChaCha20-Poly1305, under
-- the key of the first scope. In clear: canonical JSON (RFC 8785).
-- `owner`, `effects`: whose it is, if that is not the first scope, and what it does to containers and grants; nothing yet.
-- `mac`: under the server's key `server:events`, over all that is decided before the append: all but position and time.
create table es.event (
  position bigint primary key,
  event_id uuid not null,
  aggregate_type text collate "C" not null,
  aggregate_id text collate "C" not null,
  sequence bigint not null,
  event_type text not null,
  event_version text not null,
  payload bytea not null,
  metadata jsonb not null,
  scopes text[] not null,
  owner text collate "C",
  effects jsonb,
  mac bytea not null constraint mac_has_16_bytes check (octet_length(mac) = 16),
  recorded_at timestamptz not null,
  constraint event_stream unique (aggregate_id, aggregate_type, sequence)
);
-- Payloads are encrypted, so trying to compress them is wasted work.
alter table es.event alter column payload set storage external;

-- How far the log may be read, by whoever follows it: relay, projector, policies, readers of the history. That is all
-- that is committed, as a commit waits for the disk. Were commits answered before, this would be what is on the disk.
create function es.readable() returns bigint stable parallel safe
  return coalesce((select e.position from es.event e order by e.position desc limit 1), 0);

-- The events as postgres-es reads them: a payload that is JSON, here a string of hexadecimal digits, and no column that
-- it does not know, so what else there is comes with the metadata.
create view es.stream as
select aggregate_type, aggregate_id, sequence, event_type, event_version, to_jsonb(encode(payload, 'hex')) as payload,
       metadata || jsonb_build_object('position', position::text, 'id', event_id, 'scopes', scopes, 'owner', owner,
                                      'effects', effects, 'mac', encode(mac, 'hex')) as metadata
  from es.event;

-- The answer to every command of the last 30 days whose client gave it a key, so that one sent again takes effect once.
-- `hash`: of actor and key. (Of a command with a key of our own there is only a row if it recorded no event: else the
-- writer finds its first event when it sends it again.)
create table es.command (
  hash uuid primary key,
  fingerprint bytea not null,
  id text not null,
  version bigint not null,
  position bigint not null,
  created_at timestamptz not null
);
-- To find the old ones: rows lie in the order in which they came, so a summary of each part of the table is enough.
create index command_age on es.command using brin (created_at);

-- What may exist once only (an address, a handle), known by a keyed hash of the folded value.
create table es.claim (
  kind text collate "C" not null,
  value bytea not null,
  owner text collate "C" not null,
  primary key (kind, value)
);

-- The order of items in a container: a note's blocks by rank.
create table es.place (
  container text collate "C" not null,
  rank text collate "C" not null,
  item text collate "C" primary key,
  constraint place_rank unique (container, rank)
);

-- The keys payloads are encrypted under, wrapped by the master key. Destroying one erases what it encrypted; its row stays
-- without the key, so that no command that knew nothing of it makes another.
create table es.key (
  key_owner text collate "C" primary key,
  wrapped bytea,
  made_at timestamptz not null,
  destroyed_at timestamptz,
  constraint key_or_tombstone check ((wrapped is null) = (destroyed_at is not null))
);

create table es.credential (
  user_id text collate "C" primary key,
  hash text not null,
  changed_at timestamptz not null
);

-- Refresh tokens are here as hashes only, and only the current one: the server computes those that come after a token,
-- and so finds the session of an older one. All its times are of Postgres' clock, and compared with no other: neither with
-- the times of events, which may be ahead of it, nor with the clocks of processes. A session ends by a command, or by
-- itself when it expires, which is no event; its row goes 30 days later.
create table es.session (
  session_id text collate "C" primary key,
  user_id text collate "C" not null,
  refresh bytea not null,
  -- When the last tokens were replaced, newest first: those that may still be used again, because an answer was lost.
  rotated_at timestamptz[] not null default '{}',
  expires_at timestamptz not null,
  ended_at timestamptz,
  device text not null,
  address text not null
);
create index session_refresh on es.session (refresh);
create index session_of_user on es.session (user_id);
-- Every process asks again and again which ended or expired lately.
create index session_ended on es.session (ended_at) where ended_at is not null;
create index session_expiry on es.session (expires_at);

-- One row per history. The last one (by seq) is in force; up to agreed_position it is the one before.
create table es.epoch (
  epoch text primary key constraint epoch_is_hex check (epoch ~ '^[0-9a-f]{8}$'),
  seq bigint not null generated always as identity,
  agreed_position bigint not null,
  reason text not null,
  timeline int,
  system_identifier text,
  at timestamptz not null default clock_timestamp()
);

-- Events that no projection shall fold, by an operator's decision; rebuild and check honour it.
create table es.skip (
  position bigint primary key,
  why text not null,
  by text not null,
  at timestamptz not null default clock_timestamp()
);

-- How far each policy has come.
create table es.policy (
  name text primary key,
  position bigint not null,
  epoch text not null
);

-- What policies were refused, for the operator, of the last 30 days: by which event, about what and in whose name, and
-- the words of the rule, which hold nobody's content. Written in one statement with how far the policy has come.
create table es.refusal (
  policy text not null,
  position bigint not null,
  aggregate_id text not null,
  person text not null,
  slug text not null,
  detail text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (policy, position)
);

-- A shortcut for loading an aggregate, free to vanish: its state after the event of that sequence, encrypted as that event
-- is. Ignored, and replaced, when the snapshot version is not this release's or it does not open with the event of that sequence.
create table es.snapshot (
  aggregate_type text collate "C" not null,
  aggregate_id text collate "C" not null,
  sequence bigint not null,
  snapshot_version int not null,
  encrypted bytea not null,
  primary key (aggregate_type, aggregate_id)
);
alter table es.snapshot alter column encrypted set storage external;
