-- Golden vectors of Postgres's extended hash functions: type, value as text, value in the binary format (hex),
-- seed, hash (signed). Composite keys: types, values, nothing, 0, hash.
-- Regenerate with: psql -XAt -F "$(printf '\t')" -f tests/golden/hash.sql > tests/golden/hash.tsv
SET timezone = 'America/New_York';
SET datestyle = 'ISO';
SET extra_float_digits = 1;
WITH seeds(number, seed) AS (
  VALUES (0, 0::bigint), (1, 1), (2, -1), (3, 42), (4, 7203772011789518145), (5, -9223372036854775808)
),
-- Numbers that look random and are the same on every run.
random(i, n) AS (
  SELECT i, ('x' || left(md5(i::text), 16))::bit(64)::bigint FROM generate_series(1, 140) i
),
ints(v) AS (
  VALUES (0::bigint), (1), (-1), (2), (12), (100000), (-100000), (32767), (-32768), (2147483647), (2147483648),
    (-2147483648), (-2147483649), (4294967295), (4294967296), (-4294967296), (9223372036854775807), (-9223372036854775808)
  UNION ALL SELECT n FROM random
  UNION ALL SELECT n >> 33 FROM random WHERE i % 2 = 0
  UNION ALL SELECT n >> 49 FROM random WHERE i % 4 = 0
),
numerics(v) AS (
  SELECT unnest(ARRAY['0', '0.000', '-0', '1', '1.0', '1.00', '-1', '10', '100', '1000', '10000', '100000', '0.1', '0.01',
    '0.001', '0.0001', '0.00001', '9999', '9999.9999', '10000.0001', '-12345678.90', '00012.500', '1e20', '1e-20', '123e100',
    '-1.5e-100', 'NaN', 'Infinity', '-Infinity', '99999999999999999999999999999999.99999999999999999999', '40e-5',
    '0.00000000000000000000000000000000000000000000000000012345']::numeric[])
  UNION ALL SELECT n::numeric / power(10::numeric, i % 21) FROM random
  UNION ALL SELECT trunc(n::numeric * (n >> 7) * i, -(i % 30)) FROM random
  UNION ALL SELECT round(n::numeric / 3, i % 40) FROM random
),
texts(v) AS (
  SELECT left('The elephant carries a howdah through the café, ünïcode and all of it', i) FROM generate_series(0, 60) i
  UNION ALL SELECT left(repeat(md5(i::text), 8), i * 7 % 257) FROM random
  UNION ALL SELECT chr(i) || repeat(chr(19968 + i), i % 9) || '🐘' FROM generate_series(32, 400) i WHERE i NOT BETWEEN 127 AND 160
),
dates(v) AS (
  VALUES (date '2000-01-01'), ('1999-12-31'), ('1970-01-01'), ('0001-01-01'), ('0001-12-31 BC'), ('4714-11-24 BC'),
    ('5874897-12-31'), ('2024-02-29'), ('1900-03-01'), ('10000-01-01')
  UNION ALL SELECT date '2000-01-01' + (n >> 44)::int FROM random
),
moments(v) AS (
  VALUES (timestamp '2000-01-01'), ('1999-12-31 23:59:59.999999'), ('1970-01-01'), ('0001-01-01 00:00:00.5'),
    ('0044-03-15 12:34:56.000001 BC'), ('4714-11-24 BC'), ('294276-12-31 23:59:59.999999'), ('2024-02-29 12:00'),
    ('infinity'), ('-infinity')
  UNION ALL SELECT timestamp '2000-01-01' + make_interval(secs => (n >> 10) / 1000000) FROM random
  UNION ALL SELECT timestamp '2000-01-01' + (n >> 14) * interval '1 microsecond' FROM random WHERE i % 2 = 0
),
vectors(type, text, bytes, seed, hash) AS (
  SELECT 'int8', v::text, int8send(v), seed, hashint8extended(v, seed) FROM ints, seeds WHERE number < 2
  UNION ALL SELECT 'int4', v::text, int4send(v::int4), seed, hashint8extended(v, seed) FROM ints, seeds
    WHERE number = 2 AND v BETWEEN -2147483648 AND 2147483647
  UNION ALL SELECT 'int2', v::text, int2send(v::int2), seed, hashint8extended(v, seed) FROM ints, seeds
    WHERE number = 3 AND v BETWEEN -32768 AND 32767
  UNION ALL SELECT 'numeric', v::text, numeric_send(v), seed, hash_numeric_extended(v, seed) FROM numerics, seeds
    WHERE number IN (0, 4)
  UNION ALL SELECT 'text', v, textsend(v), seed, hashtextextended(v COLLATE "C", seed) FROM texts, seeds WHERE number IN (0, 5)
  UNION ALL SELECT 'uuid', md5(v::text)::uuid::text, uuid_send(md5(v::text)::uuid), seed,
    uuid_hash_extended(md5(v::text)::uuid, seed) FROM ints, seeds WHERE number IN (0, 2)
  UNION ALL SELECT 'date', v::text, date_send(v), seed, hashint8extended((v - date '2000-01-01')::bigint, seed) FROM dates, seeds
    WHERE number IN (0, 4)
  UNION ALL SELECT 'timestamp', v::text, timestamp_send(v), seed, timestamp_hash_extended(v, seed) FROM moments, seeds
    WHERE number IN (0, 5)
  UNION ALL SELECT 'timestamptz', (v AT TIME ZONE 'UTC')::text, timestamptz_send(v AT TIME ZONE 'UTC'), seed,
    timestamp_hash_extended(v, seed) FROM moments, seeds WHERE number IN (0, 1)
  UNION ALL SELECT 'int8,text', n || '|' || md5(n::text), NULL, 0, hashtextextended(md5(n::text) COLLATE "C", hashint8extended(n, 0))
    FROM random
  UNION ALL SELECT 'text,uuid,date,numeric',
    i || '|' || md5(n::text)::uuid || '|' || date '2000-01-01' + i || '|' || n / 7.0, NULL, 0,
    hash_numeric_extended(n / 7.0, hashint8extended(i, uuid_hash_extended(md5(n::text)::uuid, hashtextextended(i::text COLLATE "C", 0))))
    FROM random
  UNION ALL SELECT 'timestamptz,int8', (v AT TIME ZONE 'UTC') || '|' || extract(day FROM v)::bigint, NULL, 0,
    hashint8extended(extract(day FROM v)::bigint, timestamp_hash_extended(v, 0)) FROM moments WHERE isfinite(v)
)
SELECT DISTINCT type COLLATE "C", text COLLATE "C", encode(bytes, 'hex'), seed, hash FROM vectors ORDER BY 1, 2, 4;
