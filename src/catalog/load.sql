WITH schema AS (
  SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n
  WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
),
relation AS (
  SELECT c.oid, s.nspname, c.relname, c.relkind, c.relrowsecurity
  FROM pg_catalog.pg_class c JOIN schema s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
),
trusted AS (
  SELECT d.objid AS oid
  FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
  JOIN pg_catalog.pg_available_extension_versions v ON v.name = e.extname AND v.version = e.extversion
  WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
    AND d.deptype = 'e' AND v.trusted
),
pure AS (
  SELECT p.oid FROM pg_catalog.pg_proc p
  WHERE p.oid < 16384 OR p.oid IN (SELECT oid FROM trusted) OR (p.prokind IN ('f', 'w') AND p.provolatile = 'i')
),
function AS (
  SELECT p.oid, s.nspname, p.proname, p.prokind,
    CASE WHEN p.prokind = 'a' AND p.oid NOT IN (SELECT oid FROM trusted) THEN NOT EXISTS (
        SELECT FROM pg_catalog.pg_aggregate a,
          LATERAL (VALUES (a.aggtransfn), (a.aggfinalfn), (a.aggcombinefn), (a.aggserialfn), (a.aggdeserialfn),
            (a.aggmtransfn), (a.aggminvtransfn), (a.aggmfinalfn)) AS part (fn)
        WHERE a.aggfnoid = p.oid AND part.fn <> 0 AND part.fn::pg_catalog.oid NOT IN (SELECT oid FROM pure))
      ELSE p.oid IN (SELECT oid FROM pure) END AS is_pure,
    p.pronargs = 1 AND t.typtype IN ('c', 'p') AS takes_row
  FROM pg_catalog.pg_proc p
  JOIN schema s ON s.oid = p.pronamespace
  LEFT JOIN pg_catalog.pg_type t ON t.oid = p.proargtypes[0]
),
impure AS (SELECT oid, nspname || '.' || proname AS name FROM function WHERE NOT is_pure),
base AS (
  WITH RECURSIVE up AS (
    SELECT t.oid, t.typbasetype AS base FROM pg_catalog.pg_type t WHERE t.typtype = 'd'
    UNION ALL SELECT u.oid, t.typbasetype FROM up u JOIN pg_catalog.pg_type t ON t.oid = u.base WHERE t.typtype = 'd'
  )
  SELECT u.oid, u.base FROM up u JOIN pg_catalog.pg_type t ON t.oid = u.base AND t.typtype <> 'd'
)
SELECT 'schema', nspname, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text FROM schema
UNION ALL
SELECT 'system', c.relname, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_class c WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relkind IN ('r', 'v')
UNION ALL
SELECT 'relation', oid::text, nspname, relname, relkind::text, relrowsecurity::text, NULL FROM relation
UNION ALL
SELECT 'column', r.oid::text, a.attnum::text, a.attname, coalesce(b.base, a.atttypid)::text,
  CASE WHEN a.attidentity <> '' THEN 'sequence'
    WHEN d.oid IS NULL THEN 'none'
    WHEN a.attgenerated <> '' THEN 'generated'
    WHEN EXISTS (
      SELECT FROM pg_catalog.pg_depend x JOIN impure i ON i.oid = x.refobjid
      WHERE x.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND x.objid = d.oid
        AND x.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass) THEN 'function'
    WHEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~* '(nextval|currval|lastval|setval|advisory|txid_|pg_current_xact)' THEN 'sequence'
    ELSE 'plain' END,
  NULL
FROM relation r
JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN base b ON b.oid = a.atttypid
WHERE r.relkind IN ('r', 'p', 'f', 'v', 'm')
UNION ALL
SELECT 'parent', i.inhrelid::text, i.inhparent::text, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_inherits i JOIN relation r ON r.oid = i.inhrelid
UNION ALL
SELECT DISTINCT 'reads', w.ev_class::text, d.refobjid::text, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_rewrite w
JOIN relation v ON v.oid = w.ev_class
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> w.ev_class
JOIN relation r ON r.oid = d.refobjid
UNION ALL
SELECT DISTINCT 'calls', w.ev_class::text, i.name, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_rewrite w
JOIN relation v ON v.oid = w.ev_class
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
  AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
JOIN impure i ON i.oid = d.refobjid
UNION ALL
SELECT DISTINCT 'calls', p.polrelid::text, i.name, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_policy p
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND d.objid = p.oid
  AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
JOIN impure i ON i.oid = d.refobjid
UNION ALL
SELECT DISTINCT 'reads', p.polrelid::text, d.refobjid::text, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_policy p
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND d.objid = p.oid
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> p.polrelid
JOIN relation r ON r.oid = d.refobjid
UNION ALL
SELECT 'rule', w.ev_class::text, w.rulename, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_rewrite w JOIN relation r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'trigger', t.tgrelid::text, t.tgname, i.name, NULL, NULL, NULL
FROM pg_catalog.pg_trigger t JOIN relation r ON r.oid = t.tgrelid JOIN impure i ON i.oid = t.tgfoid
WHERE NOT t.tgisinternal
UNION ALL
SELECT 'unique', x.indrelid::text, x.indexrelid::text, a.attname, NULL, NULL, NULL
FROM pg_catalog.pg_index x
JOIN relation r ON r.oid = x.indrelid
CROSS JOIN LATERAL unnest(x.indkey[0 : x.indnkeyatts - 1]) AS k (attnum)
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum AND k.attnum <> 0
WHERE x.indisunique OR x.indisexclusion
UNION ALL
SELECT 'foreign', f.oid::text, f.conrelid::text, f.confrelid::text, a.attname, b.attname, NULL
FROM pg_catalog.pg_constraint f
JOIN relation r ON r.oid = f.conrelid
CROSS JOIN LATERAL unnest(f.conkey, f.confkey) AS k (mine, theirs)
JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.mine
JOIN pg_catalog.pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.theirs
WHERE f.contype = 'f'
UNION ALL
SELECT 'function', nspname, proname, is_pure::text, takes_row::text, prokind::text, NULL FROM function
UNION ALL
SELECT 'operator', o.oprname, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_operator o JOIN schema s ON s.oid = o.oprnamespace
JOIN impure i ON i.oid = o.oprcode
