# SPDX-License-Identifier: MIT
"""Starts and stops the broker under test, a process of its own on 127.0.0.1. Needs nothing but Python.

As a program it runs another one against a fresh broker, with {host} and {port} put into its arguments:

    broker.py EXECUTABLE [--set KEY=VALUE]... -- PROGRAM ARG...

and fails when the program fails, or the broker dies, complains of a sanitizer's finding, or does not stop when told.
An executable named mosquitto is started in its own way: so the tests themselves can be tried against another broker.
"""
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

HOST = "127.0.0.1"
START_DEADLINE_S = 30
STOP_DEADLINE_S = 30
SANITIZER = re.compile(r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Assertion .* failed)")

MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
max_inflight_messages 0
"""


class BrokerError(Exception):
    """The broker did something that no test asked for; says what, and the end of its log."""


def free_port():
    """A port nobody listens on, below the range that outgoing connections take theirs from."""
    draw = random.SystemRandom()
    while True:
        port = draw.randint(20000, 32000)
        with socket.socket() as s:
            try:
                s.bind((HOST, port))
                return port
            except OSError:
                continue


class Broker:
    def __init__(self, executable, settings=()):
        self.executable = executable
        self.settings = list(settings)
        self.host = HOST
        self.port = 0
        self.process = None
        self.log = tempfile.NamedTemporaryFile(prefix="broker-", suffix=".log")
        self.config = None

    def command(self):
        if os.path.basename(self.executable) == "mosquitto":
            self.config = tempfile.NamedTemporaryFile("w", prefix="broker-", suffix=".conf")
            self.config.write(MOSQUITTO.format(port=self.port))
            self.config.flush()
            return [self.executable, "-c", self.config.name]
        sets = [word for s in self.settings for word in ("--set", s)]
        return [self.executable, "-p", str(self.port)] + sets

    def start(self):
        """Answers when the broker accepts connections; another process may be quicker to the port: then another port."""
        for _attempt in range(5):
            self.port = free_port()
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=self.log,
                                            stderr=subprocess.STDOUT)
            if self._accepts():
                return self
        raise BrokerError("the broker does not start\n" + self.log_end())

    def _accepts(self):
        deadline = time.monotonic() + START_DEADLINE_S
        while self.process.poll() is None:
            with socket.socket() as s:
                s.settimeout(1)
                if s.connect_ex((self.host, self.port)) == 0:
                    return True
            if time.monotonic() > deadline:
                self.kill()
                raise BrokerError("the broker does not accept connections\n" + self.log_end())
            time.sleep(0.02)
        return False

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        """SIGTERM, then looks at how it went."""
        if self.process.poll() is not None:
            raise BrokerError(f"the broker ended by itself, status {self.process.returncode}\n" + self.log_end())
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BrokerError("the broker does not stop\n" + self.log_end()) from None
        if status != 0 or SANITIZER.search(self.log_text()):
            raise BrokerError(f"the broker ended with status {status}\n" + self.log_end())

    def log_text(self):
        with open(self.log.name, errors="replace") as f:
            return f.read()

    def log_end(self, lines=120):
        return "\n".join(["--- end of the broker's log"] + self.log_text().splitlines()[-lines:])


def main(argv):
    split = argv.index("--")
    settings = [argv[i + 1] for i in range(1, split) if argv[i] == "--set"]
    broker = Broker(argv[0], settings).start()
    try:
        program = [w.format(host=broker.host, port=broker.port) for w in argv[split + 1:]]
        status = subprocess.run(program, stdin=subprocess.DEVNULL, check=False).returncode
        if status != 0:
            print(broker.log_end(), file=sys.stderr)
        broker.stop()
    except BrokerError as e:
        print(e, file=sys.stderr)
        status = 1
    finally:
        broker.kill()
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
