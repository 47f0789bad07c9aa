# SPDX-License-Identifier: MIT
"""MQTT 5.0, chapters 1 and 2: text, integers, fixed headers, identifiers, properties."""

import mqtt
import pytest
from mqtt import T

ILL_FORMED = {
    "surrogate": b"a\xed\xa0\x80b",
    "last_surrogate": b"\xed\xbf\xbf",
    "overlong_slash": b"\xc0\xaf",
    "overlong_three_bytes": b"\xe0\x80\xaf",
    "cut_short": b"a\xe2\x82",
    "lone_continuation": b"\x80",
    "above_10ffff": b"\xf4\x90\x80\x80",
    "byte_fe": b"\xfe",
}


def text_carriers(text):
    """Every packet of a connected client that carries this text in some field."""
    good = {"reason_string": "r"}
    return {
        "topic": mqtt.publish(text, b"x"),
        "response_topic": mqtt.publish("a", props={"response_topic": text}),
        "content_type": mqtt.publish("a", props={"content_type": text}),
        "publish_user_name": mqtt.publish("a", props={"user_property": [(text, "v")]}),
        "publish_user_value": mqtt.publish("a", props={"user_property": [("n", text)]}),
        "filter": mqtt.subscribe(1, [(text, 0)]),
        "second_filter": mqtt.subscribe(1, [("a", 0), (text, 0)]),
        "unsubscribe_filter": mqtt.unsubscribe(1, [text]),
        "subscribe_user_value": mqtt.subscribe(1, [("a", 0)], {"user_property": [("n", text)]}),
        "disconnect_reason": mqtt.disconnect(4, {**good, "reason_string": text}),
        "puback_reason": mqtt.ack(T.PUBACK, 1, 0, {"reason_string": text}),
    }


def connect_carriers(text):
    """Every CONNECT that carries this text in some field."""
    return {
        "client_id": mqtt.connect(text),
        "user_name": mqtt.connect("u", username=text),
        "will_topic": mqtt.connect("u", will=mqtt.Will(text)),
        "will_content_type": mqtt.connect("u", will=mqtt.Will("w", props={"content_type": text})),
        "user_property": mqtt.connect("u", props={"user_property": [(text, "v")]}),
        "authentication_method": mqtt.connect("u", props={"authentication_method": text}),
    }


@pytest.mark.parametrize("fault", ILL_FORMED)
def test_MQTT_1_5_4_1_ill_formed_utf8_is_a_malformed_packet(v5, fault):
    """Every text field refuses bytes that are not UTF-8."""
    for field, packet in text_carriers(ILL_FORMED[fault]).items():
        client = v5.connect()
        client.send(packet)
        assert client.expect_disconnect(0x81), field


def test_MQTT_1_5_4_1_ill_formed_utf8_in_CONNECT_is_refused(v5):
    """Every text field of CONNECT refuses bytes that are not UTF-8."""
    for packet in connect_carriers(b"a\xed\xa0\x80").values():
        v5.refused(packet, 0x81)


def test_MQTT_1_5_4_2_NUL_in_text_is_a_malformed_packet(v5):
    """U+0000 is refused in every text field."""
    for field, packet in text_carriers("a\0b").items():
        client = v5.connect()
        client.send(packet)
        assert client.expect_disconnect(0x81), field
    for packet in connect_carriers("a\0b").values():
        v5.refused(packet, 0x81)


def test_MQTT_1_5_4_3_byte_order_mark_is_kept(v5):
    """U+FEFF is a character like others in topics and properties."""
    client = v5.connect()
    topic = v5.topic("\ufeffx")
    client.subscribe(v5.topic("x"), topic)
    client.publish(topic, b"1", props={"content_type": "\ufeffc\ufeff"})
    assert client.message(topic, b"1").props["content_type"] == "\ufeffc\ufeff"
    client.ping()


@pytest.mark.parametrize(
    "packet",
    [
        b"\xc0\x80\x00",
        b"\x30\x86\x00\x00\x01a\x00xy",
        b"\x30\x06\x00\x01a\x80\x00x",
        b"\x82\x09\x00\x01\x03\x0b\x81\x00\x00\x01a\x00",
        b"\xe0\x83\x80\x00\x04\x00",
    ],
    ids=["remaining_length", "publish", "property_length", "subscription_id", "disconnect"],
)
def test_MQTT_1_5_5_1_longer_integer_than_needed_is_malformed(v5, packet):
    """Variable byte integers that are not the shortest are refused."""
    client = v5.connect()
    client.send(packet)
    client.expect_disconnect(0x81)


def test_MQTT_1_5_5_1_server_sends_shortest_integers(v5):
    """Lengths around every limit of the encoding come in the shortest form (the decoder
    insists)."""
    client = v5.connect()
    topic = v5.topic("a")
    client.subscribe(topic)
    overhead = len(mqtt.publish(topic)) - 2
    for length in (0, 1, 126, 127, 128, 129, 16382, 16383, 16384, 16385):
        payload = b"x" * max(0, length - overhead)
        client.publish(topic, payload)
        client.message(topic, payload)


def test_MQTT_1_5_7_1_both_halves_of_a_string_pair_are_text(v5):
    """A user property is refused when its name or its value is not UTF-8."""
    for pair in ((b"\xc1\xbf", "v"), ("n", b"\xc1\xbf"), ("n\0", "v"), ("n", "\0")):
        client = v5.connect()
        client.send(mqtt.publish("a", props={"user_property": [pair]}))
        client.expect_disconnect(0x81)


WRONG_FLAGS = [
    (kind, flags)
    for kind, right in [
        (T.PUBACK, 0),
        (T.PUBREC, 0),
        (T.PUBREL, 2),
        (T.PUBCOMP, 0),
        (T.SUBSCRIBE, 2),
        (T.UNSUBSCRIBE, 2),
        (T.PINGREQ, 0),
        (T.DISCONNECT, 0),
        (T.AUTH, 0),
    ]
    for flags in (0, 1, 2, 4, 8, 15)
    if flags != right
]


def bodied(kind):
    """A valid body for a packet of this type."""
    return {
        T.SUBSCRIBE: mqtt.subscribe(1, [("a", 0)])[2:],
        T.UNSUBSCRIBE: mqtt.unsubscribe(1, ["a"])[2:],
        T.PINGREQ: b"",
        T.DISCONNECT: b"",
        T.AUTH: b"\x18\x00",
    }.get(kind, b"\x00\x01")


@pytest.mark.parametrize("kind,flags", WRONG_FLAGS, ids=[f"{k.name}-{f}" for k, f in WRONG_FLAGS])
def test_MQTT_2_1_3_1_reserved_flags(v5, kind, flags):
    """A packet with other flags than the table's is malformed."""
    client = v5.connect()
    client.send(mqtt.packet(kind, flags, bodied(kind)))
    client.expect_disconnect(0x81)


def test_MQTT_2_1_3_1_reserved_flags_of_CONNECT(v5):
    """CONNECT with flags set is refused without being accepted first."""
    packet = bytearray(mqtt.connect(v5.id("c")))
    packet[0] |= 2
    client = v5.open()
    client.send(packet)
    try:
        assert client.recv().code == 0x81
    except AssertionError as fault:
        assert "closed" in str(fault)
        return
    client.expect_eof()


def test_MQTT_2_2_1_2_QoS_0_has_no_identifier(v5):
    """A QoS 0 PUBLISH is topic, properties, payload, in both directions."""
    client = v5.connect()
    topic = v5.topic("a")
    client.subscribe(topic)
    client.send(mqtt.publish(topic, b"\x00\x01\x00"))
    assert client.message(topic, b"\x00\x01\x00", qos=0).raw == mqtt.publish(topic, b"\x00\x01\x00")


@pytest.mark.parametrize(
    "packet",
    [
        mqtt.subscribe(0, [("a", 0)]),
        mqtt.unsubscribe(0, ["a"]),
        mqtt.publish("a", qos=1, pid=0),
        mqtt.publish("a", qos=2, pid=0),
    ],
    ids=["SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH1", "PUBLISH2"],
)
def test_MQTT_2_2_1_3_identifier_zero_is_refused(v5, packet):
    """Packet identifier 0 ends the connection."""
    client = v5.connect()
    client.send(packet)
    client.expect_disconnect(0x81, 0x82)


def test_MQTT_2_2_1_4_identifiers_of_the_server_are_free_and_not_zero(v5):
    """Unacknowledged messages have different identifiers; one acknowledged may come again."""
    client = v5.connect()
    topic = v5.topic("a")
    client.subscribe(topic, qos=2)
    publisher = v5.publisher()
    for i in range(20):
        publisher.publish(topic, b"%d" % i, qos=1 + i % 2)
    messages = [client.message(topic, b"%d" % i, finish=False) for i in range(20)]
    assert len({m.pid for m in messages}) == 20 and 0 not in {m.pid for m in messages}
    for message in messages[::2]:
        client.finish(message)
    for i in range(10):
        publisher.publish(topic, b"again", qos=1)
    again = [client.message(topic, b"again", finish=False) for _ in range(10)]
    assert not {m.pid for m in again} & {m.pid for m in messages[1::2]}


def test_MQTT_2_2_1_5_acknowledgements_repeat_the_identifier(v5):
    """PUBACK, PUBREC and PUBCOMP carry the identifier of the PUBLISH, PUBREL that of the
    server's."""
    client = v5.connect()
    topic = v5.topic("a")
    client.send_publish(topic, qos=1, pid=65535)
    assert client.expect(T.PUBACK).pid == 65535
    client.send_publish(topic, qos=2, pid=256)
    assert client.expect(T.PUBREC).pid == 256
    client.send(mqtt.ack(T.PUBREL, 256))
    assert client.expect(T.PUBCOMP).pid == 256
    client.subscribe(topic, qos=2)
    v5.publisher().publish(topic, qos=2)
    message = client.message(topic, finish=False)
    client.ack(message)
    client.ack(client.expect(T.PUBREL, pid=message.pid))


def test_MQTT_2_2_1_6_SUBACK_and_UNSUBACK_repeat_the_identifier(v5):
    """Identifiers 1, 255, 256 and 65535 come back unchanged."""
    client = v5.connect()
    for pid in (1, 255, 256, 65535):
        client.send(mqtt.subscribe(pid, [(v5.topic("a"), 0)]))
        client.expect(T.SUBACK, pid=pid)
        client.send(mqtt.unsubscribe(pid, [v5.topic("a")]))
        client.expect(T.UNSUBACK, pid=pid)


def test_MQTT_2_2_2_1_no_properties_is_a_zero_length(v5):
    """PUBLISH, SUBACK and UNSUBACK without properties have the zero byte, and need it on the way
    in."""
    client = v5.connect()
    topic = v5.topic("a")
    assert client.subscribe(topic).raw[4:] == b"\x00\x00"
    client.publish(topic, b"p")
    assert client.message(topic).raw[-2:] == b"\x00p"
    assert client.unsubscribe(topic).raw[4:] == b"\x00\x00"
    client.send(mqtt.packet(T.PUBLISH, 0, mqtt.field("a")))
    client.expect_disconnect(0x81)
