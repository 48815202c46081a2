"""The systems that are measured, started over the same tables."""

import os
import sys
import time

from . import servers
from .measure import Target

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", ".."))
SHARDS = 3
TABLE = """
create table pgbench_branches (bid int not null primary key, bbalance int, filler char(88));
create table pgbench_tellers (tid int not null primary key, bid int, tbalance int, filler char(84));
create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
create table pgbench_accounts (aid int not null primary key, bid int, abalance int, filler char(84));
insert into pgbench_accounts select aid, 1, 0, '' from generate_series(1, {rows}) aid where {place};
vacuum analyze pgbench_accounts;
"""


def say(text):
    print(time.strftime("%H:%M:%S ") + text, file=sys.stderr, flush=True)


def start(bench, options):
    """Every system that takes part, on data of its own kind."""
    has = lambda name: not options.systems or name in options.systems
    say("starting servers")
    port = servers.start_postgres(bench, "postgres")
    servers.psql(port, TABLE.format(rows=options.rows, place="true"))
    targets = []
    if has("direct"):
        targets.append(Target("direct", port))
    if has("relay"):
        targets.append(Target("relay", *servers.start_relay(bench, options.relay, port)))
    if has("pgbouncer"):
        try:
            program = servers.find_pgbouncer(bench)
            start_one = lambda mode, pool: servers.start_pgbouncer(bench, f"pgbouncer-{mode}", program, port, mode, pool)
            targets.append(Target("pgbouncer", *start_one("transaction", options.pool), ("simple", "extended")))
            # 1.18 knows no prepared statements in transaction pooling; in session pooling each client has its
            # connection to the end, so that there must be as many.
            pool = max(options.pool, *options.clients)
            targets.append(Target("pgbouncer-session", *start_one("session", pool), ("prepared",)))
        except servers.Missing as missing:
            say(f"without PgBouncer: {missing}")
    if has("howdah"):
        started = servers.start_howdah(bench, "howdah", options.howdah, [port], options.pool)
        targets.append(Target("howdah", *started))
    if has("howdah-sharded"):
        ports = [servers.start_postgres(bench, f"shard-{number}") for number in range(SHARDS)]
        for number, shard_port in enumerate(ports):
            # The bucket map's default: each row where Howdah looks for it, by Postgres's own hash.
            place = f"(hashint8extended(aid, 0) & 4095) * {SHARDS} / 4096 = {number}"
            servers.psql(shard_port, TABLE.format(rows=options.rows, place=place))
        with open(os.path.join(ROOT, "sharding-rules", "pgbench.toml")) as file:
            rules = file.read()
        started = servers.start_howdah(bench, "howdah-sharded", options.howdah, ports, options.pool, rules)
        targets.append(Target("howdah-sharded", *started))
    return targets
