"""Steps of a client program: each prints its name and what came out, so that two runs can be compared."""

import sys


def port():
    """The server's port: the program's only argument."""
    return int(sys.argv[1])


def show(name, value):
    """Prints one step's result on a line of its own."""
    print(f"{name}: {value!r}", flush=True)


def error(name, exception):
    """Prints a server's error: its SQLSTATE and first line."""
    origin = exception
    while getattr(origin, "sqlstate", None) is None:
        origin = getattr(origin, "orig", None) or origin.__cause__
        if origin is None:
            break
    text = str(exception).splitlines()[0]
    print(f"{name}: {getattr(origin, 'sqlstate', None)} {text}", flush=True)
