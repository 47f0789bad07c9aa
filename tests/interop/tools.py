# SPDX-License-Identifier: MIT
"""mosquitto_pub and mosquitto_sub as a person runs them, and a network that can go silent."""
import shutil
import socket
import subprocess
import threading

from client import DEADLINE_S, V5, V31, V311, Lines, Message

VERSION_NAMES = {V31: "mqttv31", V311: "mqttv311", V5: "mqttv5"}


def tool(name):
    path = shutil.which(name)
    assert path, f"{name} is not there: run scripts/deps"
    return path


def pub(broker, *arguments, version=V311):
    """mosquitto_pub; answers when the broker has all of it."""
    subprocess.run([tool("mosquitto_pub"), "-h", broker.host, "-p", str(broker.port), "-V", VERSION_NAMES[version], *arguments],
                   check=True, timeout=DEADLINE_S)


class Sub:
    """mosquitto_sub, subscribed when the constructor answers. It stays until stopped, or until `-C` is reached."""

    FORMAT = "message\t%t\t%q\t%r\t%p"

    def __init__(self, broker, *arguments, version=V311):
        self.lines = Lines([tool("stdbuf"), "-oL", tool("mosquitto_sub"), "-h", broker.host, "-p", str(broker.port),
                            "-V", VERSION_NAMES[version], "-d", "-F", self.FORMAT, *arguments])
        self.at = 0
        try:
            self.lines.expect(lambda l: l.startswith("Subscribed (mid"))
        except AssertionError:
            self.lines.kill()
            raise

    def message(self, deadline_s=DEADLINE_S):
        line, at = self.lines.expect(lambda l: l.startswith("message\t"), deadline_s, self.at)
        self.at = at + 1
        _, topic, qos, retain, payload = line.split("\t")
        return Message(topic, int(qos), retain == "1", payload)

    def messages(self, count):
        return [self.message() for _ in range(count)]

    def leave(self):
        """As control-C does it: with a DISCONNECT. The tool sends it in its signal handler and can lock itself up there."""
        self.lines.process.terminate()
        try:
            self.lines.process.wait(3)
        except subprocess.TimeoutExpired:
            pass
        self.lines.kill()

    def kill(self):
        self.lines.kill()


class Relay:
    """Passes bytes between one client and the broker until told to be silent: then it passes none, and closes nothing."""

    def __init__(self, broker):
        self.target = (broker.host, broker.port)
        self.is_silent = threading.Event()
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self.listener.getsockname()
        self.broker_has_closed = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            inner, _ = self.listener.accept()
        except OSError:
            return
        outer = socket.create_connection(self.target)
        self.sockets += [inner, outer]
        threading.Thread(target=self._pass, args=(inner, outer, None), daemon=True).start()
        self._pass(outer, inner, self.broker_has_closed)

    def _pass(self, source, sink, closed):
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            if not data:
                break
            if not self.is_silent.is_set():
                sink.sendall(data)
        if closed:
            closed.set()

    def close(self):
        for s in [self.listener, *self.sockets]:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
