# SPDX-License-Identifier: MIT
"""A test's client: one socket, packets in and out, always with a deadline.

It also watches the server all the time: no packet larger than the announced maximum, no more
unacknowledged PUBLISHes than the Receive Maximum, no packet identifier given out twice, no topic
alias that was not announced, nothing after a DISCONNECT.
"""

import collections
import os
import select
import socket
import time

import mqtt
from mqtt import T

SLOWNESS = float(os.environ.get("MQB_TEST_SLOWNESS", "1"))
DEADLINE = 5.0 * SLOWNESS  # for what must come
LATE = 2.0 * SLOWNESS  # by how much what is due at a certain time may come later


class Closed(AssertionError):
    """The server closed the connection where a packet was expected."""


class Client:
    """A connection. `options` are what CONNECT was made from, for reconnect()."""

    def __init__(self, address, version=5, bench=None):
        self.version, self.bench, self.address = version, bench, address
        self.socket = socket.create_connection(address, timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.held = collections.deque()  # packets read while waiting for another one
        self.last_pid = 0
        self.in_flight = {}  # server's packet identifier -> qos, not yet acknowledged by us
        self.aliases = {}
        self.alias_max = 0
        self.receive_maximum = 65535
        self.maximum_packet_size = 2**32
        self.ended = False  # a DISCONNECT from the server was seen
        self.options = {}
        self.connack = None
        self.marker = None

    # ---- bytes and packets

    def send(self, *packets):
        self.socket.sendall(b"".join(packets))

    def close(self):
        self.socket.close()

    def recv(self, timeout=None):
        """The next packet; Closed if the server closed instead."""
        if self.held:
            return self.held.popleft()
        return self._read(timeout)

    def recv_bytes(self, count):
        """The first bytes of what comes next; they stay where they are."""
        until = time.monotonic() + DEADLINE
        while len(self.buffer) < count:
            self._fill(until)
        return bytes(self.buffer[:count])

    def _read(self, timeout=None):
        until = time.monotonic() + (DEADLINE if timeout is None else timeout)
        while True:
            data = mqtt.split(self.buffer)
            if data is not None:
                del self.buffer[: len(data)]
                return self._watch(mqtt.parse(data, self.version))
            self._fill(until)

    def _fill(self, until):
        left = until - time.monotonic()
        if left <= 0 or not select.select([self.socket], [], [], left)[0]:
            raise AssertionError(
                f"no packet before the deadline; bytes so far: {bytes(self.buffer)!r}"
            )
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            raise Closed(f"connection closed; bytes left: {bytes(self.buffer)!r}")
        self.buffer += data

    def _watch(self, packet):
        assert not self.ended, f"after DISCONNECT [MQTT-3.14.4-1]: {packet}"
        size = len(packet.raw)
        assert size <= self.maximum_packet_size, f"{size} bytes [MQTT-3.1.2-24]: {packet}"
        self.ended = packet.type == T.DISCONNECT
        if packet.type == T.PUBLISH:
            self._watch_publish(packet)
        return packet

    def _watch_publish(self, packet):
        alias = packet.props.get("topic_alias")
        packet.sent_topic = packet.topic
        if alias is not None:
            assert alias <= self.alias_max, f"alias {alias} [MQTT-3.3.2-11]"
            if packet.topic:
                self.aliases[alias] = packet.topic
            packet.topic = self.aliases[alias]
        if packet.qos:
            assert packet.pid not in self.in_flight, f"identifier in use [MQTT-2.2.1-4]: {packet}"
            self.in_flight[packet.pid] = packet.qos
            count = len(self.in_flight)
            assert count <= self.receive_maximum, f"{count} in flight [MQTT-3.3.4-9]"

    def expect(self, kind, timeout=None, **fields):
        """The next packet, which must be of this type with these fields."""
        packet = self.recv(timeout)
        assert packet.type == kind, f"expected {kind.name}, got {packet}"
        for name, value in fields.items():
            assert getattr(packet, name) == value, f"{name}: expected {value!r}, got {packet}"
        return packet

    def await_type(self, kind, pid=None):
        """The next packet of this type and identifier; what comes before it is held for later."""
        for packet in list(self.held):
            if is_answer(packet, kind, pid):
                self.held.remove(packet)
                return packet
        while True:
            packet = self._read()
            if is_answer(packet, kind, pid):
                return packet
            assert packet.type != T.DISCONNECT, f"waiting for {kind.name}, got {packet}"
            self.held.append(packet)

    def expect_eof(self):
        """The server closes without a further packet."""
        try:
            packet = self.recv()
        except Closed:
            assert not self.buffer, f"part of a packet before the end: {bytes(self.buffer)!r}"
            self.close()
            return
        raise AssertionError(f"expected the end of the connection, got {packet}")

    def expect_disconnect(self, *codes):
        """5.0: DISCONNECT with one of these codes, then the end. 3.x: just the end."""
        packet = None
        if self.version == 5:
            packet = self.expect(T.DISCONNECT)
            names = ", ".join(f"0x{code:02X}" for code in codes)
            assert (
                packet.code in codes
            ), f"expected one of {names}, got {packet} 0x{packet.code:02X}"
        self.expect_eof()
        return packet

    # ---- requests

    def next_pid(self):
        self.last_pid = self.last_pid % 65535 + 1
        return self.last_pid

    def handshake(self, **options):
        """CONNECT, and the CONNACK that must come."""
        self.options = options
        self.send(mqtt.connect(version=self.version, **options))
        props = options.get("props") or {}
        if isinstance(props, dict):
            self.alias_max = props.get("topic_alias_maximum", 0)
            self.receive_maximum = props.get("receive_maximum", 65535)
            self.maximum_packet_size = props.get("maximum_packet_size", 2**32)
        self.connack = self.expect(T.CONNACK)
        return self.connack

    def ping(self):
        """A round trip: the next packet must be the PINGRESP, so nothing was on its way before."""
        self.send(mqtt.PINGREQ)
        return self.expect(T.PINGRESP)

    def fence(self):
        """A round trip that keeps what comes before the PINGRESP for later."""
        self.send(mqtt.PINGREQ)
        return self.await_type(T.PINGRESP)

    def subscribe(self, *filters, qos=0, props=None, **options):
        """SUBSCRIBE to filters (text, or pairs of text and options byte); the SUBACK."""
        byte = option_byte(qos, **options)
        pairs = [(f, byte) if isinstance(f, (str, bytes)) else f for f in filters]
        pid = self.next_pid()
        self.send(mqtt.subscribe(pid, pairs, props=props, version=self.version))
        return self.await_type(T.SUBACK, pid)

    def unsubscribe(self, *filters, props=None):
        pid = self.next_pid()
        self.send(mqtt.unsubscribe(pid, filters, props=props, version=self.version))
        return self.await_type(T.UNSUBACK, pid)

    def send_publish(self, topic, payload=b"", qos=0, pid=None, **options):
        """PUBLISH without waiting for an answer; its packet identifier."""
        if qos and pid is None:
            pid = self.next_pid()
        self.send(mqtt.publish(topic, payload, qos=qos, pid=pid, version=self.version, **options))
        return pid

    def publish(self, topic, payload=b"", qos=0, **options):
        """PUBLISH with its whole handshake; the PUBACK or PUBREC."""
        pid = self.send_publish(topic, payload, qos, **options)
        if qos == 1:
            return self.await_type(T.PUBACK, pid)
        if qos == 2:
            received = self.await_type(T.PUBREC, pid)
            if received.code < 0x80:
                self.send(mqtt.ack(T.PUBREL, pid))
                self.await_type(T.PUBCOMP, pid)
            return received
        return None

    # ---- answers

    def ack(self, packet, code=None):
        """One acknowledgement for a PUBLISH (PUBACK, PUBREC) or PUBREL (PUBCOMP)."""
        if packet.type == T.PUBLISH:
            if packet.qos == 0:
                return
            kind = T.PUBACK if packet.qos == 1 else T.PUBREC
            ends = packet.qos == 1 or (code or 0) >= 0x80
        else:
            kind, ends = T.PUBCOMP, True
        if ends:
            self.in_flight.pop(packet.pid, None)
        self.send(mqtt.ack(kind, packet.pid, code))

    def finish(self, packet):
        """The whole handshake of a received PUBLISH."""
        self.ack(packet)
        if packet.qos == 2:
            self.ack(self.await_type(T.PUBREL, packet.pid))

    def message(self, topic=None, payload=None, finish=True, **fields):
        """The next packet, a PUBLISH with these fields, acknowledged."""
        packet = self.expect(T.PUBLISH, **fields)
        if topic is not None:
            assert packet.topic == topic, f"topic: expected {topic!r}, got {packet}"
        if payload is not None:
            assert packet.payload == mqtt.raw(payload), f"expected {payload!r}, got {packet}"
        if finish:
            self.finish(packet)
        return packet

    def until(self, topic):
        """All messages, acknowledged as they come, until one on this topic."""
        found = []
        while True:
            packet = self.recv()
            if packet.type == T.PUBREL:
                self.ack(packet)
                continue
            assert packet.type == T.PUBLISH, f"expected PUBLISH, got {packet}"
            self.ack(packet)
            if packet.topic == topic:
                return found
            if not packet.topic.startswith("marker-"):
                found.append(packet)

    def collect(self, publisher, qos=1):
        """What reaches this client of all that `publisher` sent so far: a marker is published
        behind it."""
        if self.marker is None:
            self.marker = self.bench.marker()
            self.subscribe(self.marker, qos=qos)
        publisher.publish(self.marker, qos=qos)
        return self.until(self.marker)

    def collect_retained(self):
        """The retained messages sent so far because of subscriptions: a retained marker is asked
        for last, by a new subscription and by the same again, as the one may overtake the other."""
        topic = self.bench.marker()
        self.bench.publisher().publish(topic, b"m", qos=1, retain=True)
        found = []
        for _ in range(2):
            self.subscribe(topic, qos=1)
            found += self.until(topic)
        self.fence()
        while self.held:
            packet = self.recv()
            self.ack(packet)
            if packet.type == T.PUBLISH and not packet.topic.startswith("marker-"):
                found.append(packet)
        self.unsubscribe(topic)
        self.bench.publisher().publish(topic, b"", qos=1, retain=True)
        return found

    # ---- the end

    def disconnect(self, code=None, props=None):
        """DISCONNECT; returns when the server has closed, so its side is done."""
        self.send(mqtt.disconnect(code, props))
        self.drop()

    def drop(self):
        """End the connection without DISCONNECT; returns when the server has closed too."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
            while self.socket.recv(1 << 16):
                pass
        except ConnectionError:
            pass
        self.close()

    def reconnect(self, **changes):
        """A new connection with the same options (but Clean Start 0 unless told) and its
        CONNACK."""
        options = {**self.options, "clean": False, **changes}
        client = self.bench.open(self.version)
        client.last_pid = self.last_pid
        client.marker = self.marker
        client.handshake(**options)
        assert client.connack.code == 0, client.connack
        return client


def gather(clients, count):
    """(index, message) of the next `count` messages at any of the clients, acknowledged as they
    come."""
    found = []
    until = time.monotonic() + DEADLINE
    while len(found) < count:
        ready = [i for i, client in enumerate(clients) if client.held or client.buffer]
        if not ready:
            left = max(0, until - time.monotonic())
            sockets = [client.socket for client in clients]
            ready = [sockets.index(one) for one in select.select(sockets, [], [], left)[0]]
        assert ready, f"{len(found)} of {count} messages before the deadline: {found}"
        for i in ready:
            packet = clients[i].recv()
            clients[i].ack(packet)
            if packet.type == T.PUBLISH:
                found.append((i, packet))
    assert len(found) == count, found
    for client in clients:  # the rest of QoS 2 handshakes
        while 2 in client.in_flight.values():
            client.ack(client.expect(T.PUBREL))
    return found


def let_pass(seconds):
    """Lets time pass where its passing is what the test is about."""
    time.sleep(seconds)


def is_answer(packet, kind, pid):
    return packet.type == kind and (pid is None or packet.pid == pid)


def option_byte(qos=0, no_local=False, retain_as_published=False, retain_handling=0):
    """SUBSCRIBE's options of one filter."""
    return qos | no_local << 2 | retain_as_published << 3 | retain_handling << 4


def payloads(packets):
    return [packet.payload for packet in packets]


def topics(packets):
    return [packet.topic for packet in packets]
