-- Which events concern which scope: how a socket that was away finds what it missed without reading the whole log.
create table feed (
  scope text collate "C" not null,
  position bigint not null
);
