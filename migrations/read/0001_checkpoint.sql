-- How far the tables beside this one have come. One row: modules never disagree about the time.
create table checkpoint (
  one boolean primary key default true constraint checkpoint_is_one check (one),
  position bigint not null,
  -- The history that the position counts in; empty until the first batch.
  epoch text not null,
  -- Other tables have taken the place of these: a projector that waited for this row must not write any more. What
  -- readers see stays, as some may have begun before.
  retired boolean not null default false
);
insert into checkpoint (position, epoch) values (0, '');
