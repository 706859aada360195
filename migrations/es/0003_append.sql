-- What one command of a batch, or the batch as a whole, is told.
create type es.answer as (
  cmd int,                -- which command, from 1; 0: all that have no row of their own
  outcome text,           -- appended (cmd 0 only), seen, conflict, claimed, placed; the first of seen..placed that holds
  last bigint,            -- appended: the head before the batch; seen: the position answered then
  kind text,              -- conflict: aggregate type (key, for a key_owner's); claimed: kind; placed: container
  id text,                -- conflict: aggregate id; placed: rank; seen: the id answered then
  sequence bigint,        -- conflict: the actual sequence; seen: the version answered then; appended: by how many
                          -- seconds the log is ahead of the clock
  fingerprint bytea,      -- seen: of the earlier command
  recorded_at timestamptz -- appended: one time for the batch, never before the last; seen: of the earlier command
);

-- Takes a batch of commands, each wholly or not at all, in order. Positions follow the order of the commands
-- that stand, then of their events, so the caller can count them from the head it is told.
-- The caller never puts two commands into one batch of which one writes what the other touches; were it to, a
-- unique index fails the statement. It has also seen to it that the events of an aggregate follow each other.
-- Every array set is one relation; *_cmd is the command's index from 1, never falling.
-- Each statement here costs about 20 us a batch, so what few commands bring is looked at only if it is there.
create function es.append(
  -- Commands; kept: it has a row of its own, as `es.command` says.
  c_hash uuid[], c_kept boolean[], c_fingerprint bytea[], c_id text[], c_version bigint[],
  c_events int[], -- how many events it has
  -- Events. e_scopes: joined by U+001F, as SQL has no ragged arrays.
  e_cmd int[], e_id uuid[], e_type text[], e_aggregate text[], e_sequence bigint[], e_event text[],
  e_version text[], e_payload bytea[], e_metadata jsonb[], e_scopes text[], e_effects jsonb[], e_mac bytea[],
  -- Aggregates that are written (before the first event) or only read, with the last sequence each must
  -- have; 0: must not exist. x_access: later events do not matter, if they have no effects and are few.
  x_cmd int[], x_type text[], x_aggregate text[], x_sequence bigint[], x_access boolean[],
  -- Claims released, then taken.
  r_cmd int[], r_kind text[], r_value bytea[], r_owner text[],
  t_cmd int[], t_kind text[], t_value bytea[], t_owner text[],
  -- Items that leave their place in a container, then places taken. The item beside, if there is one, must stand at
  -- that rank; and between two ranks (null: from the beginning, to the end; nothing is before '') nobody may be.
  f_cmd int[], f_container text[], f_item text[], f_rank text[],
  p_cmd int[], p_container text[], p_rank text[], p_item text[], p_beside text[], p_beside_rank text[],
  p_after text[], p_before text[],
  -- Keys made; and destroyed, for ever, also those that never were.
  d_cmd int[], d_key_owner text[],
  k_cmd int[], k_key_owner text[], k_wrapped bytea[],
  -- Rows of accounts: [{"cmd", "op", ...}], op in credential, session, session_end; bytea as \x hex.
  sides jsonb,
  -- The clock of the process that appends.
  process_clock timestamptz
) returns setof es.answer
language plpgsql security definer
set search_path = pg_catalog, es, pg_temp
-- Else the plan made while the table was empty stays, or a new one is made for each call, or is compiled each time.
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set jit = off
as $$
#variable_conflict error
declare
  base bigint;
  latest timestamptz;
  now_at timestamptz;
  ahead interval;             -- of the log, against the clock
  out_ int[] := '{}';         -- commands refused so far
  answers es.answer[] := '{}';
  found_ es.answer[];
begin
  -- A statement of its own: the next one's snapshot then holds what the previous holder of the lock committed.
  perform 1 from es.head for update;
  select e.position, e.recorded_at into base, latest from es.event e order by e.position desc limit 1;
  base := coalesce(base, 0);
  now_at := clock_timestamp();
  -- One of them is wrong, and what is once recorded with a time of the future holds up time for all who come after.
  if process_clock not between now_at - interval '1 hour' and now_at + interval '1 hour' then
    raise exception 'the clocks differ by more than an hour: Postgres says %, and the process that appends says %',
      now_at, process_clock using errcode = 'object_not_in_prerequisite_state';
  end if;
  -- Time never goes back. The caller is told by how many seconds the log is ahead.
  ahead := greatest(latest - now_at, '0');
  now_at := now_at + ahead;

  -- Seen.
  if true = any (c_kept) then
    select array_agg(row(u.i, 'seen', s.position, null, s.id, s.version, s.fingerprint, s.created_at)::es.answer)
      into found_
      from unnest(c_hash, c_kept) with ordinality u(hash, kept, i)
      cross join lateral (select * from es.command c where c.hash = u.hash limit 1) s
     where u.kept;
    answers := answers || found_;
  end if;
  if answers <> '{}' then
    out_ := array(select a.cmd from unnest(answers) a);
  end if;

  -- Conflict: each aggregate's last sequence must be the one decided on.
  select array_agg(row(w.cmd, 'conflict', null, w.type, w.aggregate, w.actual, null, null)::es.answer)
    into found_
    from (
      select distinct on (x.cmd) x.cmd, x.type, x.aggregate, s.actual
        from unnest(x_cmd, x_type, x_aggregate, x_sequence, x_access) with ordinality
               x(cmd, type, aggregate, sequence, access, nth)
        cross join lateral (
          select coalesce((
                   select e.sequence from es.event e
                    where e.aggregate_type = x.type and e.aggregate_id = x.aggregate
                    order by e.sequence desc limit 1), 0) as actual
          offset 0 -- else it is looked up again for each comparison
        ) s
       where s.actual <> x.sequence and x.cmd <> all (out_)
         and not (x.access and x.sequence > 0 and s.actual - x.sequence between 1 and 100
                  and not exists (select from es.event e
                                   where e.aggregate_type = x.type and e.aggregate_id = x.aggregate
                                     and e.sequence > x.sequence and e.effects is not null))
       order by x.cmd, x.nth
    ) w;
  if found_ is not null then
    answers := answers || found_;
    out_ := array(select a.cmd from unnest(answers) a);
  end if;

  if cardinality(k_cmd) > 0 then
    select array_agg(row(w.cmd, 'conflict', null, 'key', w.key_owner, 0, null, null)::es.answer) into found_
      from (
        select distinct on (k.cmd) k.cmd, k.key_owner
          from unnest(k_cmd, k_key_owner) with ordinality k(cmd, key_owner, nth)
         where k.cmd <> all (out_) and exists (select from es.key h where h.key_owner = k.key_owner)
         order by k.cmd, k.nth
      ) w;
    if found_ is not null then
      answers := answers || found_;
      out_ := array(select a.cmd from unnest(answers) a);
    end if;
  end if;

  if cardinality(t_cmd) > 0 then
    select array_agg(row(w.cmd, 'claimed', null, w.kind, null, null, null, null)::es.answer) into found_
      from (
        select distinct on (t.cmd) t.cmd, t.kind
          from unnest(t_cmd, t_kind, t_value, t_owner) with ordinality t(cmd, kind, value, owner, nth)
          cross join lateral (select k.owner from es.claim k
                               where k.kind = t.kind and k.value = t.value limit 1) held
         where t.cmd <> all (out_) and held.owner <> t.owner
           and not exists (select from unnest(r_cmd, r_kind, r_value, r_owner) r(cmd, kind, value, owner)
                            where r.cmd = t.cmd and r.kind = t.kind and r.value = t.value
                              and r.owner = held.owner)
         order by t.cmd, t.nth
      ) w;
    if found_ is not null then
      answers := answers || found_;
      out_ := array(select a.cmd from unnest(answers) a);
    end if;
  end if;

  if cardinality(p_cmd) > 0 then
    -- Taken: another item is at that rank or in the gap, or the item stands elsewhere, and does not leave in this
    -- command; or the one beside has moved.
    select array_agg(row(w.cmd, 'placed', null, w.container, w.rank, null, null, null)::es.answer)
      into found_
      from (
        select distinct on (p.cmd) p.cmd, p.container, p.rank
          from unnest(p_cmd, p_container, p_rank, p_item, p_beside, p_beside_rank, p_after, p_before)
                 with ordinality p(cmd, container, rank, item, beside, beside_rank, after, before, nth)
          left join lateral (
            select * from (select x.item, x.container, x.rank from es.place x
                            where x.container = p.container and x.rank = p.rank limit 1) at_rank
            union all
            -- As many as leave, and the item itself, may be found before one that is in the way.
            select * from (select x.item, x.container, x.rank from es.place x
                            where x.container = p.container and x.rank > coalesce(p.after, '')
                              and x.rank < coalesce(p.before, '~') -- behind every rank
                            limit cardinality(f_cmd) + 2) in_gap
            union all
            select * from (select x.item, x.container, x.rank from es.place x
                            where x.item = p.item limit 1) of_item
          ) held on true
         where p.cmd <> all (out_)
           and ((held.item, held.container, held.rank) <> (p.item, p.container, p.rank)
                and not exists (select from unnest(f_cmd, f_container, f_item, f_rank) f(cmd, container, item, rank)
                                 where f.cmd = p.cmd and f.container = held.container and f.item = held.item
                                   and f.rank = held.rank)
                or p.beside is not null
                and not exists (select from es.place x
                                 where x.item = p.beside and x.container = p.container
                                   and x.rank = p.beside_rank))
         order by p.cmd, p.nth
      ) w;
    if found_ is not null then
      answers := answers || found_;
      out_ := array(select a.cmd from unnest(answers) a);
    end if;
  end if;

  -- What is left stands.
  insert into es.event
    select base + row_number() over (order by u.nth), u.id, u.type, u.aggregate, u.sequence, u.event, u.version,
           u.payload, u.metadata, string_to_array(u.scopes, chr(31)), null, u.effects, u.mac, now_at
      from unnest(e_cmd, e_id, e_type, e_aggregate, e_sequence, e_event, e_version, e_payload, e_metadata,
                  e_scopes, e_effects, e_mac) with ordinality
             u(cmd, id, type, aggregate, sequence, event, version, payload, metadata, scopes, effects, mac, nth)
     where u.cmd <> all (out_);
  if true = any (c_kept) then
    insert into es.command (hash, fingerprint, id, version, position, created_at)
      select w.hash, w.fingerprint, w.id, w.version, w.position, now_at
        from (select u.*, base + sum(u.events) over (order by u.cmd) as position
                from unnest(c_hash, c_kept, c_fingerprint, c_id, c_version, c_events) with ordinality
                       u(hash, kept, fingerprint, id, version, events, cmd)
               where u.cmd <> all (out_)) w
       where w.kept;
  end if;
  if cardinality(r_cmd) > 0 then
    delete from es.claim k using unnest(r_cmd, r_kind, r_value, r_owner) r(cmd, kind, value, owner)
     where k.kind = r.kind and k.value = r.value and k.owner = r.owner and r.cmd <> all (out_);
  end if;
  if cardinality(t_cmd) > 0 then
    insert into es.claim (kind, value, owner)
      select distinct t.kind, t.value, t.owner
        from unnest(t_cmd, t_kind, t_value, t_owner) t(cmd, kind, value, owner)
       where t.cmd <> all (out_)
         and not exists (select from es.claim k
                          where k.kind = t.kind and k.value = t.value and k.owner = t.owner);
  end if;
  if cardinality(f_cmd) + cardinality(p_cmd) > 0 then
    perform es.append_places(f_cmd, f_container, f_item, f_rank, p_cmd, p_container, p_rank, p_item, out_);
  end if;
  if cardinality(k_cmd) > 0 then
    insert into es.key (key_owner, wrapped, made_at)
      select k.key_owner, k.wrapped, now_at from unnest(k_cmd, k_key_owner, k_wrapped) k(cmd, key_owner, wrapped)
       where k.cmd <> all (out_);
  end if;
  if cardinality(d_cmd) > 0 then
    insert into es.key as h (key_owner, wrapped, made_at, destroyed_at)
      select distinct d.key_owner, null::bytea, now_at, now_at from unnest(d_cmd, d_key_owner) d(cmd, key_owner)
       where d.cmd <> all (out_)
      on conflict (key_owner) do update set wrapped = null, destroyed_at = now_at where h.destroyed_at is null;
  end if;
  if sides <> '[]' then
    perform es.append_sides(sides, out_, now_at);
  end if;

  return next row(0, 'appended', base, null, null, extract(epoch from ahead)::bigint, null, now_at)::es.answer;
  if answers <> '{}' then
    return query select * from unnest(answers);
  end if;
end $$;

-- The rest of an append, split off because most have none of it.

create function es.append_places(
  f_cmd int[], f_container text[], f_item text[], f_rank text[],
  p_cmd int[], p_container text[], p_rank text[], p_item text[], out_ int[]
) returns void language plpgsql set search_path = pg_catalog, es, pg_temp as $$
begin
  delete from es.place x using unnest(f_cmd, f_container, f_item, f_rank) f(cmd, container, item, rank)
   where x.item = f.item and x.container = f.container and x.rank = f.rank and f.cmd <> all (out_);
  insert into es.place (container, rank, item)
    select distinct p.container, p.rank, p.item
      from unnest(p_cmd, p_container, p_rank, p_item) p(cmd, container, rank, item)
     where p.cmd <> all (out_)
       and not exists (select from es.place x
                        where x.container = p.container and x.rank = p.rank and x.item = p.item);
end $$;

create function es.append_sides(sides jsonb, out_ int[], now_at timestamptz) returns void
language plpgsql set search_path = pg_catalog, es, pg_temp as $$
begin
  if exists (select from jsonb_to_recordset(sides) s(op text)
              where s.op is null or s.op not in ('credential', 'session', 'session_end')) then
    raise exception 'unknown side row' using errcode = 'invalid_parameter_value';
  end if;
  insert into es.credential as c (user_id, hash, changed_at)
    select s.user_id, s.hash, now_at
      from jsonb_to_recordset(sides) s(cmd int, op text, user_id text, hash text)
     where s.op = 'credential' and s.cmd <> all (out_)
    on conflict (user_id) do update set hash = excluded.hash, changed_at = excluded.changed_at;
  insert into es.session (session_id, user_id, refresh, expires_at, device, address)
    select s.session_id, s.user_id, s.refresh, clock_timestamp() + make_interval(secs => s.lifetime), s.device, s.address
      from jsonb_to_recordset(sides) s(cmd int, op text, session_id text, user_id text, refresh bytea,
                                       lifetime double precision, device text, address text)
     where s.op = 'session' and s.cmd <> all (out_);
  update es.session x set ended_at = clock_timestamp()
    from jsonb_to_recordset(sides) s(cmd int, op text, session_id text)
   where s.op = 'session_end' and s.cmd <> all (out_)
     and x.session_id = s.session_id and x.ended_at is null;
end $$;
