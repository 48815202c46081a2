SELECT md5(string_agg(part, ',' ORDER BY number)) FROM (
  SELECT 1, count(*) || ' ' || coalesce(sum(hashint8extended((oid::int8 << 32) # xmin::text::int8, 1)::numeric), 0)
  FROM pg_class WHERE relpersistence <> 't'
  UNION ALL
  SELECT 2, count(*) || ' ' || coalesce(sum(hashint8extended((attrelid::int8 << 32) # (attnum::int8 << 48) # xmin::text::int8, 2)::numeric), 0)
  FROM pg_attribute
  WHERE attrelid >= 16384 AND attnum > 0 AND attrelid <> ALL (ARRAY(SELECT oid FROM pg_class WHERE relpersistence = 't'))
  UNION ALL
  SELECT 3, count(*) || ' ' || coalesce(sum(hashint8extended((oid::int8 << 32) # xmin::text::int8, 3)::numeric), 0)
  FROM (
    SELECT oid, xmin FROM pg_proc
    UNION ALL SELECT oid, xmin FROM pg_type WHERE oid >= 16384 AND typrelid = 0 AND typsubscript::oid <> 'array_subscript_handler'::regproc
    UNION ALL SELECT oid, xmin FROM pg_constraint
      WHERE conrelid <> ALL (ARRAY(SELECT oid FROM pg_class WHERE relpersistence = 't'))
    UNION ALL SELECT oid, xmin FROM pg_attrdef
      WHERE adrelid <> ALL (ARRAY(SELECT oid FROM pg_class WHERE relpersistence = 't'))
    UNION ALL SELECT oid, xmin FROM pg_trigger
      WHERE tgrelid <> ALL (ARRAY(SELECT oid FROM pg_class WHERE relpersistence = 't'))
    UNION ALL SELECT oid, xmin FROM pg_rewrite
      WHERE ev_class <> ALL (ARRAY(SELECT oid FROM pg_class WHERE relpersistence = 't'))
    UNION ALL SELECT indexrelid, xmin FROM pg_index
      WHERE indrelid <> ALL (ARRAY(SELECT oid FROM pg_class WHERE relpersistence = 't'))
    UNION ALL SELECT oid, xmin FROM pg_policy
    UNION ALL SELECT oid, xmin FROM pg_event_trigger
    UNION ALL SELECT oid, xmin FROM pg_amop WHERE oid >= 16384
    UNION ALL SELECT oid, xmin FROM pg_amproc WHERE oid >= 16384
    UNION ALL SELECT oid, xmin FROM pg_language
    UNION ALL SELECT oid, xmin FROM pg_enum
    UNION ALL SELECT oid, xmin FROM pg_operator WHERE oid >= 16384
    UNION ALL SELECT oid, xmin FROM pg_cast
    UNION ALL SELECT oid, xmin FROM pg_collation WHERE oid >= 16384
    UNION ALL SELECT oid, xmin FROM pg_namespace WHERE nspname !~ '^pg_'
    UNION ALL SELECT oid, xmin FROM pg_extension
    UNION ALL SELECT inhrelid, xmin FROM pg_inherits
    UNION ALL SELECT setrole, xmin FROM pg_db_role_setting
      WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  ) AS others
  UNION ALL
  SELECT 4, reset_val FROM pg_settings WHERE name = 'search_path'
  UNION ALL
  -- Views whose tables are so locked come without their definitions.
  SELECT 5, coalesce(string_agg(DISTINCT l.relation::text, ' '), '') FROM pg_locks l
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = l.relation AND d.classid = 'pg_rewrite'::regclass
  WHERE l.mode = 'AccessExclusiveLock' AND l.locktype = 'relation'
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS parts (number, part)
