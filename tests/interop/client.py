# SPDX-License-Identifier: MIT
"""The suite's side of a client process.

Each library has a small program in clients/ that opens one connection when it starts and then obeys lines on stdin, fields
parted by tabs:

    HOST PORT VERSION(3|4|5) ID CLEAN EXPIRY KEEPALIVE [WILL_TOPIC WILL_QOS WILL_RETAIN WILL_PAYLOAD]     its arguments
    subscribe FILTER QOS                                                       -> subscribed GRANTED
    unsubscribe FILTER                                                         -> unsubscribed
    publish TOPIC QOS RETAIN PAYLOAD [RESPONSE CORRELATION KEY VALUE]          -> published REASON (when acknowledged)
    disconnect                                                                 -> disconnected, and it ends

It says `connected SESSION_PRESENT REASON`, `lost`, `refused`, `failed`, and for what it receives
`message TOPIC QOS RETAIN PAYLOAD RESPONSE CORRELATION KEY VALUE`. The end of stdin ends it without a DISCONNECT.
"""
import collections
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DEADLINE_S = 20

Message = collections.namedtuple(
    "Message", "topic qos retain payload response correlation key value", defaults=("", "", "", ""))
Will = collections.namedtuple("Will", "topic qos retain payload")

V31, V311, V5 = 3, 4, 5


class Lines:
    """A process whose output is read as lines by a thread; waits have a deadline."""

    def __init__(self, command, env=None):
        self.command = command
        self.seen = []
        self.at = 0
        self.has_ended = False
        self.change = threading.Condition()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, bufsize=1, env=env)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.change:
                self.seen.append(line.rstrip("\n"))
                self.change.notify_all()
        with self.change:
            self.has_ended = True
            self.change.notify_all()

    def expect(self, wanted, deadline_s=DEADLINE_S, first=0):
        """The first line not before `first` that `wanted` likes, and its place."""
        until = time.monotonic() + deadline_s
        with self.change:
            while True:
                for at in range(first, len(self.seen)):
                    if wanted(self.seen[at]):
                        return self.seen[at], at
                left = until - time.monotonic()
                if left <= 0 or self.has_ended:
                    raise AssertionError(f"{'ended' if self.has_ended else 'no answer in time'}: {self.command}\n"
                                         + "\n".join(self.seen[-50:]))
                self.change.wait(left)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()

    def wait(self, deadline_s=DEADLINE_S):
        status = self.process.wait(deadline_s)
        self.kill()
        return status


class Library:
    """One of the programs in clients/."""

    def __init__(self, name, command, env=None):
        self.name = name
        self.command = command
        self.env = env

    def missing(self):
        return [w for w in self.command if os.path.isabs(w) and not os.path.exists(w)]


def libraries():
    binaries = os.environ.get("MQB_INTEROP_BIN", "")
    node = os.path.join(cache(), "node", "node_modules")
    found = [
        Library("libmosquitto", [os.path.join(binaries, "libmosquitto_client")]),
        Library("paho_c", [os.path.join(binaries, "paho_c_client")]),
        Library("paho_python", [sys.executable, os.path.join(HERE, "clients", "paho_python_client.py")]),
        Library("mqtt_js", ["node", os.path.join(HERE, "clients", "mqttjs_client.js")],
                dict(os.environ, NODE_PATH=node)),
    ]
    return {library.name: library for library in found}


def cache():
    return os.environ.get("MQB_INTEROP_CACHE", os.path.join(HERE, "..", "..", ".cache", "interop"))


class Client:
    """One connection of one library."""

    def __init__(self, library, broker, version, client_id, clean=True, expiry=0, keep_alive=60, will=None):
        arguments = [broker.host, broker.port, version, client_id, int(clean), expiry, keep_alive]
        if will:
            arguments += [will.topic, will.qos, int(will.retain), will.payload]
        self.lines = Lines(library.command + [str(a) for a in arguments], library.env)
        self.answers = 0
        self.messages_at = 0
        try:
            present, reason = self._answer("connected")[:2]
        except AssertionError:
            self.lines.kill()
            raise
        self.session_present = present == "1"
        assert reason == "0"

    def _answer(self, word):
        """Answers to commands come in the order of the commands; messages come in between."""
        line, at = self.lines.expect(lambda l: not l.startswith("message\t"), first=self.answers)
        self.answers = at + 1
        got, *rest = line.split("\t")
        assert got == word, f"{word} wanted, the client says: {line}"
        return rest

    def _say(self, *fields):
        self.lines.process.stdin.write("\t".join(str(f) for f in fields) + "\n")
        self.lines.process.stdin.flush()

    def subscribe(self, topic_filter, qos=0):
        self._say("subscribe", topic_filter, qos)
        assert self._answer("subscribed")[0] == str(qos)

    def unsubscribe(self, topic_filter):
        self._say("unsubscribe", topic_filter)
        self._answer("unsubscribed")

    def publish(self, topic, payload="", qos=0, retain=False, properties=()):
        self._say("publish", topic, qos, int(retain), payload, *properties)
        assert self._answer("published")[0] in ("0", "16")  # 16: no matching subscribers

    def message(self, deadline_s=DEADLINE_S):
        """The next one received."""
        line, at = self.lines.expect(lambda l: l.startswith("message\t"), deadline_s, self.messages_at)
        self.messages_at = at + 1
        _, topic, qos, retain, payload, *extra = line.split("\t")
        return Message(topic, int(qos), retain == "1", payload, *extra)

    def messages(self, count):
        return [self.message() for _ in range(count)]

    def disconnect(self):
        self._say("disconnect")
        self._answer("disconnected")
        assert self.lines.wait() == 0

    def kill(self):
        """The network connection ends without DISCONNECT."""
        self.lines.kill()
