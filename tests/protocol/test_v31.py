# SPDX-License-Identifier: MIT
"""MQTT 3.1 (MQIsdp): the basics, with what differs from 3.1.1."""

import mqtt
import pytest
from client import payloads
from mqtt import T


def test_connect_and_refusals(v31):
    """CONNACK has no Session Present; other levels and names are refused."""
    assert v31.connect("c", clean=False).connack.raw == b"\x20\x02\x00\x00"
    assert v31.connect("c", clean=False).connack.raw == b"\x20\x02\x00\x00"
    client = v31.open()
    client.send(mqtt.connect(v31.id("c"), version=3, protocol="MQTT"))
    try:
        assert client.expect(T.CONNACK).code == 1
    except AssertionError as fault:
        assert "closed" in str(fault)


def test_empty_client_id_is_rejected(v31):
    """3.1 wants 1 to 23 characters: CONNACK 0x02."""
    v31.refused(mqtt.connect("", version=3, clean=True), 2)
    v31.refused(mqtt.connect("", version=3, clean=False), 2)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_publish_and_subscribe(v31, qos):
    """All handshakes."""
    client = v31.connect()
    assert client.subscribe(v31.topic("+"), qos=qos).codes == [qos]
    v31.publisher().publish(v31.topic("a"), b"m", qos=qos)
    client.message(v31.topic("a"), b"m", qos=qos)
    client.unsubscribe(v31.topic("+"))
    client.ping()


def test_retained_message(v31):
    """Stored, sent to a new subscriber, cleared."""
    topic = v31.topic("r")
    v31.publisher().publish(topic, b"m", qos=1, retain=True)
    client = v31.connect()
    client.subscribe(topic, qos=1)
    client.message(topic, b"m", retain=True)
    v31.publisher().publish(topic, b"", qos=1, retain=True)
    client = v31.connect()
    client.subscribe(topic, qos=1)
    assert client.collect_retained() == []


def test_session_with_queued_messages(v31):
    """Clean session 0: queued QoS 1 and 2 messages in order."""
    client = v31.connect("c", clean=False)
    client.subscribe(v31.topic("a"), qos=2)
    client.disconnect()
    for i in range(4):
        v31.publisher().publish(v31.topic("a"), b"%d" % i, qos=1 + i % 2)
    client = client.reconnect()
    assert payloads(client.collect(v31.publisher())) == [b"0", b"1", b"2", b"3"]


def test_will(v31):
    """Published when the connection is lost."""
    watcher = v31.connect()
    watcher.subscribe(v31.topic("w"), qos=1)
    v31.connect(will=mqtt.Will(v31.topic("w"), b"w", qos=1)).drop()
    watcher.message(v31.topic("w"), b"w", qos=1)


def test_all_three_versions_talk_to_each_other(v31):
    """Each publishes, all receive."""
    clients = [v31.connect(version=version) for version in (3, 4, 5)]
    for client in clients:
        client.subscribe(v31.topic("a"), qos=2)
    for sender in clients:
        sender.send_publish(v31.topic("a"), b"m", qos=1)
        sender.await_type(T.PUBACK)
        for client in clients:
            client.message(v31.topic("a"), b"m", qos=1)
