-- What proxies agree on. The maintenance user owns it and everybody may read it, so that a plain pg_dump works;
-- pg_dump -N howdah leaves it out. It is made on every shard; tables marked "home" have rows on the home shard only.

CREATE SCHEMA howdah;
COMMENT ON SCHEMA howdah IS 'What the Howdah proxies of this cluster agree on: not to be changed by hand';
GRANT USAGE ON SCHEMA howdah TO PUBLIC;

CREATE TABLE howdah.migration (
  version int4 PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

-- Which shard of which cluster this database is: a server behind a wrong address is noticed.
CREATE TABLE howdah.identity (
  is_only_row bool PRIMARY KEY DEFAULT true CHECK (is_only_row),
  cluster uuid NOT NULL,
  shard text NOT NULL,
  is_home bool NOT NULL
);

-- home: counts the changes of everything below that proxies plan by.
CREATE TABLE howdah.state (
  is_only_row bool PRIMARY KEY DEFAULT true CHECK (is_only_row),
  version int8 NOT NULL
);

-- home: colocation groups. Of hash groups, bucket_range holds the map, and entries is empty.
CREATE TABLE howdah.colocation_group (
  name text PRIMARY KEY,
  key_types text[] NOT NULL,
  function text NOT NULL,
  buckets int4 NOT NULL,
  entries text[] NOT NULL,
  epoch int8 NOT NULL
);

-- home: buckets first to last (both included) of a group lie on this shard since this epoch.
CREATE TABLE howdah.bucket_range (
  colocation_group text NOT NULL REFERENCES howdah.colocation_group ON DELETE CASCADE,
  first int4 NOT NULL CHECK (first >= 0),
  last int4 NOT NULL,
  shard text NOT NULL,
  epoch int8 NOT NULL,
  PRIMARY KEY (colocation_group, first),
  CHECK (last >= first)
);

-- home: where tables lie that do not lie whole on the home shard; an empty table name is a whole schema.
CREATE TABLE howdah.placement (
  schema_name text NOT NULL,
  table_name text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('sharded', 'reference', 'single')),
  keys text[] NOT NULL,
  place text NOT NULL,
  PRIMARY KEY (schema_name, table_name)
);

-- home: a change of rules under way. Proxies that acknowledged it use none of its tables.
CREATE TABLE howdah.rules_change (
  is_only_row bool PRIMARY KEY DEFAULT true CHECK (is_only_row),
  id int8 GENERATED ALWAYS AS IDENTITY,
  epoch int8 NOT NULL,
  subjects text[] NOT NULL
);

-- home: each start of a proxy takes one.
CREATE SEQUENCE howdah.proxy_epoch;

-- A proxy plans while one of its leases, on any shard, holds. What it has taken in is said on the home shard.
CREATE TABLE howdah.lease (
  epoch int8 PRIMARY KEY,
  name text NOT NULL,
  expires_at timestamptz NOT NULL,
  acknowledged pg_snapshot,
  rules_change int8 NOT NULL DEFAULT 0,
  state_version int8 NOT NULL DEFAULT 0
);

-- home: the catalog changed before each of these transactions; kept until all proxies have taken that in.
CREATE TABLE howdah.catalog_change (
  xid xid8 PRIMARY KEY,
  changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

-- A digest of this database's catalog; whoever finds it old takes it anew, for all.
CREATE TABLE howdah.signature (
  is_only_row bool PRIMARY KEY DEFAULT true CHECK (is_only_row),
  digest text NOT NULL,
  taken_at timestamptz NOT NULL
);

GRANT SELECT ON ALL TABLES IN SCHEMA howdah TO PUBLIC;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA howdah TO PUBLIC;
INSERT INTO howdah.migration (version) VALUES (1);
