-- Golden vectors of Postgres's extended hash functions: function, input, seed, hash (signed).
-- Regenerate with: psql -XAt -F "$(printf '\t')" -f tests/golden/hash.sql > tests/golden/hash.tsv
SET timezone = 'UTC';
SET datestyle = 'ISO';
WITH seeds(seed) AS (VALUES (0::bigint), (1), (-1), (42), (7203772011789518145), (-9223372036854775808)),
ints(v) AS (
  VALUES (0::bigint), (1), (-1), (2), (12), (100000), (-100000), (2147483647), (2147483648), (-2147483648),
    (-2147483649), (4294967295), (4294967296), (-4294967296), (9223372036854775807), (-9223372036854775808)
  UNION ALL SELECT (i * 7919 * 104729)::bigint * (CASE WHEN i % 2 = 0 THEN 1 ELSE -1 END) FROM generate_series(1::bigint, 60) i
),
texts(v) AS (
  SELECT left('The elephant carries a howdah through the café, ünïcode and all of it', i) FROM generate_series(0, 40) i
)
SELECT 'int8', v::text COLLATE "C", seed, hashint8extended(v, seed) FROM ints, seeds
UNION ALL SELECT 'text', v, seed, hashtextextended(v COLLATE "C", seed) FROM texts, seeds
UNION ALL SELECT 'uuid', md5(v::text)::uuid::text, seed, uuid_hash_extended(md5(v::text)::uuid, seed) FROM ints, seeds WHERE v BETWEEN -100000 AND 100000
UNION ALL SELECT 'timestamp', v::text, seed, timestamp_hash_extended('2000-01-01'::timestamp + make_interval(secs => v / 1000000.0), seed) FROM ints, seeds WHERE abs(v / 1000) < 1000000000
ORDER BY 1, 2, 3;
