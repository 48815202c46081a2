"""asyncpg: binary everything, its own prepared statements, cursors, COPY, a pool of its own."""

import asyncio
import datetime
import decimal

import asyncpg

from steps import error, port, show

ADDRESS = {"host": "127.0.0.1", "port": port(), "user": "app", "database": "app", "ssl": False}


async def main():
    connection = await asyncpg.connect(**ADDRESS)
    show("value", await connection.fetchval("select $1::int + 1", 41))
    row = await connection.fetchrow(
        "select $1::text as a, $2::numeric as b, $3::timestamptz as c, $4::int[] as d, $5::jsonb as e, $6::mood as f, $7::pair as g",
        "ü",
        decimal.Decimal("1.10"),
        datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc),
        [1, None],
        '{"a": 1}',
        "ok",
        (1, "x"),
    )
    show("row", dict(row))
    show("rows", [tuple(r) for r in await connection.fetch("select id, name, price from item order by id limit 5")])
    statement = await connection.prepare("select name from item where id = $1")
    show("attributes", [(a.name, a.type.name) for a in statement.get_attributes()])
    show("parameters", [t.name for t in statement.get_parameters()])
    show("prepared", [await statement.fetchval(i) for i in (1, 2, 3)])
    async with connection.transaction():
        show("cursor", [r["id"] async for r in connection.cursor("select id from item order by id", prefetch=7)][-2:])
        cursor = await connection.cursor("select id from item order by id")
        await cursor.forward(5)
        show("forward", [r["id"] for r in await cursor.fetch(3)])
    await connection.execute("create table if not exists apg (id int primary key, note text); truncate apg")
    await connection.executemany("insert into apg values ($1, $2)", [(i, f"n{i}") for i in range(100)])
    show("executemany", await connection.fetchval("select count(*) from apg"))
    show("status", await connection.execute("update apg set note = 'x' where id < 10"))
    for name, sql, values in (
        ("unique", "insert into apg values ($1, 'x')", (1,)),
        ("division", "select 1 / $1::int", (0,)),
        ("syntax", "selec", ()),
    ):
        try:
            await connection.fetch(sql, *values)
        except asyncpg.PostgresError as exception:
            error(name, exception)
    try:
        await connection.executemany("insert into apg values ($1, 'y')", [(200,), (1,)])
    except asyncpg.PostgresError as exception:
        error("executemany error", exception)
    show("executemany undone", await connection.fetchval("select count(*) from apg"))
    try:
        async with connection.transaction():
            await connection.execute("insert into apg values (300, 'x')")
            async with connection.transaction():
                await connection.execute("insert into apg values (301, 'x')")
            raise RuntimeError("roll back")
    except RuntimeError:
        show("rolled back", await connection.fetchval("select count(*) from apg where id >= 300"))
    show("copy in", await connection.copy_records_to_table("apg", records=[(i, None) for i in range(400, 500)]))
    chunks = []

    async def collect(data):
        chunks.append(data)

    show("copy out", await connection.copy_from_query("select * from apg where id < 3 order by id", output=collect))
    show("copied", b"".join(chunks))
    await connection.execute("alter table apg add column if not exists extra int default 5")
    show("after alter", [tuple(r) for r in await connection.fetch("select * from apg where id = 1")])
    heard = asyncio.Queue()
    await connection.add_listener("apg_news", lambda _c, _p, channel, payload: heard.put_nowait((channel, payload)))
    await connection.execute("notify apg_news, 'hello'")
    show("notification", await asyncio.wait_for(heard.get(), 5))
    await connection.set_type_codec("jsonb", encoder=str, decoder=lambda v: ("decoded", v), schema="pg_catalog")
    show("codec", await connection.fetchval("select '{}'::jsonb"))
    try:
        await connection.fetch("select pg_sleep(10)", timeout=0.2)
    except asyncio.TimeoutError:
        show("timeout", "cancelled")
    show("after timeout", await connection.fetchval("select 1"))
    await connection.execute("drop table apg")
    await connection.reset()
    await connection.close()
    async with asyncpg.create_pool(min_size=5, max_size=10, **ADDRESS) as pool:
        results = await asyncio.gather(*(pool.fetchval("select $1::int * 2", i) for i in range(200)))
        show("pool", results == [i * 2 for i in range(200)])


asyncio.run(main())
