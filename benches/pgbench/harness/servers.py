"""Throwaway servers, each in a folder of its own: Postgres, PgBouncer, the relay, Howdah."""

import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

PATIENCE = 60


class Missing(Exception):
    """Something is not on this machine."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def postgres_program(name):
    """A program of the newest Postgres that has a server here."""
    folders = os.environ.get("PATH", "").split(":")
    installed = glob.glob("/usr/lib/postgresql/*/bin") + glob.glob("/usr/pgsql-*/bin")
    folders += sorted(installed, key=lambda path: [int(n) for n in re.findall(r"\d+", path)], reverse=True)
    for folder in folders:
        if os.access(os.path.join(folder, "initdb"), os.X_OK) and os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    raise Missing(f"{name} was not found: install postgresql")


def account():
    """Who runs servers that refuse to run as root; None is ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Missing("no unprivileged user to run servers as")


class Bench:
    """A folder with everything that was started; all of it is gone when it ends."""

    def __init__(self, folder):
        self.folder, self.running, self.account = folder, [], account()
        # What a system under test is started under, such as a profiler, by its name.
        self.under = lambda name: []
        os.chmod(folder, 0o755)

    def make_folder(self, name, unprivileged=False):
        path = os.path.join(self.folder, name)
        os.mkdir(path, 0o755)
        if unprivileged and self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)
        return path

    def start(self, name, command, port, folder, unprivileged=False, environment=None):
        """Starts a program and waits until something accepts connections on `port`; gives its process id."""
        switch = {}
        if unprivileged and self.account:
            switch = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        log = os.path.join(folder, "log")
        with open(log, "ab") as output:
            child = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                                     env=dict(os.environ, **(environment or {})), **switch)
        self.running.append(child)
        deadline = time.monotonic() + PATIENCE
        while True:
            if child.poll() is not None or time.monotonic() > deadline:
                with open(log, errors="replace") as text:
                    raise RuntimeError(f"{name} did not start:\n{text.read()[-2000:]}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return child.pid
            except OSError:
                time.sleep(0.05)

    def stop(self):
        for child in reversed(self.running):
            if child.poll() is None:
                # A fast shutdown of Postgres, an end at once of the others.
                child.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 10
        for child in self.running:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.running.clear()


def start_postgres(bench, name):
    """A server that trusts this machine, with a user and a database `bench`; gives its port."""
    folder = bench.make_folder(name, unprivileged=True)
    data, port = os.path.join(folder, "data"), free_port()
    switch = {"user": bench.account.pw_uid, "group": bench.account.pw_gid} if bench.account else {}
    subprocess.run([postgres_program("initdb"), "-D", data, "-U", "bench", "-A", "trust", "-N", "-E", "UTF8",
                    "--locale=C"], check=True, capture_output=True, cwd=folder, **switch)
    settings = {
        "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off",
        "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "256MB", "max_connections": 300,
        "max_prepared_transactions": 300, "autovacuum": "off", "max_wal_size": "4GB", "ssl": "off",
    }
    command = [postgres_program("postgres"), "-D", data]
    for key, value in settings.items():
        command += ["-c", f"{key}={value}"]
    bench.start(name, command, port, folder, unprivileged=True)
    deadline = time.monotonic() + PATIENCE
    ready = [postgres_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ready, check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{name} is not ready after {PATIENCE} seconds")
        time.sleep(0.05)
    psql(port, "create database bench", database="postgres")
    return port


def psql(port, sql, database="bench"):
    done = subprocess.run([postgres_program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
                           str(port), "-U", "bench", "-d", database], input=sql, text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"psql: {done.stderr}")
    return done.stdout


def find_pgbouncer(bench):
    """PgBouncer's program and the environment it needs.

    Where it is not installed, Debian's package and the libraries it lacks are unpacked into the bench's own
    folder: so no service of the system is started, and nothing is left.
    """
    found = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found:
        return found, {}
    if not shutil.which("apt-get"):
        raise Missing("pgbouncer is not installed, and there is no apt-get")
    folder = bench.make_folder("packages", unprivileged=False)
    needed = ["pgbouncer"]
    listed = subprocess.run(["apt-cache", "depends", "pgbouncer"], capture_output=True, text=True).stdout
    for library in re.findall(r"Depends: (lib\S+)", listed):
        state = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", library], capture_output=True, text=True)
        if "install ok installed" not in state.stdout:
            needed.append(library)
    done = subprocess.run(["apt-get", "download", *needed], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise Missing(f"pgbouncer could not be downloaded (try apt-get update): {done.stderr.strip()[-300:]}")
    for package in glob.glob(os.path.join(folder, "*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    libraries = ":".join(glob.glob(os.path.join(folder, "usr/lib/*-linux-gnu*")))
    return os.path.join(folder, "usr/sbin/pgbouncer"), {"LD_LIBRARY_PATH": libraries}


def start_pgbouncer(bench, name, program, server_port, pooling, pool):
    path, environment = program
    folder, port = bench.make_folder(name, unprivileged=True), free_port()
    with open(os.path.join(folder, "users"), "w") as users:
        users.write('"bench" ""\n')
    with open(os.path.join(folder, "pgbouncer.ini"), "w") as file:
        file.write(f"""[databases]
bench = host=127.0.0.1 port={server_port} dbname=bench
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {pooling}
default_pool_size = {pool}
max_client_conn = 5000
log_connections = 0
log_disconnections = 0
ignore_startup_parameters = extra_float_digits
""")
    command = [path, os.path.join(folder, "pgbouncer.ini")]
    return port, bench.start(name, bench.under(name) + command, port, folder, unprivileged=True, environment=environment)


def start_relay(bench, program, server_port):
    folder, port = bench.make_folder("relay"), free_port()
    return port, bench.start("relay", [*bench.under("relay"), program, str(port), str(server_port)], port, folder)


def start_howdah(bench, name, program, server_ports, pool, rules=None):
    """Howdah over these servers; `rules` is the text of a file of sharding rules."""
    folder, port = bench.make_folder(name), free_port()
    text = f"""[general]
client_limit = 5000

[[listener]]
address = "127.0.0.1:{port}"

[[hba]]
type = "host"
method = "trust"

[[user]]
name = "bench"

[[cluster]]
name = "bench"
maintenance_user = "bench"
"""
    if rules:
        os.mkdir(os.path.join(folder, "rules"))
        with open(os.path.join(folder, "rules", "pgbench.toml"), "w") as file:
            file.write(rules)
        text += 'rules = "rules"\n'
    for number, server_port in enumerate(server_ports):
        text += f'\n[[cluster.shard]]\nname = "s{number}"\nprimary = "127.0.0.1:{server_port}"\n'
    text += f"\n[cluster.pool]\nsize = {pool}\n"
    with open(os.path.join(folder, "howdah.toml"), "w") as file:
        file.write(text)
    command = [*bench.under(name), program, "serve", "--config", os.path.join(folder, "howdah.toml")]
    return port, bench.start(name, command, port, folder)
