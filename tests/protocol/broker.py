# SPDX-License-Identifier: MIT
"""Starts the broker under test, and gives tests their benches (clients with names of their own)."""

import itertools
import signal
import socket
import subprocess
import threading
import time

from client import DEADLINE, Client


class Broker:
    """One running mqttbrokerd on 127.0.0.1, with `--set key=value` for every setting."""

    def __init__(self, program, settings, log_path):
        self.program, self.settings, self.log_path = program, settings, log_path
        self.process = None
        self.address = None

    def start(self):
        for _ in range(5):  # the port found free may be taken by another process in between
            self.address = ("127.0.0.1", free_port())
            with open(self.log_path, "ab") as log:
                self.process = subprocess.Popen(
                    self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            if self._is_ready():
                return self
            self.stop()
        raise AssertionError(f"{self.command()} does not start:\n{self.log()}")

    def command(self):
        sets = [
            text for key, value in self.settings.items() for text in ("--set", f"{key}={value}")
        ]
        return [self.program, "-p", str(self.address[1]), *sets]

    def _is_ready(self):
        until = time.monotonic() + 2 * DEADLINE
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection(self.address, timeout=DEADLINE).close()
                return True
            except OSError:
                time.sleep(0.01)  # between two tries of the connection we wait for
        return False

    def is_running(self):
        return self.process.poll() is None

    def stop(self):
        """SIGTERM, and SIGKILL past the deadline; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(2 * DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()[-4000:]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Bench:
    """Clients of one protocol version at one broker; ids and topics begin with a prefix of the
    test's own."""

    _numbers = itertools.count(1)

    def __init__(self, broker, version):
        self.broker, self.version = broker, version
        self.prefix = f"t{next(Bench._numbers):04d}"
        self.counter = itertools.count(1)
        self.clients = []
        self.lock = threading.Lock()
        self._publisher = None

    def id(self, name):
        return self.prefix + name

    def topic(self, rest):
        return f"{self.prefix}/{rest}"

    def marker(self):
        """A topic of its own, outside the prefix, so that the test's filters do not match it."""
        return f"marker-{self.prefix}/{next(self.counter)}"

    def open(self, version=None):
        """A connection without CONNECT."""
        client = Client(self.broker.address, version or self.version, self)
        with self.lock:
            self.clients.append(client)
        return client

    def connect(self, name=None, version=None, raw_id=None, **options):
        """An accepted connection with the client id `name` (made unique), or exactly `raw_id`."""
        client = self.open(version)
        if raw_id is None:
            raw_id = self.id(name or f"x{next(self.counter)}")
        client.handshake(client_id=raw_id, **options)
        assert client.connack.code == 0, f"CONNECT refused: {client.connack}"
        return client

    def refused(self, packet, *codes, version=None):
        """Sends a CONNECT that must be answered by CONNACK with one of the codes and the end."""
        client = self.open(version)
        client.send(packet)
        connack = client.recv()
        assert connack.type.name == "CONNACK" and connack.code in codes, f"{codes}: {connack}"
        client.expect_eof()
        return connack

    def publisher(self):
        """A client for what only has to be published."""
        if self._publisher is None:
            self._publisher = self.connect("pub")
        return self._publisher

    def close(self):
        for client in self.clients:
            client.close()
