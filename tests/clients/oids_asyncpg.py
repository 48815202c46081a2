"""asyncpg, whose values are all binary: enums, composites and their arrays, written and read by key and over all keys."""

import asyncio
import sys

import asyncpg

KEYS = range(1, 41)


def person(key):
    moods = ["sad", "ok", "happy"][: key % 4]
    home = (f"street {key}", key % 2 == 0, moods[0] if moods else None)
    past = [(f"old {key}.{n}", True, "ok") for n in range(key % 3)]
    return key, moods, home, past, "happy" if key % 2 else None


async def main(port):
    conn = await asyncpg.connect(host="127.0.0.1", port=port, user="app", database="app", ssl=False)
    insert = "insert into people (id, moods, home, past, mood) values ($1, $2, $3, $4, $5)"
    for key in KEYS:
        print(await conn.execute(insert, *person(key)))
    by_key = await conn.prepare("select * from people where id = $1")
    print([(p.name, p.kind) for p in by_key.get_parameters()])
    print([(a.name, a.type.name, a.type.schema, a.type.kind) for a in by_key.get_attributes()])
    for key in KEYS:
        row = await by_key.fetchrow(key)
        print(tuple(row))
        home = row["home"]
        print(home["street"], home["is_let"], home["feels"])
    for key in (1, 2, 3):
        found = await conn.fetchrow("select home, past, $2::mood[] as given from people where id = $1", key, ["sad", None])
        print(tuple(found))
        found = await conn.fetchrow("select row(id, mood, moods, home) from people where id = $1", key)
        print(tuple(found))
        found = await conn.fetchval("select count(*) from people where id = $1 and moods @> $2::mood[]", key, ["ok"])
        print(found)
    for row in await conn.fetch("select id, moods, home, past, mood from people order by id"):
        print(tuple(row))
    for row in await conn.fetch("select id, spans, weekday from people where id = any($1::int8[]) order by id", [1, 2, 3, 4]):
        print(tuple(row))
    async with conn.transaction():
        print(await conn.execute("update people set home = $2, moods = $3 where id = $1", 7, ("moved", None, "sad"), ["sad"]))
        print(tuple(await conn.fetchrow("select * from people where id = 7")))
        async for row in conn.cursor("select past, moods from people where id = 8", prefetch=1):
            print(tuple(row))
    stmt = await conn.prepare("select mood from people where mood = $1 and id = $2")
    print(await stmt.fetch("happy", 9), await stmt.fetch("sad", 9))
    await conn.close()


asyncio.run(main(int(sys.argv[1])))
