"""As much of a Postgres client as the measurements need: log in without a password, one simple query."""

import socket
import struct

READY = b"Z\0\0\0\5"


class Connection:
    """A session that reads answers whole and parses nothing but their end."""

    def __init__(self, port, user="bench", database="bench"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pairs = f"user\0{user}\0database\0{database}\0\0".encode()
        self.socket.sendall(struct.pack("!II", len(pairs) + 8, 3 << 16) + pairs)
        self.buffer = bytearray(1 << 18)
        self._until_ready()

    def _until_ready(self):
        """Reads up to ReadyForQuery outside a transaction; gives the number of bytes."""
        total, tail, first = 0, b"", b""
        while not (tail[-6:-1] == READY and tail[-1:] in b"ITE"):
            count = self.socket.recv_into(self.buffer)
            if count == 0:
                raise ConnectionError(f"the server ended the connection: {first[:200]!r}")
            first = first or bytes(self.buffer[:200])
            if first[:1] == b"E":
                raise ConnectionError(f"the server answered: {first!r}")
            total += count
            tail = (tail + bytes(self.buffer[max(0, count - 6):count]))[-6:]
        return total

    def query(self, sql):
        """Runs a statement; gives the number of bytes of its answer."""
        text = sql.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!I", len(text) + 4) + text)
        return self._until_ready()

    def close(self):
        try:
            self.socket.sendall(b"X\0\0\0\4")
        except OSError:
            pass
        self.socket.close()
