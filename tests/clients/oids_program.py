"""Enums, arrays and composites of users, in binary, over shards on which their types have other OIDs."""

import asyncio

import asyncpg
import psycopg
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.range import RangeInfo, register_range

from steps import error, port, show

ADDRESS = {"host": "127.0.0.1", "port": port(), "user": "app", "database": "app", "ssl": False}
DSN = f"host=127.0.0.1 port={port()} user=app dbname=app sslmode=disable"
KEYS = range(1, 13)
COLUMNS = "id, feeling, feelings, spot, spots, route, stay"


async def by_asyncpg(cache):
    connection = await asyncpg.connect(**ADDRESS, statement_cache_size=cache)
    insert = f"insert into visit ({COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7)"
    stay = asyncpg.Range((1, "calm"), (5, "wild"))
    for key in KEYS:
        feelings = ["calm", None, "wild"][: key % 4]
        spots = [(key, "wild"), (key + 1, None)]
        await connection.execute(insert, key, "wild", feelings, (key, "calm"), spots, spots, None if key % 2 else stay)
    for key in KEYS:
        show(f"row {key}", tuple(await connection.fetchrow(f"select {COLUMNS} from visit where id = $1", key)))
    rows = await connection.fetch(f"select {COLUMNS} from visit order by id")
    show("all", [tuple(row) for row in rows])
    show("by enums", [r["id"] for r in await connection.fetch("select id from visit where feeling = any($1::feeling[]) order by id", ["wild"])])
    for key in KEYS:
        show(f"by composite {key}", await connection.fetchval("select id from visit where id = $1 and spot = $2::spot", key, (key, "calm")))
        show(f"record {key}", tuple(await connection.fetchval("select row(feelings, spots) from visit where id = $1", key)))
        show(f"whole row {key}", tuple(await connection.fetchval("select visit from visit where id = $1", key)))
    async with connection.transaction():
        cursor = await connection.cursor("select spots, feeling from visit where id = 3")
        show("cursor", [tuple(row) for row in await cursor.fetch(5)])
    types = await connection.prepare("select feelings, spot from visit where id = $1 and feeling = $2")
    show("attributes", [(a.name, a.type.name, a.type.schema) for a in types.get_attributes()])
    show("parameters", [t.name for t in types.get_parameters()])
    show("prepared", [await types.fetchrow(key, "wild") is not None for key in KEYS])
    try:
        await connection.fetch("select $1::feeling from visit where id = 1", "nothing")
    except asyncpg.PostgresError as exception:
        error("no such label", exception)
    show("deleted", [await connection.execute("delete from visit where id = $1", key) for key in KEYS])
    await connection.close()


def by_psycopg():
    connection = psycopg.connect(DSN, autocommit=True)
    register_enum(EnumInfo.fetch(connection, "feeling"), connection)
    register_composite(CompositeInfo.fetch(connection, "spot"), connection)
    register_range(RangeInfo.fetch(connection, "stay"), connection)
    spot = CompositeInfo.fetch(connection, "spot")
    show("types", (spot.field_names,))
    for prepare in (False, True):
        for key in KEYS:
            connection.execute(
                "insert into visit (id, feeling, feelings, spot, spots) values (%s, 'wild', array['calm', null]::feeling[], row(%s, 'calm'), array[row(%s, 'wild')::spot])",
                (key, key, key),
                prepare=prepare,
            )
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            for key in KEYS:
                sql = f"select {COLUMNS} from visit where id = %s"
                show(f"row {key} {binary}", cursor.execute(sql, (key,), prepare=prepare).fetchone())
            show(f"all {binary}", cursor.execute(f"select {COLUMNS} from visit order by id", prepare=prepare).fetchall())
            row = cursor.execute("select spot from visit where id = 5", prepare=prepare).fetchone()[0]
            sql = "select id from visit where id = 5 and spot = %b and %b = any(feelings)"
            feeling = cursor.execute("select feelings[1] from visit where id = 5").fetchone()[0]
            show(f"parameters {binary}", cursor.execute(sql, (row, feeling), prepare=prepare).fetchall())
        with connection.pipeline():
            cursors = [connection.execute("select spots from visit where id = %s", (key,), binary=True) for key in KEYS]
        show("pipeline", [cursor.fetchall() for cursor in cursors])
        for key in KEYS:
            connection.execute("delete from visit where id = %s", (key,), prepare=prepare)


for cache in (100, 0):
    asyncio.run(by_asyncpg(cache))
by_psycopg()
