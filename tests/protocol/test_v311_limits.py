# SPDX-License-Identifier: MIT
"""MQTT 3.1.1 with other settings; they are those of test_v5_limits.py."""

import mqtt
import pytest
from client import let_pass, payloads
from conftest import timed
from mqtt import T
from test_v311_connect import connect, publish
from test_v5_limits import REDUCED, SMALL, SPECIAL, connect_as_many_as_there_is_room_for


@pytest.fixture
def reduced(configured):
    return configured(4, **REDUCED)


@pytest.fixture
def small(configured):
    return configured(4, **SMALL)


def test_MQTT_3_8_3_2_no_wildcards(reduced):
    """A server without wildcards refuses such filters, and shared ones likewise."""
    client = reduced.connect()
    filters = [(reduced.topic("a/+"), 0), (reduced.topic("a"), 2), ("#", 1), ("$share/g/a", 0)]
    assert client.subscribe(*filters).codes == [0x80, 1, 0x80, 0x80]


def test_publishing_with_what_the_server_lacks_closes(reduced):
    """QoS 2 and RETAIN; a will with them too."""
    topic = reduced.topic("a")
    for packet in (publish(topic, qos=2, pid=1), publish(topic, b"m", retain=True)):
        client = reduced.connect()
        client.send(packet)
        client.expect_eof()
    for will in (mqtt.Will("w", qos=2), mqtt.Will("w", retain=True)):
        client = reduced.open()
        client.send(connect("c", will=will))
        try:
            assert client.expect(T.CONNACK).code in (3, 5)
        except AssertionError as fault:
            assert "closed" in str(fault)


def test_MQTT_3_1_3_9_too_long_client_id(small):
    """CONNACK 0x02 and the end."""
    small.refused(connect("i" * 31), 2)


def test_packet_above_the_limit_closes(small):
    """Without an answer."""
    client = small.connect()
    client.send(publish(small.topic("a"), b"x" * 3000)[:50])
    client.expect_eof()


def test_subscriptions_above_the_limit(small):
    """0x80."""
    client = small.connect()
    names = [small.topic(f"{i}") for i in range(12)]
    assert client.subscribe(*names).codes == [0] * 10 + [0x80] * 2


def test_a_full_queue_drops_its_oldest(small):
    """The last five of eight wait."""
    client = small.connect("c", clean=False)
    client.subscribe(small.topic("a"), qos=1)
    client.disconnect()
    for i in range(8):
        small.publisher().publish(small.topic("a"), b"%d" % i, qos=1)
    found = client.reconnect().collect(small.publisher())
    assert payloads(found) == [b"%d" % i for i in range(3, 8)]


def test_window_of_the_settings(small):
    """Two in flight, the rest as they are acknowledged; inbound QoS 2 beyond the limit is not
    lost."""
    client = small.connect()
    topic = small.topic("a")
    client.subscribe(topic, qos=2)
    for i in range(6):
        small.publisher().publish(topic, b"%d" % i, qos=1)
    window = [client.message(topic, b"%d" % i, finish=False) for i in range(2)]
    client.ping()
    for message in window:
        client.finish(message)
    for i in range(2, 6):
        client.message(topic, b"%d" % i)


def test_empty_client_ids_can_be_refused(configured):
    """CONNACK 0x02, with CleanSession 1 too."""
    configured(4, **SPECIAL).refused(connect("", clean=True), 2)


def test_connections_above_the_limit(configured):
    """CONNACK 0x03 and the end."""
    bench = configured(4, **{"limits.max_connections": 3})
    connect_as_many_as_there_is_room_for(bench, 3)
    bench.refused(connect("c"), 3)


def test_anonymous_clients_can_be_refused(configured):
    """CONNACK 0x05 (or 0x04) and the end."""
    bench = configured(4, **{"listener.default.anonymous": "never"})
    bench.refused(connect("c"), 4, 5)
    bench.refused(connect("c", username="u", password="p") + mqtt.PINGREQ, 4, 5)


def test_server_reference(configured):
    """3.1.1 knows none: refused as unavailable."""
    settings = {"protocol.server_reference": "other.example:1883"}
    settings["protocol.server_reference_reason"] = "moved"
    configured(4, **settings).refused(connect("c"), 3)


EXPIRING = {"session.expiry_v3": "3s", "message.expiry": "1s"}


@timed
def test_session_expires_after_the_configured_time(configured):
    """A session without clean session is kept for session.expiry_v3."""
    bench = configured(4, **EXPIRING)
    client = bench.connect("c", clean=False)
    client.disconnect()
    let_pass(1)
    client = client.reconnect()
    assert client.connack.session_present
    client.disconnect()
    let_pass(4.5)
    assert not client.reconnect().connack.session_present


@timed
def test_messages_expire_after_the_configured_time(configured):
    """What 3.1.1 clients publish gets message.expiry."""
    bench = configured(4, **EXPIRING)
    client = bench.connect("c", clean=False)
    client.subscribe(bench.topic("a"), qos=1)
    client.disconnect()
    bench.publisher().publish(bench.topic("a"), b"old", qos=1)
    let_pass(1.6)
    bench.publisher().publish(bench.topic("a"), b"new", qos=1)
    client = client.reconnect()
    assert client.connack.session_present
    client.message(bench.topic("a"), b"new")
