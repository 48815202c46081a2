-- What Postgres itself comes with, as far as planning asks: src/catalog/builtin/*.txt are these rows, with a
-- tab between the columns. tests/builtin.rs holds them against a live server, and writes them with HOWDAH_BLESS=1.

-- functions
SELECT p.proname, p.prokind, p.provolatile, p.proretset::int,
  pg_catalog.array_to_string(p.proargtypes::pg_catalog.oid[], ','),
  (p.provariadic <> 0)::int,
  p.prorettype,
  coalesce((SELECT pg_catalog.string_agg(p.proargnames[i], ',' ORDER BY i)
    FROM pg_catalog.generate_subscripts(p.proargmodes, 1) AS i WHERE p.proargmodes[i] IN ('o', 't')), '')
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND p.prokind IN ('f', 'a', 'w')
  -- Left out: what SQL cannot call (internal, cstring, trigger, handlers), and casts from and to xid and cid.
  AND NOT p.proargtypes::pg_catalog.oid[] && '{2281,2275,2279,3838,2280,3115,325,3310,269,28,29,5069}'::pg_catalog.oid[]
  AND p.prorettype NOT IN (2281, 2275, 2279, 3838, 2280, 3115, 325, 3310, 269)
  AND p.proname !~ '(send|recv)$'
ORDER BY p.proname COLLATE "C", p.proargtypes::pg_catalog.oid[];

-- operators
SELECT o.oprname, o.oprleft::pg_catalog.oid, o.oprright::pg_catalog.oid, o.oprresult::pg_catalog.oid
FROM pg_catalog.pg_operator AS o
WHERE o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace AND o.oprresult <> 0
ORDER BY o.oprname COLLATE "C", o.oprleft, o.oprright;

-- types
SELECT t.typname, t.oid, t.typarray
FROM pg_catalog.pg_type AS t
WHERE t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND t.typtype IN ('b', 'r', 'm', 'd') AND t.typelem = 0
  OR t.oid IN (19, 22, 30, 600, 601, 603, 628)
ORDER BY t.typname COLLATE "C";
