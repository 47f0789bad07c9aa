# SPDX-License-Identifier: MIT
"""MQTT 5.0, 3.1.2, 3.14, 3.15, 4.1 to 4.5, 4.13: sessions, DISCONNECT, AUTH, packet sizes,
malformed packets."""

import mqtt
import pytest
from client import payloads
from mqtt import T

KEEP = {"session_expiry_interval": 60}


def test_MQTT_3_1_2_4_clean_start_drops_the_session(v5):
    """Subscriptions, queued messages and unfinished handshakes are gone."""
    topic = v5.topic("a")
    client = v5.connect("c", props=KEEP)
    client.subscribe(topic, qos=2)
    v5.publisher().publish(topic, b"in flight", qos=2)
    client.message(topic, finish=False)
    client.disconnect()
    v5.publisher().publish(topic, b"queued", qos=1)
    client = v5.connect("c", clean=True, props=KEEP)
    assert not client.connack.session_present
    v5.publisher().publish(topic, b"live", qos=1)
    assert client.collect(v5.publisher()) == []
    assert client.unsubscribe(topic).codes == [0x11]


def test_MQTT_3_1_2_5_stored_session_goes_on(v5):
    """Session Present, the queued messages in order, the subscription, the outgoing handshake."""
    topic = v5.topic("a")
    client = v5.connect("c", clean=False, props=KEEP)
    client.subscribe(topic, qos=2)
    client.disconnect()
    for i in range(5):
        v5.publisher().publish(topic, b"%d" % i, qos=1 + i % 2)
    client = client.reconnect()
    assert client.connack.session_present
    for i in range(5):
        client.message(topic, b"%d" % i, qos=1 + i % 2)
    v5.publisher().publish(topic, b"live", qos=1)
    client.message(topic, b"live")


def test_MQTT_3_1_2_6_clean_start_0_creates_a_session(v5):
    """A new one works and is kept."""
    client = v5.connect("c", clean=False, props=KEEP)
    assert not client.connack.session_present
    client.subscribe(v5.topic("a"), qos=1)
    client.disconnect()
    v5.publisher().publish(v5.topic("a"), b"m", qos=1)
    client = client.reconnect()
    assert client.connack.session_present
    client.message(v5.topic("a"), b"m")


def test_MQTT_3_1_2_23_state_outlives_the_connection(v5):
    """With an expiry interval it is kept after DISCONNECT and after a lost connection; without,
    not."""
    for end in ("disconnect", "drop"):
        client = v5.connect("k" + end, props=KEEP)
        getattr(client, end)()
        assert client.reconnect().connack.session_present
        client = v5.connect("n" + end)
        getattr(client, end)()
        assert not client.reconnect().connack.session_present


def test_session_expiry_of_the_last_connection_counts(v5):
    """A connection without an interval ends the stored session when it ends."""
    v5.connect("c", props=KEEP).disconnect()
    client = v5.connect("c", clean=False)
    assert client.connack.session_present
    client.disconnect()
    assert not v5.connect("c", clean=False).connack.session_present


def test_DISCONNECT_changes_the_session_expiry(v5):
    """To 0: dropped at once. From one value to another: kept."""
    client = v5.connect("c", props=KEEP)
    client.disconnect(0, {"session_expiry_interval": 0})
    assert not v5.connect("c", clean=False, props=KEEP).connack.session_present
    client = v5.connect("c", clean=False, props={"session_expiry_interval": 1})
    client.disconnect(0, {"session_expiry_interval": 120})
    assert v5.connect("c", clean=False).connack.session_present


def test_DISCONNECT_cannot_give_an_expiry_to_a_session_without(v5):
    """From 0 to something is a protocol error."""
    client = v5.connect()
    client.send(mqtt.disconnect(0, {"session_expiry_interval": 1}))
    client.expect_disconnect(0x82)


def test_MQTT_4_1_0_1_state_is_kept_while_connected(v5):
    """Session expiry 0: subscriptions and both directions' handshakes live as long as the
    connection."""
    client = v5.connect()
    topic = v5.topic("a")
    client.subscribe(topic, qos=2)
    client.send_publish(topic, b"mine", qos=2, pid=9)
    client.await_type(T.PUBREC, 9)
    for _ in range(3):
        client.fence()
        client.send(mqtt.publish(v5.topic("b"), qos=1, pid=10))
        client.await_type(T.PUBACK, 10)
    client.send(mqtt.publish(topic, b"mine", qos=2, pid=9, dup=True))
    client.await_type(T.PUBREC, 9)
    client.send(mqtt.ack(T.PUBREL, 9))
    assert client.await_type(T.PUBCOMP, 9).code == 0


def test_QoS_0_is_not_queued_for_an_absent_session(v5):
    """QoS 0 messages are for connected clients."""
    topic = v5.topic("a")
    client = v5.connect("c", props=KEEP)
    client.subscribe((topic, 2), (v5.topic("b"), 0))
    client.disconnect()
    v5.publisher().publish(topic, b"0", qos=0)
    v5.publisher().publish(v5.topic("b"), b"b", qos=1)
    v5.publisher().publish(topic, b"1", qos=1)
    assert payloads(client.reconnect().collect(v5.publisher())) == [b"1"]


def test_MQTT_4_5_0_1_a_message_reaches_every_matching_session(v5):
    """Connected or not, by exact filter or wildcard, QoS by QoS."""
    topic = v5.topic("a/b")
    texts = [topic, v5.topic("a/+"), v5.topic("#"), v5.topic("+/b")]
    clients = []
    for i in range(12):
        client = v5.connect(f"s{i}", props=KEEP)
        client.subscribe(texts[i % 4], qos=1 + i % 2)
        clients.append(client)
    for client in clients[::3]:
        client.disconnect()
    for i in range(5):
        v5.publisher().publish(topic, b"%d" % i, qos=2)
    for i, client in enumerate(clients):
        client = client.reconnect() if i % 3 == 0 else client
        for number in range(5):
            client.message(topic, b"%d" % number, qos=1 + i % 2)


# ---- sizes


def test_MQTT_3_1_2_24_MQTT_3_1_2_25_too_large_for_the_client(v5):
    """Dropped as if it were delivered: the next comes even with a window of one, and it never
    comes again."""
    limit = {"receive_maximum": 1, "maximum_packet_size": 200}
    topic = v5.topic("a")
    client = v5.connect("c", props={**KEEP, **limit})
    client.subscribe(topic, qos=2)
    for qos in (0, 1, 2):
        v5.publisher().publish(topic, b"x" * 300, qos=qos)
        v5.publisher().publish(topic, b"small", qos=qos)
        client.message(topic, b"small", qos=qos)
    client.disconnect()
    client = client.reconnect(props=KEEP)
    assert client.collect(v5.publisher()) == []


@pytest.mark.parametrize("alias_maximum", [0, 5])
def test_MQTT_3_1_2_24_the_limit_is_exact(v5, alias_maximum):
    """A packet of just the maximum comes, one byte more does not."""
    topic = v5.topic("a")
    props = {"user_property": [("a", "b")]}
    probe = v5.connect(props={"topic_alias_maximum": alias_maximum})
    probe.subscribe(topic, qos=1, props={"subscription_identifier": 300})
    v5.publisher().publish(topic, b"x" * 150, qos=1, props=props)
    size = len(probe.message(topic).raw)
    client = v5.connect(props={"maximum_packet_size": size, "topic_alias_maximum": alias_maximum})
    client.subscribe(topic, qos=1, props={"subscription_identifier": 300})
    v5.publisher().publish(topic, b"y" * 151, qos=1, props=props)
    v5.publisher().publish(topic, b"z" * 150, qos=1, props=props)
    client.message(topic, b"z" * 150)


def test_too_large_retained_and_queued_messages_are_left_out(v5):
    """Replay and queue obey the Maximum Packet Size too."""
    limit = {"maximum_packet_size": 200}
    client = v5.connect("c", props={**KEEP, **limit})
    client.subscribe(v5.topic("a"), qos=1)
    client.disconnect()
    for payload in (b"x" * 300, b"small"):
        v5.publisher().publish(v5.topic("a"), payload, qos=1)
    v5.publisher().publish(v5.topic("r/1"), b"x" * 300, qos=1, retain=True)
    v5.publisher().publish(v5.topic("r/2"), b"small", qos=1, retain=True)
    client = client.reconnect()
    client.message(v5.topic("a"), b"small")
    client.subscribe(v5.topic("r/#"), qos=1)
    assert payloads(client.collect_retained()) == [b"small"]


def sized_publish(topic, size):
    """A QoS 0 PUBLISH packet of exactly this many bytes."""
    empty = len(mqtt.publish(topic, b"x" * (size - 100))) - (size - 100)
    return mqtt.publish(topic, b"x" * (size - empty))


def test_server_s_maximum_packet_size(v5):
    """Exactly the announced size is taken, one byte more gets 0x95 before the rest has come."""
    client = v5.connect()
    topic = v5.topic("a")
    client.subscribe(topic)
    limit = client.connack.props["maximum_packet_size"]
    whole = sized_publish(topic, limit)
    assert len(whole) == limit
    client.send(whole)
    assert len(client.message(topic).raw) == limit
    client.send(sized_publish(topic, limit + 1)[:20])
    client.expect_disconnect(0x95)


def test_too_large_CONNECT(v5):
    """A CONNECT above the limit is refused with 0x95, or just closed, without being buffered
    whole."""
    client = v5.open()
    client.send(b"\x10\xff\xff\xff\x7f" + mqtt.connect("c")[2:])
    try:
        packet = client.recv()
        assert packet.type == T.CONNACK and packet.code == 0x95
    except AssertionError as fault:
        assert "closed" in str(fault)


# ---- transport


def test_MQTT_4_2_1_packets_need_not_align_with_reads(v5):
    """Byte by byte, and everything at once."""
    topic = v5.topic("a")
    whole = b"".join(
        [
            mqtt.connect(v5.id("c"), props=KEEP),
            mqtt.subscribe(1, [(topic, 2)]),
            mqtt.publish(topic, b"p" * 200, qos=1, pid=2),
            mqtt.publish(topic, b"q", qos=2, pid=3),
            mqtt.ack(T.PUBREL, 3),
            mqtt.PINGREQ,
        ]
    )
    for step in (1, 2, 3, 7, len(whole)):
        client = v5.open()
        for start in range(0, len(whole), step):
            client.send(whole[start : start + step])
        assert client.recv().type == T.CONNACK
        client.await_type(T.SUBACK, 1)
        client.await_type(T.PUBACK, 2)
        client.await_type(T.PUBREC, 3)
        client.await_type(T.PUBCOMP, 3)
        client.await_type(T.PINGRESP)
        found = [client.await_type(T.PUBLISH).payload for _ in range(2)]
        assert sorted(found) == [b"p" * 200, b"q"]
        client.send(mqtt.disconnect(0, {"session_expiry_interval": 0}))
        client.drop()


def test_half_a_packet_then_the_end(v5):
    """A connection that ends within a packet loses that packet only."""
    watcher = v5.connect()
    watcher.subscribe(v5.topic("#"), qos=1)
    client = v5.connect(will=mqtt.Will(v5.topic("w"), b"w", qos=1))
    client.send(mqtt.publish(v5.topic("a"), b"whole"), mqtt.publish(v5.topic("a"), b"half")[:-1])
    client.drop()
    assert payloads([watcher.message(), watcher.message()]) == [b"whole", b"w"]


# ---- DISCONNECT and AUTH


def test_MQTT_3_14_0_1_no_DISCONNECT_before_an_accepting_CONNACK(v5):
    """Bad bytes first, and refused CONNECTs, are closed without DISCONNECT."""
    http = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: somebody who is lost\r\nAccept: */*\r\n\r\n"
    for packet in (b"\xff\xff\xff\xff\xff", b"\x00\x00", http, mqtt.PINGREQ):
        client = v5.open()
        client.send(packet)
        client.expect_eof()
    v5.refused(mqtt.connect("c", flags_or=1), 0x81)


@pytest.mark.parametrize("flags", [1, 2, 4, 8, 15])
def test_MQTT_3_14_1_1_DISCONNECT_with_reserved_bits(v5, flags):
    """Answered by DISCONNECT 0x81; and it was no clean end: the will goes out."""
    watcher = v5.connect()
    watcher.subscribe(v5.topic("w"), qos=1)
    client = v5.connect(will=mqtt.Will(v5.topic("w"), b"w", qos=1))
    client.send(mqtt.disconnect(flags=flags))
    client.expect_disconnect(0x81)
    watcher.message(v5.topic("w"), b"w")


@pytest.mark.parametrize("code", [0x01, 0x8D + 0x60, 0x10, 0xFE])
def test_MQTT_3_14_2_1_unknown_DISCONNECT_code(v5, code):
    """A code outside the table ends the connection as faulty (the decoder watches the server's
    codes)."""
    client = v5.connect()
    client.send(mqtt.disconnect(code, {}))
    client.expect_disconnect(0x81, 0x82)


def faults(bench):
    """(packet that the server must answer by DISCONNECT, ...), one of each kind."""
    return [
        mqtt.connect("again"),
        mqtt.packet(T.PUBLISH, 6, b"\x00\x01a\x00\x01\x00"),
        mqtt.publish("", b"x"),
        mqtt.publish("a", props={"topic_alias": 999}),
        mqtt.subscribe(1, []),
        mqtt.auth(0x18, {"authentication_method": "m"}),
        b"\x30\xff\xff\xff\x7f",
    ]


def test_MQTT_3_14_2_2_server_s_DISCONNECT_has_no_session_expiry(v5):
    """For every kind of fault (the decoder holds the table of properties)."""
    for packet in faults(v5):
        client = v5.connect(props=KEEP)
        client.send(packet)
        assert "session_expiry_interval" not in client.expect(T.DISCONNECT).props


def test_MQTT_3_14_2_3_MQTT_3_14_2_4_DISCONNECT_fits_the_client(v5):
    """With hardly any room DISCONNECT still comes, without text."""
    size = len(v5.connect(props={"maximum_packet_size": 1000}).connack.raw)
    for packet in faults(v5):
        client = v5.connect(props={"maximum_packet_size": size})
        client.send(packet)
        client.expect(T.DISCONNECT)


def test_MQTT_3_14_4_1_MQTT_3_14_4_2_nothing_follows_DISCONNECT(v5):
    """The server closes right after it, although more requests are on their way."""
    for packet in faults(v5):
        client = v5.connect()
        client.send(packet + mqtt.PINGREQ * 3)
        client.expect(T.DISCONNECT)
        client.expect_eof()


def test_packets_behind_a_client_s_DISCONNECT_are_ignored(v5):
    """Whatever stands behind DISCONNECT in the same segment is not done."""
    watcher = v5.connect()
    watcher.subscribe(v5.topic("a"), qos=1)
    client = v5.connect()
    client.send(mqtt.disconnect() + mqtt.publish(v5.topic("a"), b"late") + mqtt.PINGREQ)
    client.expect_eof()
    assert watcher.collect(v5.publisher()) == []


@pytest.mark.parametrize("code", [0x00, 0x04, 0x80, 0x83, 0x93, 0x99])
def test_client_s_DISCONNECT_is_not_answered(v5, code):
    """The server closes without a packet."""
    client = v5.connect()
    client.send(mqtt.disconnect(code, {"reason_string": "why", "user_property": [("a", "b")]}))
    client.expect_eof()


def test_MQTT_3_15_1_1_AUTH_flags(v5):
    """AUTH with flags set is malformed."""
    for flags in (1, 2, 8, 15):
        client = v5.connect()
        client.send(mqtt.auth(0x18, {"authentication_method": "m"}, flags))
        client.expect_disconnect(0x81)


# ---- malformed packets and protocol errors, each with the code that the standard names


def twice(name, value):
    return {name: [value, value]}


def body(kind, data, flags=0):
    return mqtt.packet(kind, flags, data)


PUBLISH_A = mqtt.field("a")

FAULTS = {
    "type_0": (b"\x00\x00", 0x81),
    "remaining_length_of_five_bytes": (b"\x30\xff\xff\xff\xff\x01", 0x81),
    "CONNACK": (b"\x20\x03\x00\x00\x00", 0x82),
    "SUBACK": (b"\x90\x04\x00\x01\x00\x00", 0x82),
    "UNSUBACK": (b"\xb0\x04\x00\x01\x00\x00", 0x82),
    "PINGRESP": (b"\xd0\x00", 0x82),
    "PINGREQ_with_body": (b"\xc0\x01\x00", 0x81),
    "PUBLISH_empty": (body(T.PUBLISH, b""), 0x81),
    "PUBLISH_topic_cut": (body(T.PUBLISH, b"\x00\x09abc"), 0x81),
    "PUBLISH_without_identifier": (body(T.PUBLISH, PUBLISH_A, 2), 0x81),
    "PUBLISH_identifier_cut": (body(T.PUBLISH, PUBLISH_A + b"\x00", 2), 0x81),
    "PUBLISH_without_properties": (body(T.PUBLISH, PUBLISH_A + b"\x00\x01", 2), 0x81),
    "PUBLISH_properties_cut": (body(T.PUBLISH, PUBLISH_A + b"\x05\x01"), 0x81),
    "PUBLISH_property_cut": (mqtt.publish("a", props=b"\x02\x00\x00"), 0x81),
    "PUBLISH_text_property_cut": (mqtt.publish("a", props=b"\x03\x00\x05ab"), 0x81),
    "PUBLISH_unknown_property": (mqtt.publish("a", props=b"\x7f\x00"), 0x81),
    "PUBLISH_property_0": (mqtt.publish("a", props=b"\x00\x00"), 0x81),
    "PUBLISH_foreign_property": (mqtt.publish("a", props={"receive_maximum": 1}), 0x81),
    "PUBLISH_reason_string": (mqtt.publish("a", props={"reason_string": "r"}), 0x81),
    "PUBLISH_format_twice": (mqtt.publish("a", props=twice("payload_format_indicator", 0)), 0x82),
    "PUBLISH_expiry_twice": (mqtt.publish("a", props=twice("message_expiry_interval", 1)), 0x82),
    "PUBLISH_alias_twice": (mqtt.publish("a", props=twice("topic_alias", 1)), 0x82),
    "PUBLISH_response_twice": (mqtt.publish("a", props=twice("response_topic", "r")), 0x82),
    "PUBLISH_correlation_twice": (mqtt.publish("a", props=twice("correlation_data", b"")), 0x82),
    "PUBLISH_content_type_twice": (mqtt.publish("a", props=twice("content_type", "")), 0x82),
    "PUBACK_empty": (body(T.PUBACK, b""), 0x81),
    "PUBACK_identifier_cut": (body(T.PUBACK, b"\x00"), 0x81),
    "PUBACK_properties_cut": (body(T.PUBACK, b"\x00\x01\x00\x05"), 0x81),
    "PUBACK_bytes_behind": (body(T.PUBACK, b"\x00\x01\x00\x00\x00"), 0x81),
    "PUBACK_foreign_property": (mqtt.ack(T.PUBACK, 1, 0, {"content_type": ""}), 0x81),
    "PUBACK_reason_twice": (mqtt.ack(T.PUBACK, 1, 0, twice("reason_string", "")), 0x82),
    "PUBREC_empty": (body(T.PUBREC, b""), 0x81),
    "PUBREC_foreign_property": (mqtt.ack(T.PUBREC, 1, 0, {"topic_alias": 1}), 0x81),
    "PUBREL_empty": (body(T.PUBREL, b"", 2), 0x81),
    "PUBREL_bytes_behind": (body(T.PUBREL, b"\x00\x01\x00\x00\x00", 2), 0x81),
    "PUBCOMP_empty": (body(T.PUBCOMP, b""), 0x81),
    "PUBCOMP_foreign_property": (mqtt.ack(T.PUBCOMP, 1, 0, {"topic_alias": 1}), 0x81),
    "SUBSCRIBE_empty": (body(T.SUBSCRIBE, b"", 2), 0x81),
    "SUBSCRIBE_identifier_only": (body(T.SUBSCRIBE, b"\x00\x01", 2), 0x81),
    "SUBSCRIBE_no_filter": (mqtt.subscribe(1, []), 0x82),
    "SUBSCRIBE_filter_cut": (body(T.SUBSCRIBE, b"\x00\x01\x00\x00\x09ab", 2), 0x81),
    "SUBSCRIBE_without_options": (body(T.SUBSCRIBE, b"\x00\x01\x00" + PUBLISH_A, 2), 0x81),
    "SUBSCRIBE_reserved_options": (mqtt.subscribe(1, [("a", 0x40)]), 0x81),
    "SUBSCRIBE_qos_3": (mqtt.subscribe(1, [("a", 3)]), 0x82),
    "SUBSCRIBE_retain_handling_3": (mqtt.subscribe(1, [("a", 0x30)]), 0x82),
    "SUBSCRIBE_identifier_0": (
        mqtt.subscribe(1, [("a", 0)], {"subscription_identifier": 0}),
        0x82,
    ),
    "SUBSCRIBE_identifier_twice": (
        mqtt.subscribe(1, [("a", 0)], twice("subscription_identifier", 1)),
        0x82,
    ),
    "SUBSCRIBE_foreign_property": (mqtt.subscribe(1, [("a", 0)], {"reason_string": ""}), 0x81),
    "UNSUBSCRIBE_empty": (body(T.UNSUBSCRIBE, b"", 2), 0x81),
    "UNSUBSCRIBE_no_filter": (mqtt.unsubscribe(1, []), 0x82),
    "UNSUBSCRIBE_filter_cut": (body(T.UNSUBSCRIBE, b"\x00\x01\x00\x00\x09ab", 2), 0x81),
    "UNSUBSCRIBE_foreign_property": (
        mqtt.unsubscribe(1, ["a"], {"subscription_identifier": 1}),
        0x81,
    ),
    "DISCONNECT_expiry_twice": (mqtt.disconnect(0, twice("session_expiry_interval", 1)), 0x82),
    "DISCONNECT_reason_twice": (mqtt.disconnect(0, twice("reason_string", "")), 0x82),
    "DISCONNECT_foreign_property": (mqtt.disconnect(0, {"topic_alias": 1}), 0x81),
    "DISCONNECT_bytes_behind": (body(T.DISCONNECT, b"\x00\x00\x00"), 0x81),
    "DISCONNECT_properties_cut": (body(T.DISCONNECT, b"\x00\x05"), 0x81),
    "second_CONNECT": (mqtt.connect("again"), 0x82),
    "AUTH_without_method": (mqtt.auth(0x18, {"authentication_method": "m"}), 0x82),
    "packet_too_large": (b"\x30\xff\xff\xff\x7f", 0x95),
    "alias_too_large": (mqtt.publish("a", props={"topic_alias": 65535}), 0x94),
}


@pytest.mark.parametrize("case", FAULTS)
def test_MQTT_4_13_1_1_faults_get_the_code_that_the_standard_names(v5, case):
    """DISCONNECT with that code, then the end; the will goes out."""
    watcher = v5.connect()
    watcher.subscribe(v5.topic("w"), qos=1)
    client = v5.connect(props=KEEP, will=mqtt.Will(v5.topic("w"), b"w", qos=1))
    packet, code = FAULTS[case]
    client.send(packet)
    client.expect_disconnect(code)
    watcher.message(v5.topic("w"), b"w")


@pytest.mark.parametrize("case", FAULTS)
def test_MQTT_4_13_2_1_a_code_of_0x80_means_closing(v5, case):
    """The same faults behind a good packet and before another: the first is done, the last is
    not."""
    client = v5.connect()
    client.send(mqtt.PINGREQ + FAULTS[case][0] + mqtt.PINGREQ)
    client.expect(T.PINGRESP)
    assert client.expect(T.DISCONNECT).code >= 0x80
    client.expect_eof()


@pytest.mark.parametrize("kind", [T.PUBACK, T.PUBREC, T.PUBREL, T.PUBCOMP])
@pytest.mark.parametrize("code", [0x01, 0x7F, 0xFF])
def test_unknown_reason_codes_in_acknowledgements(v5, kind, code):
    """A code outside the table of the packet ends the connection."""
    client = v5.connect()
    topic = v5.topic("a")
    client.subscribe(topic, qos=2)
    v5.publisher().publish(topic, qos=1 if kind == T.PUBACK else 2)
    pid = client.message(topic, finish=False).pid
    client.send(mqtt.ack(kind, pid, code))
    client.expect_disconnect(0x81, 0x82)


def test_one_client_s_fault_does_not_harm_others(v5):
    """While clients send nonsense, others go on."""
    client = v5.connect()
    client.subscribe(v5.topic("a"), qos=1)
    for packet, _ in FAULTS.values():
        v5.connect().send(packet)
        v5.publisher().publish(v5.topic("a"), b"m", qos=1)
        client.message(v5.topic("a"), b"m")
