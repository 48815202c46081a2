"""What is measured: throughput, latency, CPU, instructions, memory."""

import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from . import wire
from .servers import postgres_program

EVENTS = ("instructions:u", "instructions:k")
SELECT = "\\set aid random(1, :rows)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n"


class Target:
    """A system under test; `pid` is the process whose cost counts, or None."""

    def __init__(self, name, port, pid=None, protocols=("simple", "extended", "prepared")):
        self.name, self.port, self.pid, self.protocols = name, port, pid, protocols


def cpu_ns(pid):
    """CPU time of all threads of a process."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        try:
            with open(path) as file:
                total += int(file.read().split()[0])
        except OSError:
            continue
    return total


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


class Instructions:
    """Counts instructions of a process while the block runs; nothing where `perf` is not there or not allowed."""

    def __init__(self, pid):
        self.pid, self.child, self.counted = pid, None, {}

    def __enter__(self):
        if self.pid and shutil.which("perf"):
            self.output = tempfile.NamedTemporaryFile("r", suffix=".perf")
            command = ["perf", "stat", "-x", ",", "-o", self.output.name, "-e", ",".join(EVENTS), "-p", str(self.pid)]
            self.child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.3)
        return self

    def __exit__(self, *_):
        if self.child:
            self.child.send_signal(signal.SIGINT)
            self.child.wait()
            for line in self.output:
                fields = line.split(",")
                if len(fields) > 2 and fields[2] in EVENTS and fields[0].isdigit():
                    self.counted[fields[2]] = int(fields[0])
            self.output.close()


def pgbench(port, clients, protocol, seconds, rows, connect_each=False, transactions=None):
    """One run of point selects: transactions, tps, p50_us, p99_us, and an error where there was one.

    It takes `seconds`, or else each client does so many `transactions`.
    """
    with tempfile.TemporaryDirectory(prefix="howdah-bench-run") as folder:
        script = os.path.join(folder, "select.sql")
        with open(script, "w") as file:
            file.write(SELECT)
        length = ["-t", str(transactions)] if transactions else ["-T", str(seconds)]
        command = [postgres_program("pgbench"), "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-n", "-c",
                   str(clients), "-j", str(min(clients, 2)), *length, "-M", protocol, "-f", script, "-D",
                   f"rows={rows}", "--log", f"--log-prefix={folder}/log", "--sampling-rate=0.2"]
        command += ["-C"] if connect_each else []
        environment = dict(os.environ, PGSSLMODE="disable", PGGSSENCMODE="disable", PGCONNECT_TIMEOUT="10")
        try:
            done = subprocess.run([*command, "bench"], capture_output=True, text=True, timeout=(seconds or 600) + 60,
                                  env=environment)
        except subprocess.TimeoutExpired:
            return {"error": "pgbench did not end"}
        latencies = []
        for path in glob.glob(f"{folder}/log*"):
            with open(path) as file:
                latencies += [int(line.split(" ", 3)[2]) for line in file]
    latencies.sort()
    at = lambda share: latencies[min(len(latencies) - 1, int(share * len(latencies)))] if latencies else None
    number = lambda pattern: next((float(text) for text in re.findall(pattern, done.stdout)), None)
    problem = re.search(r".*(?:error|abort).*", done.stderr)
    return {
        "transactions": number(r"actually processed: (\d+)"), "tps": number(r"tps = ([\d.]+)"), "p50_us": at(0.5),
        "p99_us": at(0.99),
        "error": problem.group(0)[:200] if problem else None if done.returncode == 0 else done.stderr[-200:],
    }


def throughput(target, clients, protocol, seconds, rows, connect_each=False):
    """A run, with the target's CPU per transaction."""
    before = cpu_ns(target.pid) if target.pid else 0
    result = pgbench(target.port, clients, protocol, seconds, rows, connect_each)
    if target.pid and result.get("transactions"):
        result["cpu_us"] = (cpu_ns(target.pid) - before) / 1000 / result["transactions"]
    return result


def instructions(target, clients, protocol, seconds, rows):
    """Instructions per transaction, user and kernel; a run of its own, since counting costs time."""
    with Instructions(target.pid) as counter:
        result = pgbench(target.port, clients, protocol, seconds, rows)
    if not result.get("transactions"):
        return {}
    names = zip(("instructions_user", "instructions_kernel"), EVENTS)
    return {name: counter.counted[event] / result["transactions"] for name, event in names if event in counter.counted}


def idle_memory(target, count):
    """KiB per idle client after login, after one query each, and what is left after all have closed."""
    before, clients = rss_kib(target.pid), []
    try:
        for _ in range(count):
            clients.append(wire.Connection(target.port))
        time.sleep(0.5)
        logged_in = rss_kib(target.pid)
        for client in clients:
            client.query("SELECT abalance FROM pgbench_accounts WHERE aid = 1")
        time.sleep(0.5)
        queried = rss_kib(target.pid)
    finally:
        for client in clients:
            client.close()
    time.sleep(3)
    closed = rss_kib(target.pid)
    return {"clients": count, "before_kib": before, "login_kib_each": (logged_in - before) / count,
            "query_kib_each": (queried - before) / count, "closed_kib_more": closed - before}


def streaming(target, rows, repeats):
    """CPU seconds per GB of one client's large result, its speed, and how far memory grew."""
    client = wire.Connection(target.port)
    client.query("SELECT 1")
    memory = rss_kib(target.pid) if target.pid else 0
    before, began, total = cpu_ns(target.pid) if target.pid else 0, time.monotonic(), 0
    for _ in range(repeats):
        total += client.query(f"SELECT * FROM pgbench_accounts LIMIT {rows}")
    took = time.monotonic() - began
    result = {"bytes": total, "mb_per_second": total / 1e6 / took}
    if target.pid:
        result["cpu_seconds_per_gb"] = (cpu_ns(target.pid) - before) / total
        result["memory_grown_kib"] = rss_kib(target.pid) - memory
    client.close()
    return result
