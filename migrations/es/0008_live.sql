-- One-shot tickets for sockets: a browser cannot send a header with a WebSocket, and an address ends up in logs,
-- so what the address carries opens one socket, once, within half a minute.
create schema live;

create table live.ticket (
  hash bytea primary key constraint ticket_hash_is_sha256 check (length(hash) = 32),
  user_id uuid not null,
  session_id uuid not null,
  -- When the access token that bought it ends: a ticket does not outlive its buyer.
  caller_until timestamptz not null,
  expires_at timestamptz not null
);
create index ticket_expiry on live.ticket (expires_at);

revoke all on schema live from public;
revoke all on all tables in schema live from public;
grant usage on schema live to daybook_query;
grant select, insert, delete on live.ticket to daybook_query;
