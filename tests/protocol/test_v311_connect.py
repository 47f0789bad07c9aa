# SPDX-License-Identifier: MIT
"""MQTT 3.1.1, chapters 1 and 2, 3.1, 3.2, 3.14: format, CONNECT, sessions, wills, DISCONNECT."""

import string

import mqtt
import pytest
from client import payloads
from mqtt import T
from test_v5_connect import unsupported

VERSION = 4


def connect(client_id, **options):
    return mqtt.connect(client_id, version=VERSION, **options)


def publish(topic, payload=b"", **options):
    return mqtt.publish(topic, payload, version=VERSION, **options)


def subscribe(pid, filters, **options):
    return mqtt.subscribe(pid, filters, version=VERSION, **options)


def unsubscribe(pid, filters, **options):
    return mqtt.unsubscribe(pid, filters, version=VERSION, **options)


def closed_by(bench, packet):
    """A connected client that sends this is closed without an answer."""
    client = bench.connect()
    client.send(packet)
    client.expect_eof()


def closed_at_once(bench, packet):
    """A CONNECT that is closed without a CONNACK."""
    client = bench.open()
    client.send(packet)
    client.expect_eof()


# ---- format


@pytest.mark.parametrize(
    "text", [b"\xed\xa0\x80", b"\xc0\xaf", b"a\xe2\x82", b"\xff", b"\xf5\x80\x80\x80"]
)
def test_MQTT_1_5_3_1_ill_formed_utf8_closes(v311, text):
    """In topics, filters and every text of CONNECT."""
    for packet in (publish(text), subscribe(1, [(text, 0)]), unsubscribe(1, [text])):
        closed_by(v311, packet)
    closed_at_once(v311, connect(text))
    closed_at_once(v311, connect("u", username=text))
    closed_at_once(v311, connect("u", will=mqtt.Will(text)))


def test_MQTT_1_5_3_2_NUL_closes(v311):
    """U+0000 in any text field."""
    for packet in (publish("a\0"), subscribe(1, [("a\0", 0)]), unsubscribe(1, ["\0"])):
        closed_by(v311, packet)
    closed_at_once(v311, connect("a\0b"))
    closed_at_once(v311, connect("u", will=mqtt.Will("w\0")))


def test_MQTT_1_5_3_3_byte_order_mark_is_kept(v311):
    """A topic with U+FEFF is another topic than that without, and arrives with it."""
    client = v311.connect()
    topic = v311.topic("\ufeffx")
    client.subscribe(v311.topic("x"), topic)
    client.publish(topic, b"1")
    client.message(topic, b"1")
    client.ping()


WRONG_FLAGS = [
    (T.PUBACK, b"\x00\x01", 0),
    (T.PUBREC, b"\x00\x01", 0),
    (T.PUBCOMP, b"\x00\x01", 0),
    (T.PINGREQ, b"", 0),
    (T.DISCONNECT, b"", 0),
    (T.SUBSCRIBE, subscribe(1, [("a", 0)])[2:], 2),
    (T.UNSUBSCRIBE, unsubscribe(1, ["a"])[2:], 2),
    (T.PUBREL, b"\x00\x01", 2),
]


@pytest.mark.parametrize("kind,data,right", WRONG_FLAGS, ids=[f[0].name for f in WRONG_FLAGS])
def test_MQTT_2_2_2_1_MQTT_2_2_2_2_wrong_flags_close(v311, kind, data, right):
    """Every value of the flags but the table's (the decoder checks the server's)."""
    for flags in {0, 1, 2, 3, 4, 8, 15} - {right}:
        closed_by(v311, mqtt.packet(kind, flags, data))


def test_MQTT_2_2_2_2_wrong_flags_of_CONNECT(v311):
    """CONNECT too."""
    packet = bytearray(connect(v311.id("c")))
    packet[0] |= 1
    closed_at_once(v311, bytes(packet))


@pytest.mark.parametrize(
    "packet",
    [
        subscribe(0, [("a", 0)]),
        unsubscribe(0, ["a"]),
        publish("a", qos=1, pid=0),
        publish("a", qos=2, pid=0),
    ],
    ids=["SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH1", "PUBLISH2"],
)
def test_MQTT_2_3_1_1_identifier_zero_closes(v311, packet):
    """Packet identifier 0."""
    closed_by(v311, packet)


def test_MQTT_2_3_1_4_identifiers_of_the_server(v311):
    """Unacknowledged messages have different identifiers, none 0 (the client checks)."""
    client = v311.connect()
    topic = v311.topic("a")
    client.subscribe(topic, qos=2)
    for i in range(20):
        v311.publisher().publish(topic, b"%d" % i, qos=1 + i % 2)
    pids = [client.message(topic, b"%d" % i, finish=False).pid for i in range(20)]
    assert len(set(pids)) == 20 and 0 not in pids


def test_MQTT_2_3_1_5_QoS_0_has_no_identifier(v311):
    """A QoS 0 PUBLISH is topic and payload."""
    client = v311.connect()
    topic = v311.topic("a")
    client.subscribe(topic)
    client.send(publish(topic, b"\x00\x01"))
    assert client.message(topic).raw == publish(topic, b"\x00\x01")


def test_MQTT_2_3_1_6_acknowledgements_repeat_the_identifier(v311):
    """PUBACK, PUBREC and PUBCOMP that of the PUBLISH, PUBREL that of the server's."""
    client = v311.connect()
    topic = v311.topic("a")
    client.send_publish(topic, qos=1, pid=65535)
    client.expect(T.PUBACK, pid=65535)
    client.send_publish(topic, qos=2, pid=256)
    client.expect(T.PUBREC, pid=256)
    client.send(mqtt.ack(T.PUBREL, 256))
    client.expect(T.PUBCOMP, pid=256)
    client.subscribe(topic, qos=2)
    v311.publisher().publish(topic, qos=2)
    message = client.message(topic, finish=False)
    client.ack(message)
    client.ack(client.expect(T.PUBREL, pid=message.pid))


def test_MQTT_2_3_1_7_SUBACK_and_UNSUBACK_repeat_the_identifier(v311):
    """Unchanged."""
    client = v311.connect()
    for pid in (1, 255, 256, 65535):
        client.send(subscribe(pid, [(v311.topic("a"), 0)]))
        client.expect(T.SUBACK, pid=pid)
        client.send(unsubscribe(pid, [v311.topic("a")]))
        client.expect(T.UNSUBACK, pid=pid)


# ---- CONNECT


@pytest.mark.parametrize(
    "packet", [mqtt.PINGREQ, publish("a"), subscribe(1, [("a", 0)]), b"\xe0\x00"]
)
def test_MQTT_3_1_0_1_first_packet_must_be_CONNECT(v311, packet):
    """Anything else first is closed."""
    closed_at_once(v311, packet)


def test_MQTT_3_1_0_2_second_CONNECT_closes(v311):
    """A protocol violation."""
    client = v311.connect("c")
    client.send(connect(v311.id("c")))
    client.expect_eof()


@pytest.mark.parametrize("name", ["MQTX", "mqtt", "MQT", ""])
def test_MQTT_3_1_2_1_wrong_protocol_name(v311, name):
    """Closed, and never served as 3.1.1."""
    unsupported(v311, connect(v311.id("c"), protocol=name))


@pytest.mark.parametrize("level", [0, 1, 2, 6, 0x84, 255])
def test_MQTT_3_1_2_2_unsupported_level(v311, level):
    """CONNACK 0x01 (or, for what calls itself newer, 5.0's 0x84), then closed."""
    assert unsupported(v311, mqtt.connect(v311.id("c"), version=level))


def test_MQTT_3_1_2_3_reserved_connect_flag(v311):
    """Bit 0 of the connect flags set: closed."""
    closed_at_once(v311, connect(v311.id("c"), flags_or=1))


def test_MQTT_3_1_2_4_CleanSession_0_resumes_or_creates(v311):
    """The session is kept after the connection ends, by DISCONNECT or without."""
    client = v311.connect("c", clean=False)
    assert not client.connack.session_present
    client.subscribe(v311.topic("a"), qos=1)
    for end in ("disconnect", "drop"):
        getattr(client, end)()
        client = client.reconnect()
        assert client.connack.session_present
    v311.publisher().publish(v311.topic("a"), b"m", qos=1)
    client.message(v311.topic("a"), b"m")


def test_MQTT_3_1_2_5_stored_session_collects_messages(v311):
    """QoS 1 and 2 that match, in order; not QoS 0."""
    client = v311.connect("c", clean=False)
    client.subscribe(v311.topic("a"), qos=2)
    client.disconnect()
    for i in range(9):
        v311.publisher().publish(v311.topic("a"), b"%d" % i, qos=i % 3)
    found = client.reconnect().collect(v311.publisher())
    assert payloads(found) == [b"%d" % i for i in range(9) if i % 3]


def test_MQTT_3_1_2_6_CleanSession_1_drops_the_session(v311):
    """The old one is gone, and the new one ends with its connection."""
    client = v311.connect("c", clean=False)
    client.subscribe(v311.topic("a"), qos=1)
    client.disconnect()
    v311.publisher().publish(v311.topic("a"), b"m", qos=1)
    client = v311.connect("c", clean=True)
    assert not client.connack.session_present
    assert client.collect(v311.publisher()) == []
    client.subscribe(v311.topic("b"), qos=1)
    client.disconnect()
    client = v311.connect("c", clean=False)
    assert not client.connack.session_present
    v311.publisher().publish(v311.topic("b"), b"m", qos=1)
    assert client.collect(v311.publisher()) == []


def test_MQTT_3_1_2_7_retained_messages_survive_the_session(v311):
    """They belong to the server."""
    client = v311.connect("c", clean=True)
    client.publish(v311.topic("a"), b"r", qos=1, retain=True)
    client.disconnect()
    v311.connect("c", clean=True).disconnect()
    late = v311.connect()
    late.subscribe(v311.topic("a"), qos=1)
    late.message(v311.topic("a"), b"r", retain=True)


def watch(bench):
    client = bench.connect("watcher")
    client.subscribe(bench.topic("w"), qos=2)
    return client


def will(bench, **options):
    return mqtt.Will(bench.topic("w"), b"w", **options)


def test_MQTT_3_1_2_8_will_is_published(v311):
    """When the connection is lost, or ended by the server; not after DISCONNECT."""
    watcher = watch(v311)
    for qos in (0, 1, 2):
        v311.connect(will=will(v311, qos=qos)).drop()
        watcher.message(v311.topic("w"), b"w", qos=qos, retain=False)
    client = v311.connect(will=will(v311))
    client.send(b"\x00\x00")
    client.expect_eof()
    watcher.message(v311.topic("w"), b"w")
    client = v311.connect("c", will=will(v311))
    v311.connect("c")
    client.expect_eof()
    watcher.message(v311.topic("w"), b"w")


MALFORMED = {
    "MQTT_3_1_2_9_will_flag_without_will": connect("a", flags=0x06),
    "MQTT_3_1_2_9_will_without_message": mqtt.packet(
        T.CONNECT, 0, connect("a", flags=0x06)[2:] + mqtt.field("w")
    ),
    "MQTT_3_1_2_11_will_without_flag": mqtt.packet(
        T.CONNECT, 0, connect("a")[2:] + mqtt.field("w") + mqtt.field("m")
    ),
    "MQTT_3_1_2_13_will_qos_without_flag": connect("a", flags=0x0A),
    "MQTT_3_1_2_14_will_qos_3": connect("a", will=mqtt.Will("w", qos=3)),
    "MQTT_3_1_2_15_will_retain_without_flag": connect("a", flags=0x22),
    "MQTT_3_1_2_18_user_name_without_flag": connect("a", flags=0x02, username="u"),
    "MQTT_3_1_2_19_flag_without_user_name": connect("a", flags=0x82),
    "MQTT_3_1_2_20_password_without_flag": connect("a", flags=0x82, username="u", password="p"),
    "MQTT_3_1_2_21_flag_without_password": connect("a", flags=0xC2, username="u"),
    "MQTT_3_1_2_22_password_without_user_name": connect("a", password="p"),
    "MQTT_3_1_3_3_no_client_id": mqtt.packet(
        T.CONNECT, 0, mqtt.field("MQTT") + b"\x04\x02\x00\x3c"
    ),
    "client_id_cut": mqtt.packet(T.CONNECT, 0, mqtt.field("MQTT") + b"\x04\x02\x00\x3c\x00\x05ab"),
    "bytes_behind": mqtt.packet(T.CONNECT, 0, connect("a")[2:] + b"x"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_MQTT_3_1_4_1_malformed_CONNECT_closes_without_CONNACK(v311, case):
    """The format is checked before anything else."""
    closed_at_once(v311, MALFORMED[case])


def test_MQTT_3_1_2_10_MQTT_3_14_4_3_DISCONNECT_discards_the_will(v311):
    """It is gone for good, also when the session's next connection is lost."""
    watcher = watch(v311)
    client = v311.connect("c", clean=False, will=will(v311))
    client.disconnect()
    client.reconnect(will=None).drop()
    assert watcher.collect(v311.publisher()) == []


def test_MQTT_3_1_2_12_no_will_flag_no_will(v311):
    """A lost connection without a will publishes nothing."""
    watcher = watch(v311)
    v311.connect("c", will=None).drop()
    assert watcher.collect(v311.publisher()) == []


@pytest.mark.parametrize("retain", [False, True])
def test_MQTT_3_1_2_16_MQTT_3_1_2_17_will_retain(v311, retain):
    """Stored for later subscribers only if asked for."""
    watcher = watch(v311)
    v311.connect(will=will(v311, qos=1, retain=retain)).drop()
    watcher.message(v311.topic("w"), b"w", retain=False)
    late = v311.connect()
    late.subscribe(v311.topic("w"), qos=1)
    assert payloads(late.collect_retained()) == ([b"w"] if retain else [])


def test_MQTT_3_1_3_2_client_id_names_the_session(v311):
    """Other ids, other sessions."""
    for name in ("a", "A", "b"):
        client = v311.connect(name, clean=False)
        assert not client.connack.session_present
        client.disconnect()
    for name in ("a", "A", "b"):
        assert v311.connect(name, clean=False).connack.session_present


def test_MQTT_3_1_3_5_accepts_ids_of_1_to_23_letters_and_digits(v311):
    """Every character of the guaranteed set, and every length."""
    alphabet = string.digits + string.ascii_lowercase + string.ascii_uppercase
    for one in list(alphabet) + [alphabet[-length:] for length in range(1, 24)]:
        v311.connect(raw_id=one).disconnect()


def test_MQTT_3_1_3_6_empty_ids_are_unique(v311):
    """Clients with empty ids do not take each other over."""
    clients = [v311.connect(raw_id="") for _ in range(5)]
    for client in clients:
        assert not client.connack.session_present
        client.subscribe(v311.topic("a"), qos=1)
    v311.publisher().publish(v311.topic("a"), b"m", qos=1)
    for client in clients:
        client.message(v311.topic("a"), b"m")


def test_MQTT_3_1_3_7_MQTT_3_1_3_8_MQTT_3_1_3_9_empty_id_with_CleanSession_0(v311):
    """CONNACK 0x02 (identifier rejected) with Session Present 0, then closed."""
    connack = v311.refused(connect("", clean=False), 2)
    assert not connack.session_present


def test_MQTT_3_1_4_2_takeover_disconnects_the_older(v311):
    """The older connection of the same client id is closed, without a packet."""
    first = v311.connect("c")
    second = v311.connect("c")
    first.expect_eof()
    second.ping()


def test_takeover_across_versions(v311):
    """A 5.0 client takes over from a 3.1.1 client and the other way round; the session goes on."""
    old = v311.connect("c", clean=False)
    old.subscribe(v311.topic("a"), qos=1)
    new = v311.connect("c", version=5, clean=False, props={"session_expiry_interval": 60})
    assert new.connack.session_present
    old.expect_eof()
    v311.publisher().publish(v311.topic("a"), b"1", qos=1)
    new.message(v311.topic("a"), b"1")
    old = v311.connect("c", clean=False)
    assert old.connack.session_present
    new.expect_disconnect(0x8E)
    v311.publisher().publish(v311.topic("a"), b"2", qos=1)
    old.message(v311.topic("a"), b"2")


def test_same_client_id_of_another_user_is_refused(v311):
    """CONNACK 0x02, 0x04 or 0x05; the first connection stays."""
    first = v311.connect("c", username="alice", password="a")
    v311.refused(connect(v311.id("c"), username="bob", password="b"), 2, 4, 5)
    first.ping()


def test_MQTT_3_1_4_3_MQTT_3_1_4_4_valid_CONNECT(v311):
    """CleanSession is carried out and CONNACK 0 sent, byte for byte."""
    assert v311.connect("c", clean=False).connack.raw == b"\x20\x02\x00\x00"
    assert v311.connect("c", clean=False).connack.raw == b"\x20\x02\x01\x00"
    assert v311.connect("c", clean=True).connack.raw == b"\x20\x02\x00\x00"


def test_MQTT_3_1_4_5_nothing_behind_a_rejected_CONNECT_is_done(v311):
    """A retained PUBLISH in the same segment leaves no trace."""
    topic = v311.topic("r")
    v311.refused(connect("", clean=False) + publish(topic, b"x", retain=True), 2)
    client = v311.connect()
    client.subscribe(topic)
    assert client.collect_retained() == []


def test_MQTT_3_2_0_1_CONNACK_comes_first(v311):
    """Also when messages wait in the session."""
    client = v311.connect("c", clean=False)
    client.subscribe(v311.topic("a"), qos=1)
    client.disconnect()
    v311.publisher().publish(v311.topic("a"), b"m", qos=1)
    client = v311.open()
    client.send(connect(v311.id("c"), clean=False))
    client.expect(T.CONNACK)
    client.message(v311.topic("a"), b"m")


def test_MQTT_3_2_2_1_MQTT_3_2_2_2_MQTT_3_2_2_3_session_present(v311):
    """0 with CleanSession 1 and without a session, 1 when one is resumed."""
    assert not v311.connect("c", clean=True).connack.session_present
    assert not v311.connect("c", clean=False).connack.session_present
    assert v311.connect("c", clean=False).connack.session_present
    assert not v311.connect("c", clean=True).connack.session_present


def test_MQTT_3_2_2_4_MQTT_3_2_2_5_refusal(v311):
    """Session Present 0 (the decoder insists), and the connection is closed."""
    client = v311.open()
    client.send(connect("", clean=False) + mqtt.PINGREQ * 3)
    assert client.expect(T.CONNACK).raw == b"\x20\x02\x00\x02"
    client.expect_eof()


def test_MQTT_3_2_2_6_no_suitable_code_closes(v311):
    """A CONNECT for which no return code fits gets none."""
    closed_at_once(v311, connect("a", flags_or=1))


def test_MQTT_3_14_1_1_DISCONNECT_with_reserved_bits(v311):
    """Closed, and it was no clean end: the will goes out."""
    watcher = watch(v311)
    for flags in (1, 2, 4, 8, 15):
        client = v311.connect(will=will(v311))
        client.send(mqtt.packet(T.DISCONNECT, flags, b""))
        client.expect_eof()
        watcher.message(v311.topic("w"), b"w")


def test_DISCONNECT_is_followed_by_closing(v311):
    """The server closes when the client does not, and does nothing more."""
    watcher = v311.connect()
    watcher.subscribe(v311.topic("a"), qos=1)
    client = v311.connect()
    client.send(mqtt.disconnect() + publish(v311.topic("a"), b"late"))
    client.expect_eof()
    assert watcher.collect(v311.publisher()) == []


def test_MQTT_4_1_0_1_MQTT_4_1_0_2_session_lasts_as_long_as_its_connection(v311):
    """With CleanSession 1 too: subscriptions and handshakes go on until the end."""
    client = v311.connect(clean=True)
    topic = v311.topic("a")
    client.subscribe(topic, qos=2)
    client.send_publish(v311.topic("b"), qos=2, pid=9)
    client.expect(T.PUBREC, pid=9)
    for i in range(5):
        v311.publisher().publish(topic, b"%d" % i, qos=2)
        client.message(topic, b"%d" % i)
    client.send(mqtt.ack(T.PUBREL, 9))
    client.expect(T.PUBCOMP, pid=9)


VIOLATIONS = {
    "type_0": b"\x00\x00",
    "type_15": b"\xf0\x00",
    "five_length_bytes": b"\x30\xff\xff\xff\xff\x01",
    "length_not_shortest": b"\xc0\x80\x00",
    "CONNACK": b"\x20\x02\x00\x00",
    "SUBACK": b"\x90\x03\x00\x01\x00",
    "UNSUBACK": b"\xb0\x02\x00\x01",
    "PINGRESP": b"\xd0\x00",
    "PINGREQ_with_body": b"\xc0\x01\x00",
    "DISCONNECT_with_body": b"\xe0\x01\x00",
    "PUBLISH_empty": b"\x30\x00",
    "PUBLISH_topic_cut": b"\x30\x04\x00\x09ab",
    "PUBLISH_no_identifier": b"\x32\x03\x00\x01a",
    "PUBLISH_empty_topic": publish("", b"x"),
    "PUBLISH_dup_qos_0": publish("a", dup=True),
    "PUBLISH_too_large": b"\x30\xff\xff\xff\x7f",
    "PUBACK_empty": b"\x40\x00",
    "PUBACK_long": b"\x40\x03\x00\x01\x00",
    "PUBREL_long": b"\x62\x03\x00\x01\x00",
    "SUBSCRIBE_empty": b"\x82\x00",
    "SUBSCRIBE_identifier_only": b"\x82\x02\x00\x01",
    "SUBSCRIBE_without_qos": mqtt.packet(T.SUBSCRIBE, 2, b"\x00\x01" + mqtt.field("a")),
    "SUBSCRIBE_qos_3": subscribe(1, [("a", 3)]),
    "SUBSCRIBE_reserved_bits": subscribe(1, [("a", 4)]),
    "UNSUBSCRIBE_empty": b"\xa2\x00",
    "UNSUBSCRIBE_identifier_only": b"\xa2\x02\x00\x01",
}


@pytest.mark.parametrize("case", VIOLATIONS)
def test_MQTT_4_8_0_1_protocol_violation_closes(v311, case):
    """Without an answer; the will goes out."""
    watcher = watch(v311)
    client = v311.connect(will=will(v311))
    client.send(VIOLATIONS[case])
    client.expect_eof()
    watcher.message(v311.topic("w"), b"w")


def test_MQTT_7_1_1_1_ordered_byte_stream(v311):
    """A session byte by byte over TCP works like one in whole packets."""
    client = v311.open()
    topic = v311.topic("a")
    whole = b"".join(
        [connect(v311.id("c")), subscribe(1, [(topic, 1)]), publish(topic, b"m", qos=1, pid=2)]
    )
    for i in range(len(whole)):
        client.send(whole[i : i + 1])
    client.expect(T.CONNACK)
    client.await_type(T.SUBACK)
    client.await_type(T.PUBACK)
    assert client.await_type(T.PUBLISH).payload == b"m"


def test_MQTT_7_0_0_2_no_extension_is_needed(v311):
    """A client that knows nothing but the standard gets everything: the whole of this file shows
    it."""
    client = v311.connect(raw_id="", username=None)
    client.subscribe(v311.topic("a"), qos=2)
    client.publish(v311.topic("a"), b"m", qos=0)
    client.message(v311.topic("a"), b"m")
