# SPDX-License-Identifier: MIT
"""The load tool: what it counts against a broker that loses, repeats and swaps messages, and that it finds nothing wrong
with ours.

    load_test.py LOAD MQTTBROKERD
"""
import json
import os
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
from broker import Broker  # noqa: E402

LOAD, BROKER = sys.argv[1:3]
DEADLINE_S = 30
FAULTS = ("lost", "duplicates", "disordered", "foreign", "refused", "protocol_errors", "disconnected",
          "failed_connects", "stalls")


def run_load(port, *arguments):
    command = [LOAD, *arguments[:1], "--port", str(port), *arguments[1:]]
    run = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)
    assert run.returncode == 0, f"{command}: {run.returncode}\n{run.stderr}"
    return json.loads(run.stdout)


def read_packet(stream):
    first = stream.read(1)
    if not first:
        return None, b""
    length = shift = 0
    while True:
        byte = stream.read(1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first[0], stream.read(length)


class BadBroker:
    """MQTT 3.1.1, QoS 0, one subscriber. Of ten messages it loses the third, repeats the fifth and swaps the last two."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.subscriber = None
        self.held = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _address = self.listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        stream = client.makefile("rb")
        try:
            while True:
                first, body = read_packet(stream)
                if first is None:
                    return
                self.answer(client, first, body)
        except OSError:
            return

    def answer(self, client, first, body):
        kind = first >> 4
        if kind == 1:
            client.sendall(b"\x20\x02\x00\x00")
        elif kind == 8:
            self.subscriber = client
            client.sendall(b"\x90\x03" + body[:2] + b"\x00")
        elif kind == 12:
            client.sendall(b"\xd0\x00")
        elif kind == 3:
            self.held.append(bytes([first, len(body)]) + body)
            if len(self.held) == 10:
                self.deliver()

    def deliver(self):
        m = self.held
        self.subscriber.sendall(b"".join([m[0], m[1], m[3], m[4], m[4], m[5], m[6], m[7], m[9], m[8]]))


def check_bad_broker():
    result = run_load(BadBroker().port, "fanout", "--subscribers", "1", "--count", "10", "--drain", "0.2")
    found = {name: result[name] for name in FAULTS}
    wanted = dict.fromkeys(FAULTS, 0)
    wanted.update(lost=1, duplicates=1, disordered=1)
    assert found == wanted, f"counted {found}"


RUNS = (
    "fanout --subscribers 10 --count 500",
    "fanin --publishers 10 --count 500 --version 5",
    "p2p --connections 10 --count 500 --qos 1 --sub-qos 1",
    "p2p --connections 10 --count 500 --qos 2 --sub-qos 2 --version 5",
    "p2p --connections 10 --seconds 0.1 --warmup 0.05 --rate 2000",
    "shared --count 500",
    "wildcard --filters 300 --matches 3 --count 500 --version 5",
    "retain --count 300 --subscribers 2",
    "offline --count 300 --qos 1 --sub-qos 1",
    "offline --count 300 --qos 2 --sub-qos 2 --version 5 --id five",
    "conn --connections 50 --subscribe 1 --hold 0",
)


def check_our_broker():
    broker = Broker(BROKER).start()
    try:
        for words in RUNS:
            result = run_load(broker.port, *words.split(), "--broker-pid", str(broker.process.pid))
            wrong = {name: result[name] for name in FAULTS if result[name] != 0}
            assert not wrong, f"{words}: {wrong}"
            assert "connections" in result or result["delivered"] > 0, f"{words}: {result}"
            assert result["rss_kb"] > 0 and result["calibration_after_us"] > 0, f"{words}: {result}"
        broker.stop()
    finally:
        broker.kill()


check_bad_broker()
check_our_broker()
print(f"1 bad broker and {len(RUNS)} runs")
