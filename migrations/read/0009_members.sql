-- Who was granted which role on what, when, and until when. Rows that ended stay: whoever was away hears of the end.
create table members (
  -- Of the container, as in its scope.
  kind text collate "C" not null,
  container_id uuid not null,
  -- A person; all zeros: everyone; all ones: the public.
  principal uuid not null,
  -- 1 viewer, 2 editor, 3 owner.
  role smallint not null,
  -- The position of the grant; another role does not change it.
  since bigint not null,
  -- The position of its end.
  until bigint,
  -- Who granted it: a person's id, or the name of a policy.
  granted_by text not null,
  granted_at timestamptz not null,
  primary key (kind, container_id, principal)
);
