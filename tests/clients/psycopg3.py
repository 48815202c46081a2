"""psycopg 3: parameters, formats, pipelines, server-side cursors, COPY, notifications, two-phase errors."""

import datetime
import decimal
import uuid

import psycopg
from psycopg.rows import dict_row

from steps import error, port, show

DSN = f"host=127.0.0.1 port={port()} user=app dbname=app sslmode=disable"


def values(connection):
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        row = cursor.execute(
            "select %s::int, %s::text, %s::numeric, %s::timestamptz, %s::uuid, %s::bytea, %s::jsonb, %s::int[], %s::bool, %s::float8, %s::date, %s",
            (
                42,
                "häßlich",
                decimal.Decimal("1.10"),
                datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc),
                uuid.UUID(int=7),
                b"\x00\xff",
                psycopg.types.json.Jsonb({"a": [1, None]}),
                [1, None, 3],
                True,
                1.5,
                datetime.date(2024, 2, 29),
                None,
            ),
        ).fetchone()
        show(f"values binary={binary}", row)
    rows = connection.execute("select id, name, price, made, tags from item order by id limit 5").fetchall()
    show("rows", rows)
    show("description", [(c.name, c.type_code) for c in connection.execute("select id, name from item limit 0").description])
    with connection.cursor(row_factory=dict_row) as cursor:
        show("dict", cursor.execute("select 1 as a, 'x' as b").fetchone())


def writes(connection):
    connection.execute("create table if not exists py_item (id serial primary key, name text unique, n int)")
    connection.execute("truncate py_item restart identity")
    connection.commit()
    with connection.cursor() as cursor:
        cursor.executemany("insert into py_item (name, n) values (%s, %s)", [(f"n{i}", i) for i in range(50)])
        show("executemany", cursor.rowcount)
        cursor.executemany("insert into py_item (name, n) values (%s, %s) returning id", [("r1", 1), ("r2", 2)], returning=True)
        ids = []
        while True:
            ids.append(cursor.fetchone())
            if not cursor.nextset():
                break
        show("returning", ids)
    connection.commit()
    try:
        connection.execute("insert into py_item (name) values ('n1')")
    except psycopg.Error as exception:
        error("unique", exception)
    try:
        connection.execute("select 1")
    except psycopg.Error as exception:
        error("failed transaction", exception)
    connection.rollback()
    with connection.transaction():
        connection.execute("update py_item set n = n + 1 where id = 1")
        try:
            with connection.transaction():
                connection.execute("select 1/0")
        except psycopg.Error as exception:
            error("savepoint", exception)
    show("after savepoint", connection.execute("select n from py_item where id = 1").fetchone())
    connection.commit()


def prepared(connection):
    for number in range(12):
        connection.execute("select name from item where id = %s", (number + 1,), prepare=number > 3).fetchone()
    show("prepared", [connection.execute("select name from item where id = %s", (i,)).fetchone() for i in (1, 50, 101)])
    connection.commit()
    show("prepared later", connection.execute("select name from item where id = %s", (7,)).fetchone())
    connection.commit()


def pipeline(connection):
    with connection.pipeline() as pipe:
        first = connection.execute("select 1")
        second = connection.execute("select generate_series(1, 5)")
        third = connection.execute("select name from item where id = %s", (3,))
        pipe.sync()
        show("pipeline", [first.fetchall(), second.fetchall(), third.fetchall()])
    connection.commit()
    try:
        with connection.pipeline():
            connection.execute("insert into py_item (name) values ('piped')")
            connection.execute("select 1/0")
            connection.execute("select 3")
    except psycopg.Error as exception:
        error("pipeline error", exception)
    connection.rollback()
    show("pipeline undone", connection.execute("select count(*) from py_item where name = 'piped'").fetchone())
    connection.commit()


def cursors(connection):
    with connection.cursor(name="server") as cursor:
        cursor.itersize = 7
        cursor.execute("select id from item order by id")
        show("server-side cursor", [row[0] for row in cursor][-3:])
    with connection.cursor(name="scrolling", scrollable=True) as cursor:
        cursor.execute("select id from item order by id")
        cursor.scroll(10)
        show("scrolled", cursor.fetchmany(3))
        cursor.scroll(0, mode="absolute")
        show("scrolled back", cursor.fetchone())
    connection.commit()
    with connection.cursor(name="held", withhold=True) as cursor:
        cursor.execute("select id from item order by id")
        connection.commit()
        show("with hold", cursor.fetchmany(2))
    connection.commit()
    show("stream", sum(row[0] for row in connection.cursor().stream("select id from item")))
    connection.commit()


def copies(connection):
    connection.execute("create temp table py_copy (id int, note text)")
    with connection.cursor() as cursor:
        with cursor.copy("copy py_copy from stdin") as copy:
            for number in range(1000):
                copy.write_row((number, f"tab\t{number}" if number % 2 else None))
        with cursor.copy("copy py_copy from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            copy.write_row((1000, "binary"))
        show("copy in", cursor.execute("select count(*), count(note), max(id) from py_copy").fetchone())
        with cursor.copy("copy (select * from py_copy order by id limit 3) to stdout") as copy:
            show("copy out", list(copy.rows()))
        connection.commit()
        try:
            with cursor.copy("copy py_copy from stdin") as copy:
                copy.write("x\ty\n")
        except psycopg.Error as exception:
            error("copy error", exception)
        connection.rollback()
        try:
            with cursor.copy("copy py_copy from stdin") as copy:
                copy.write("1\ty\n")
                raise RuntimeError("stop")
        except (psycopg.Error, RuntimeError) as exception:
            show("copy stopped", type(exception).__name__)
        connection.rollback()
        show("copy count", cursor.execute("select count(*) from py_copy").fetchone())
    connection.commit()


def session():
    with psycopg.connect(DSN, autocommit=True, options="-c work_mem=7MB", application_name="py") as connection:
        show("options", connection.execute("show work_mem").fetchone())
        connection.execute("set timezone to 'Asia/Tokyo'")
        show("timezone", connection.execute("select '2024-01-01 00:00+00'::timestamptz").fetchone()[0].isoformat())
        show("parameter status", connection.info.parameter_status("TimeZone"))
        notices = []
        connection.add_notice_handler(lambda diag: notices.append((diag.severity, diag.message_primary)))
        connection.execute("select shout('x')")
        show("notices", notices)
        connection.execute("listen py_news")
        connection.execute("select pg_notify('py_news', 'hello')")
        for notification in connection.notifies(timeout=5, stop_after=1):
            show("notification", (notification.channel, notification.payload))
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        with connection.transaction():
            show("isolation", connection.execute("show transaction_isolation").fetchone())


with psycopg.connect(DSN) as main:
    for part in (values, writes, prepared, pipeline, cursors, copies):
        part(main)
    main.execute("drop table py_item")
session()
