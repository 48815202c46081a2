"""psycopg 3: enums and composites registered from the catalog, text and binary, written and read by key and over all keys."""

import enum
import sys

import psycopg
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum

KEYS = range(101, 131)


class Mood(enum.Enum):
    SAD = "sad"
    OK = "ok"
    HAPPY = "happy"


def main(port):
    with psycopg.connect(host="127.0.0.1", port=port, user="app", dbname="app", autocommit=True) as conn:
        register_enum(EnumInfo.fetch(conn, "mood"), conn, Mood, mapping={m: m.value for m in Mood})
        address = CompositeInfo.fetch(conn, "address")
        register_composite(address, conn)
        make = address.python_type
        for binary in (False, True):
            with conn.cursor(binary=binary) as cursor:
                for key in KEYS:
                    number = key + (1000 if binary else 0)
                    moods = [Mood.SAD, Mood.OK, Mood.HAPPY][: key % 4]
                    home = make(f"street {key}", key % 2 == 0, moods[-1] if moods else None)
                    cursor.execute(
                        "insert into people (id, moods, home, mood) values (%s, %s, %s, %s) returning id, mood",
                        (number, moods, home, Mood.OK),
                    )
                    print(cursor.fetchall())
                for key in KEYS:
                    cursor.execute("select id, moods, home, mood from people where id = %s", (key,), prepare=True)
                    print([column.name for column in cursor.description], cursor.fetchall())
                cursor.execute("select id, moods, home, past, mood from people where id > 100 order by id")
                for row in cursor:
                    print(row)
                cursor.execute("select moods, mood from people where id = %s and mood = %s", (105, Mood.OK))
                print(cursor.fetchall())
        with conn.pipeline(), conn.cursor(binary=True) as cursor:
            for key in (101, 102, 103, 104):
                cursor.execute("select home, moods from people where id = %s", (key,))
                print(cursor.fetchall())


main(int(sys.argv[1]))
