# SPDX-License-Identifier: MIT
"""The brokers that are compared, each a process of its own on a free port of 127.0.0.1, started for one run and stopped after
it: so memory is that of the run, and none meets what another run left."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
from broker import Broker, BrokerError, free_port  # noqa: E402,F401


class Ours(Broker):
    name = "ours"

    def __init__(self, executable, settings=(), queue_all=False):
        settings = ["threads=1", *settings]
        if queue_all:
            settings += ["queue.max_messages=10000000", "queue.max_bytes=4g"]
        super().__init__(executable, settings)


class Peer(Broker):
    """Somebody else's broker: how it ends is not looked at."""

    def write_config(self, text):
        self.config = tempfile.NamedTemporaryFile("w", prefix="bench-", suffix=".conf")
        self.config.write(text)
        self.config.flush()
        return self.config.name

    def stop(self):
        if self.process.poll() is not None:
            raise BrokerError(f"{self.name} ended by itself, status {self.process.returncode}\n" + self.log_end(5))
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.kill()


class Mosquitto(Peer):
    name = "mosquitto"
    extra = ""

    def __init__(self, executable, queue_all=False):
        super().__init__(executable)
        self.queue_all = queue_all

    def command(self):
        text = f"listener {self.port} 127.0.0.1\nallow_anonymous true\n" + self.extra
        if self.queue_all:
            text += "max_queued_messages 0\n"
        return [self.executable, "-c", self.write_config(text)]


class MosquittoNoDelay(Mosquitto):
    name = "nodelay"
    extra = "set_tcp_nodelay true\n"


class Nats(Peer):
    name = "nats"

    def __init__(self, executable, queue_all=False):
        super().__init__(executable)
        self.store = tempfile.TemporaryDirectory(prefix="bench-nats-")

    def command(self):
        text = (f"server_name: bench\nlisten: 127.0.0.1:{free_port()}\n"
                f"jetstream {{ store_dir: \"{self.store.name}\" }}\n"
                f"mqtt {{ host: 127.0.0.1, port: {self.port} }}\n")
        return [self.executable, "-c", self.write_config(text)]
