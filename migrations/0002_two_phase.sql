-- Outcomes of transactions over several shards, each on the shard that decides it. The key is the hash of a secret
-- that only the proxy which runs the transaction knows: nobody else can make an outcome for it, but for the owner of
-- this table, who makes outcomes for those that are left behind.
CREATE TABLE howdah.decision (
  transaction text PRIMARY KEY,
  epoch int8 NOT NULL,
  is_commit bool NOT NULL,
  participants text[] NOT NULL,
  decided_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

-- Called inside the transaction that decides, by the client's own role, before any other shard prepares.
CREATE FUNCTION howdah.decide(secret bytea, epoch int8, participants text[]) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  INSERT INTO howdah.decision (transaction, epoch, is_commit, participants)
  VALUES (pg_catalog.substr(pg_catalog.encode(pg_catalog.sha256(secret), 'hex'), 1, 32), epoch, true, participants);
END;

GRANT SELECT ON howdah.decision TO PUBLIC;
INSERT INTO howdah.migration (version) VALUES (2);
