-- Reads one database's catalog for Catalog::from_rows: the kind of a row, then up to eleven columns as text.
-- Temporary relations are left out; OIDs below 16384 are Postgres's own.
WITH schema AS MATERIALIZED (
  SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n
  WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
),
relation AS MATERIALIZED (
  SELECT c.oid, s.nspname, c.relname, c.relkind, c.relrowsecurity, c.relowner, c.relpersistence, c.reloptions
  FROM pg_catalog.pg_class c JOIN schema s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
),
member AS MATERIALIZED (
  SELECT d.classid, d.objid, e.extname, v.trusted
  FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
  LEFT JOIN pg_catalog.pg_available_extension_versions v ON v.name = e.extname AND v.version = e.extversion
  WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
    AND d.classid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass)
),
trusted AS MATERIALIZED (
  SELECT objid AS oid FROM member WHERE classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND trusted
),
pure AS MATERIALIZED (
  SELECT p.oid FROM pg_catalog.pg_proc p
  WHERE p.oid < 16384 OR p.oid IN (SELECT oid FROM trusted) OR (p.prokind IN ('f', 'w') AND p.provolatile = 'i')
),
function AS MATERIALIZED (
  SELECT p.oid, s.nspname, p.proname, p.prokind, p.provolatile, p.prolang, p.proargtypes, p.prorettype, p.proretset,
    p.oid IN (SELECT oid FROM trusted) AS is_trusted,
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
impure AS MATERIALIZED (SELECT oid, nspname || '.' || proname AS name FROM function WHERE NOT is_pure),
-- What runs an impure function without naming it, as far as pg_depend tells: operators, domains by their checks and
-- defaults, types made of such a domain, and functions by the defaults or types of their arguments.
tainted AS MATERIALIZED (
  WITH RECURSIVE made (classid, oid, name) AS (
    SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, oid, name FROM impure
    UNION
    SELECT CASE WHEN k.oid IS NULL AND c.oid IS NULL THEN d.classid ELSE 'pg_catalog.pg_type'::pg_catalog.regclass END,
      coalesce(k.contypid, c.reltype, d.objid), made.name
    FROM made
    JOIN pg_catalog.pg_depend d ON d.refclassid = made.classid AND d.refobjid = made.oid
    LEFT JOIN pg_catalog.pg_constraint k
      ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid AND k.contypid <> 0
    LEFT JOIN pg_catalog.pg_class c
      ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid AND c.relkind = 'c'
    LEFT JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
    WHERE k.oid IS NOT NULL OR c.oid IS NOT NULL
      OR d.classid IN ('pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass)
      OR p.pronargdefaults > 0 OR (p.oid IS NOT NULL AND made.classid = 'pg_catalog.pg_type'::pg_catalog.regclass)
  )
  SELECT classid, oid, name FROM made
),
called AS MATERIALIZED (
  SELECT DISTINCT d.classid, d.objid, t.name
  FROM pg_catalog.pg_depend d JOIN tainted t ON t.classid = d.refclassid AND t.oid = d.refobjid
),
hidden AS MATERIALIZED (
  SELECT w.ev_class AS oid
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = l.relation
    AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
  JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid
  WHERE l.mode = 'AccessExclusiveLock' AND l.locktype = 'relation'
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
),
base AS MATERIALIZED (
  WITH RECURSIVE up AS (
    SELECT t.oid, t.typbasetype AS base FROM pg_catalog.pg_type t WHERE t.typtype = 'd'
    UNION ALL SELECT u.oid, t.typbasetype FROM up u JOIN pg_catalog.pg_type t ON t.oid = u.base WHERE t.typtype = 'd'
  )
  SELECT u.oid, u.base FROM up u JOIN pg_catalog.pg_type t ON t.oid = u.base AND t.typtype <> 'd'
),
attribute AS MATERIALIZED (
  SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull, a.attidentity,
    a.attgenerated
  FROM pg_catalog.pg_attribute a JOIN relation r ON r.oid = a.attrelid AND r.relkind <> 'S'
  WHERE a.attrelid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped
),
database AS MATERIALIZED (
  SELECT d.oid, d.datname, d.encoding, d.datcollate, coalesce(j->>'datlocprovider', 'c') AS provider,
    coalesce(j->>'datlocale', j->>'daticulocale', d.datcollate) AS locale
  FROM pg_catalog.pg_database d, LATERAL pg_catalog.to_jsonb(d) j WHERE d.datname = pg_catalog.current_database()
),
collated AS MATERIALIZED (
  SELECT c.oid, n.nspname, c.collname, c.collisdeterministic,
    CASE c.collprovider WHEN 'd' THEN d.provider ELSE c.collprovider::text END AS provider,
    CASE c.collprovider WHEN 'd' THEN d.locale ELSE coalesce(c.collcollate, j->>'colllocale', j->>'colliculocale') END AS locale
  FROM database d, pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace,
    LATERAL (SELECT CASE WHEN c.collprovider NOT IN ('c', 'd') THEN pg_catalog.to_jsonb(c) END) AS json (j)
  WHERE c.collencoding IN (-1, d.encoding)
)
SELECT 'schema', nspname, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text,
  NULL::text, NULL::text
FROM schema
UNION ALL
SELECT 'database', datname, pg_catalog.pg_encoding_to_char(encoding), pg_catalog.current_setting('server_version_num'),
  (SELECT s.reset_val FROM pg_catalog.pg_settings s WHERE s.name = 'search_path'), CURRENT_USER,
  (SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', (s.setdatabase <> 0)::text, r.rolname, s.setconfig::text),
      ',' ORDER BY s.setdatabase, r.rolname COLLATE "C"))
    FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
    WHERE s.setdatabase IN (0, database.oid)),
  NULL, NULL, NULL, NULL, NULL
FROM database
UNION ALL
SELECT 'search_path', r.rolname, (s.setdatabase <> 0)::text, pg_catalog.substr(item, 13), NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL
FROM database d JOIN pg_catalog.pg_db_role_setting s ON s.setdatabase IN (0, d.oid)
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS item
WHERE item LIKE 'search\_path=%'
UNION ALL
SELECT 'collation', oid::text, nspname, collname, provider, collisdeterministic::text,
  (provider = 'b' OR (provider = 'c' AND locale IN ('C', 'POSIX')))::text, NULL, NULL, NULL, NULL, NULL
FROM collated
WHERE nspname <> 'pg_catalog' OR oid = 100 OR provider = 'b' OR (provider = 'c' AND locale IN ('C', 'POSIX'))
  OR oid IN (SELECT attcollation FROM attribute)
UNION ALL
SELECT 'system', c.relname, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_class c WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relkind IN ('r', 'v')
UNION ALL
SELECT 'relation', r.oid::text, r.nspname, r.relname, r.relkind::text, r.relrowsecurity::text,
  pg_catalog.pg_get_userbyid(r.relowner), (r.relpersistence = 'u')::text, r.reloptions::text,
  CASE WHEN r.relkind IN ('v', 'm') AND r.oid NOT IN (SELECT oid FROM hidden) THEN pg_catalog.pg_get_viewdef(r.oid) END, NULL, NULL
FROM relation r
UNION ALL
SELECT 'column', a.attrelid::text, a.attnum::text, a.attname, coalesce(b.base, a.atttypid)::text,
  CASE WHEN a.attidentity <> '' THEN 'sequence'
    WHEN d.oid IS NULL THEN 'none'
    WHEN a.attgenerated <> '' THEN 'generated'
    WHEN d.oid IN (SELECT objid FROM called WHERE classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass) THEN 'function'
    WHEN pg_catalog.pg_get_expr(d.adbin, 0) ~* '(nextval|currval|lastval|setval|advisory|txid_|pg_current_xact)' THEN 'sequence'
    ELSE 'plain' END,
  a.atttypid::text, a.atttypmod::text, a.attcollation::text, a.attnotnull::text, a.attidentity::text, NULL
FROM attribute a
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN base b ON b.oid = a.atttypid
UNION ALL
SELECT 'type', t.oid::text, n.nspname, t.typname, t.typtype::text, t.typarray::text,
  CASE t.typtype WHEN 'd' THEN t.typbasetype WHEN 'c' THEN t.typrelid WHEN 'r' THEN r.rngsubtype WHEN 'm' THEN m.rngtypid ELSE 0 END::text,
  t.typtypmod::text, t.typnotnull::text, e.extname, c.relkind::text, NULL
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace AND n.nspname !~ '^pg_(temp|toast)'
LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
LEFT JOIN pg_catalog.pg_range m ON m.rngmultitypid = t.oid
LEFT JOIN member e ON e.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND e.objid = t.oid
WHERE t.oid >= 16384 AND t.typsubscript::pg_catalog.oid <> 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
UNION ALL
SELECT 'attribute', c.reltype::text, a.attnum::text, a.attname, a.atttypid::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_(temp|toast)'
WHERE c.relkind = 'c' AND c.oid >= 16384
UNION ALL
SELECT 'label', e.enumtypid::text, e.enumlabel, e.enumsortorder::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_enum e
UNION ALL
SELECT 'parent', i.inhrelid::text, i.inhparent::text, pg_catalog.pg_get_expr(c.relpartbound, 0), NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL
FROM pg_catalog.pg_inherits i JOIN relation r ON r.oid = i.inhrelid JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
UNION ALL
SELECT 'partitioned', p.partrelid::text, p.partstrat::text, p.partattrs::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_partitioned_table p JOIN relation r ON r.oid = p.partrelid
UNION ALL
SELECT DISTINCT 'reads', w.ev_class::text, d.refobjid::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_rewrite w
JOIN relation v ON v.oid = w.ev_class
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> w.ev_class
JOIN relation r ON r.oid = d.refobjid
UNION ALL
SELECT DISTINCT 'calls', w.ev_class::text, i.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_rewrite w
JOIN relation v ON v.oid = w.ev_class
JOIN called i ON i.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND i.objid = w.oid
UNION ALL
SELECT DISTINCT 'calls', p.polrelid::text, i.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_policy p
JOIN called i ON i.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND i.objid = p.oid
UNION ALL
SELECT DISTINCT 'reads', p.polrelid::text, d.refobjid::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_policy p
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND d.objid = p.oid
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> p.polrelid
JOIN relation r ON r.oid = d.refobjid
UNION ALL
SELECT 'rule', w.ev_class::text, w.rulename, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_rewrite w JOIN relation r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'trigger', t.tgrelid::text, t.tgname, i.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_trigger t
JOIN relation r ON r.oid = t.tgrelid
JOIN called i ON i.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND i.objid = t.oid
WHERE NOT t.tgisinternal
UNION ALL
SELECT 'event_trigger', e.evtname, i.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_event_trigger e JOIN impure i ON i.oid = e.evtfoid
WHERE e.evtenabled <> 'D'
UNION ALL
SELECT 'index', x.indrelid::text, c.relname, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_index x
JOIN relation r ON r.oid = x.indrelid
JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid
UNION ALL
-- A column counts as an expression where its values may be told apart though they are equal: under a nondeterministic
-- collation, or by another operator than equality.
SELECT 'unique', x.indrelid::text, x.indexrelid::text,
  CASE WHEN x.indisexclusion OR EXISTS (
      SELECT FROM pg_catalog.unnest(x.indcollation) AS u (oid) JOIN pg_catalog.pg_collation c USING (oid) WHERE NOT c.collisdeterministic)
    THEN (SELECT pg_catalog.string_agg(CASE WHEN c.collisdeterministic IS FALSE OR (x.indisexclusion AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_amop o WHERE o.amopopr = k.conexclop[n] AND o.amopmethod = 403 AND o.amopstrategy = 3))
        THEN '0' ELSE x.indkey[n - 1]::text END, ' ' ORDER BY n)
      FROM pg_catalog.generate_series(1, x.indnkeyatts) AS n LEFT JOIN pg_catalog.pg_collation c ON c.oid = x.indcollation[n - 1])
    ELSE x.indkey::text END,
  x.indnkeyatts::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_index x
JOIN relation r ON r.oid = x.indrelid
LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = x.indexrelid AND k.contype = 'x'
WHERE x.indisunique OR x.indisexclusion
UNION ALL
SELECT 'constraint', k.conrelid::text, k.oid::text, k.conname, k.contype::text, k.conkey::text, k.condeferrable::text,
  k.confrelid::text, k.confkey::text, k.confupdtype::text, k.confdeltype::text, NULL
FROM pg_catalog.pg_constraint k JOIN relation r ON r.oid = k.conrelid
WHERE k.contype IN ('c', 'p', 'u', 'x', 'f')
UNION ALL
SELECT 'checks', r.oid::text, NULL, i.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM called i
LEFT JOIN pg_catalog.pg_constraint k ON i.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = i.objid
LEFT JOIN pg_catalog.pg_attrdef d ON i.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.oid = i.objid
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
LEFT JOIN pg_catalog.pg_index x ON i.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND x.indexrelid = i.objid
JOIN relation r ON r.oid = coalesce(k.conrelid, CASE WHEN a.attgenerated <> '' THEN d.adrelid END, x.indrelid,
  CASE WHEN i.classid = 'pg_catalog.pg_class'::pg_catalog.regclass THEN i.objid END)
UNION ALL
SELECT 'checks', NULL, oid::text, name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM tainted WHERE classid = 'pg_catalog.pg_type'::pg_catalog.regclass
UNION ALL
SELECT 'function', f.nspname, f.proname,
  (f.is_pure AND f.oid NOT IN (SELECT oid FROM tainted WHERE classid = 'pg_catalog.pg_proc'::pg_catalog.regclass))::text,
  f.takes_row::text, f.prokind::text, f.provolatile::text, l.lanname,
  f.proargtypes::text, f.prorettype::text, f.proretset::text, f.is_trusted::text
FROM function f JOIN pg_catalog.pg_language l ON l.oid = f.prolang
UNION ALL
SELECT 'operator', o.oprname, o.oprleft::text, o.oprright::text, (t.oid IS NOT NULL)::text, t.name, NULL,
  NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_operator o
JOIN schema s ON s.oid = o.oprnamespace
LEFT JOIN tainted t ON t.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND t.oid = o.oid
UNION ALL
SELECT 'cast', c.castsource::text, c.casttarget::text, c.castcontext::text, i.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_cast c
JOIN tainted i ON i.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND i.oid = c.castfunc
UNION ALL
SELECT DISTINCT 'compares', v.type::text, i.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_amproc p
JOIN tainted i ON i.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND i.oid = p.amproc
CROSS JOIN LATERAL (VALUES (p.amproclefttype), (p.amprocrighttype)) AS v (type)
