# SPDX-License-Identifier: MIT
"""MQTT 5.0 with other settings: reduced capabilities, small limits, queue policies, what can be
switched on."""

import signal
import time

import mqtt
import pytest
from client import DEADLINE, payloads
from conftest import timed
from mqtt import T

KEEP = {"session_expiry_interval": 60}

REDUCED = {
    "protocol.max_qos": 1,
    "protocol.retain": "false",
    "protocol.wildcards": "false",
    "protocol.subscription_identifiers": "false",
    "protocol.shared_subscriptions": "false",
}
SMALL = {
    "limits.max_packet_size": 2048,
    "limits.max_topic_levels": 8,
    "limits.max_topic_size": 200,
    "limits.max_client_id": 30,
    "limits.max_subscriptions": 10,
    "session.max_inflight": 2,
    "session.receive_maximum": 4,
    "session.expiry_max": "10s",
    "keepalive.max": "30s",
    "queue.max_messages": 5,
    "retained.max_payload": 100,
}
SPECIAL = {
    "protocol.check_payload_format": "true",
    "protocol.response_information": "answers/",
    "protocol.topic_alias_max_in": 0,
    "protocol.topic_alias_max_out": 0,
    "session.takeover_by_other_user": "true",
    "session.empty_client_id": "false",
}


@pytest.fixture
def reduced(configured):
    return configured(5, **REDUCED)


@pytest.fixture
def small(configured):
    return configured(5, **SMALL)


@pytest.fixture
def special(configured):
    return configured(5, **SPECIAL)


# ---- reduced capabilities


def test_MQTT_3_2_2_9_missing_capabilities_are_announced(reduced):
    """Maximum QoS 1, and 0 for each missing feature."""
    props = reduced.connect().connack.props
    assert props["maximum_qos"] == 1
    for name in (
        "retain",
        "wildcard_subscription",
        "subscription_identifier",
        "shared_subscription",
    ):
        assert props[f"{name}_available"] == 0


def test_MQTT_3_2_2_10_subscribing_with_any_QoS_is_accepted(reduced):
    """Granted no more than the server's maximum."""
    client = reduced.connect()
    names = [reduced.topic(name) for name in "abc"]
    assert client.subscribe((names[0], 0), (names[1], 1), (names[2], 2)).codes == [0, 1, 1]
    client.publish(names[2], b"m", qos=1)
    client.message(names[2], b"m", qos=1)


def test_MQTT_3_2_2_11_publishing_above_the_maximum(reduced):
    """0x9B and the end."""
    client = reduced.connect()
    client.send(mqtt.publish(reduced.topic("a"), qos=2, pid=1))
    client.expect_disconnect(0x9B)


def test_MQTT_3_2_2_12_will_above_the_maximum(reduced):
    """The CONNECT is refused with 0x9B."""
    reduced.refused(mqtt.connect("c", will=mqtt.Will("w", qos=2)), 0x9B)


def test_MQTT_3_2_2_13_retained_will_without_retain(reduced):
    """The CONNECT is refused with 0x9A."""
    reduced.refused(mqtt.connect("c", will=mqtt.Will("w", retain=True)), 0x9A)


def test_MQTT_3_2_2_14_publishing_retained_without_retain(reduced):
    """0x9A and the end."""
    client = reduced.connect()
    client.send(mqtt.publish(reduced.topic("a"), b"m", retain=True))
    client.expect_disconnect(0x9A)


@pytest.mark.parametrize(
    "text,props,code",
    [
        ("a/+", None, 0xA2),
        ("#", None, 0xA2),
        ("$share/g/a", None, 0x9E),
        ("a", {"subscription_identifier": 1}, 0xA1),
    ],
    ids=["plus", "hash", "shared", "identifier"],
)
def test_subscribing_with_what_the_server_lacks(reduced, text, props, code):
    """A protocol error that has a code of its own; a SUBACK with that code is no less clear."""
    client = reduced.connect()
    client.send(mqtt.subscribe(1, [(text, 0)], props))
    packet = client.recv()
    if packet.type == T.SUBACK and code != 0xA1:
        assert packet.codes == [code]
        return
    assert packet.type == T.DISCONNECT and packet.code == code, packet
    client.expect_eof()


# ---- small limits


def test_small_limits_are_announced(small):
    """Maximum Packet Size, Receive Maximum."""
    props = small.connect().connack.props
    assert (props["maximum_packet_size"], props["receive_maximum"]) == (2048, 4)


def test_MQTT_3_2_2_15_packets_above_the_limit(small):
    """2048 bytes are taken, 2049 get 0x95."""
    topic = small.topic("a")
    empty = len(mqtt.publish(topic, b"x" * 1000)) - 1000
    client = small.connect()
    client.subscribe(topic)
    client.send(mqtt.publish(topic, b"x" * (2048 - empty)))
    client.message(topic)
    client.send(mqtt.publish(topic, b"x" * (2049 - empty)))
    client.expect_disconnect(0x95)


@pytest.mark.parametrize("length", [31, 300])
def test_MQTT_3_1_3_8_rejected_client_id(small, length):
    """CONNACK 0x85 and the end; one of the allowed length works."""
    small.connect(raw_id="i" * 30).disconnect()
    small.refused(mqtt.connect("i" * length), 0x85)


def test_topics_above_the_limits(small):
    """Too many levels or bytes: the message is refused with 0x90, the filter with 0x8F or 0x97."""
    many, long = small.topic("/".join("abcdefgh")), small.topic("x" * 200)
    for bad in (many, long):
        client = small.connect()
        pid = client.send_publish(bad, qos=1)
        packet = client.recv()
        assert packet.type in (T.PUBACK, T.DISCONNECT) and packet.code == 0x90, packet
        assert packet.type == T.DISCONNECT or packet.pid == pid
        client = small.connect()
        (code,) = client.subscribe(bad).codes
        assert code in (0x8F, 0x97)
        client.ping()
    client = small.connect()
    good = small.topic("/".join("abcdefg"))
    assert client.subscribe(good, qos=1).codes == [1]
    client.publish(good, b"m", qos=1)
    client.message(good, b"m")


def test_subscriptions_above_the_limit(small):
    """0x97; replacing one of them is allowed, and after UNSUBSCRIBE there is room again."""
    client = small.connect()
    names = [small.topic(f"{i}") for i in range(12)]
    assert client.subscribe(*names).codes == [0] * 10 + [0x97] * 2
    assert client.subscribe(names[3], qos=1).codes == [1]
    assert client.subscribe(names[11]).codes == [0x97]
    client.unsubscribe(names[0])
    assert client.subscribe(names[11], names[10]).codes == [0, 0x97]


def test_receive_maximum_of_the_settings(small):
    """A fifth unreleased QoS 2 message gets 0x93."""
    client = small.connect()
    client.send(*[mqtt.publish(small.topic("a"), qos=2, pid=i + 1) for i in range(4)])
    for i in range(4):
        client.expect(T.PUBREC, pid=i + 1)
    client.send(mqtt.publish(small.topic("a"), qos=2, pid=5))
    client.expect_disconnect(0x93)


def test_session_expiry_is_capped(small):
    """A longer wish, and the endless one, become 10 s and are told so; a shorter one stays."""
    for wish in (11, 3600, 0xFFFFFFFF):
        props = small.connect(props={"session_expiry_interval": wish}).connack.props
        assert props["session_expiry_interval"] == 10
    props = small.connect(props={"session_expiry_interval": 9}).connack.props
    assert props.get("session_expiry_interval", 9) == 9


def test_keep_alive_is_capped(small):
    """A longer one, and none, become 30 s by Server Keep Alive; a shorter one stays."""
    for wish in (31, 65535, 0):
        assert small.connect(keep_alive=wish).connack.props["server_keep_alive"] == 30
    assert small.connect(keep_alive=29).connack.props.get("server_keep_alive", 29) == 29


@pytest.mark.parametrize("qos", [1, 2])
def test_a_full_queue_drops_its_oldest(small, qos):
    """Absent: the last five of eight wait. Connected with a full window: what is in flight is not
    touched."""
    client = small.connect("c", props=KEEP)
    topic = small.topic("a")
    client.subscribe(topic, qos=2)
    client.disconnect()
    for i in range(8):
        small.publisher().publish(topic, b"%d" % i, qos=qos)
    client = client.reconnect()
    for i in range(3, 8):
        client.message(topic, b"%d" % i, qos=qos)
    for i in range(10):
        small.publisher().publish(topic, b"%d" % i, qos=qos)
    window = [client.message(topic, b"%d" % i, finish=False) for i in range(2)]
    client.ping()
    for message in window:
        client.finish(message)
    for i in range(5, 10):
        client.message(topic, b"%d" % i, qos=qos)


def test_a_full_queue_of_a_group_of_absent_members(small):
    """A shared subscription's queue has the same limit."""
    client = small.connect("c", props=KEEP)
    client.subscribe("$share/g/" + small.topic("a"), qos=1)
    client.disconnect()
    for i in range(8):
        small.publisher().publish(small.topic("a"), b"%d" % i, qos=1)
    client = client.reconnect()
    for i in range(3, 8):
        client.message(small.topic("a"), b"%d" % i)


def test_too_large_payloads_are_delivered_but_not_retained(small):
    """Above retained.max_payload."""
    client = small.connect()
    client.subscribe(small.topic("#"), qos=1)
    for name, size in (("a", 100), ("b", 101)):
        small.publisher().publish(small.topic(name), b"x" * size, qos=1, retain=True)
        client.message(small.topic(name), b"x" * size)
    late = small.connect()
    late.subscribe(small.topic("#"), qos=1)
    assert [len(p) for p in payloads(late.collect_retained())] == [100]


def test_queue_policy_drop_new(configured):
    """The first five stay."""
    bench = configured(5, **{"queue.max_messages": 5, "queue.policy": "drop_new"})
    client = bench.connect("c", props=KEEP)
    client.subscribe(bench.topic("a"), qos=1)
    client.disconnect()
    for i in range(8):
        bench.publisher().publish(bench.topic("a"), b"%d" % i, qos=1)
    assert payloads(client.reconnect().collect(bench.publisher())) == [b"%d" % i for i in range(5)]


def test_queue_policy_disconnect(configured):
    """A connected client whose queue overflows gets 0x97 and the end."""
    bench = configured(5, **{"queue.max_messages": 5, "queue.policy": "disconnect"})
    client = bench.connect(props={"receive_maximum": 1})
    client.subscribe(bench.topic("a"), qos=1)
    for i in range(8):
        bench.publisher().publish(bench.topic("a"), b"%d" % i, qos=1)
    client.message(bench.topic("a"), b"0", finish=False)
    client.expect_disconnect(0x97)


@pytest.mark.parametrize("qos", [0, 1])
def test_a_group_without_a_queue_passes_on_at_once(configured, qos):
    """queue.max_messages 0: what a member can take goes on, only what would wait is dropped."""
    bench = configured(5, **{"queue.max_messages": 0})
    client = bench.connect()
    client.subscribe("$share/g/" + bench.topic("a"), qos=qos)
    for i in range(4):
        bench.publisher().publish(bench.topic("a"), b"%d" % i, qos=qos)
        client.message(bench.topic("a"), b"%d" % i)


def connect_as_many_as_there_is_room_for(bench, count):
    """`count` clients; a connection that has just ended may still count for a moment."""
    clients = []
    until = time.monotonic() + DEADLINE
    while len(clients) < count:
        client = bench.open()
        if client.handshake(client_id="").code == 0:
            clients.append(client)
        else:
            client.expect_eof()
        assert time.monotonic() < until, f"room for {len(clients)} connections"
    return clients


def test_connections_above_the_limit(configured):
    """CONNACK 0x97 and the end; room again when one leaves."""
    bench = configured(5, **{"limits.max_connections": 3})
    clients = connect_as_many_as_there_is_room_for(bench, 3)
    bench.refused(mqtt.connect("c"), 0x97)
    clients[0].disconnect()
    connect_as_many_as_there_is_room_for(bench, 1)[0].ping()


def test_retained_messages_above_the_limit(configured):
    """More are delivered, but not kept; replacing a kept one is allowed."""
    bench = configured(5, **{"retained.max_count": 3, "sys.interval": 0})
    client = bench.connect()
    client.subscribe(bench.topic("#"), qos=1)
    for i in range(5):
        bench.publisher().publish(bench.topic(f"{i}"), b"%d" % i, qos=1, retain=True)
        client.message(bench.topic(f"{i}"), b"%d" % i)
    bench.publisher().publish(bench.topic("1"), b"new", qos=1, retain=True)
    late = bench.connect()
    late.subscribe(bench.topic("#"), qos=1)
    found = [late.message(retain=True).payload for _ in range(3)]
    assert sorted(found) == [b"0", b"2", b"new"]
    late.ping()


# ---- what can be switched on


def test_payload_format_is_checked_on_request(special):
    """Declared text that is no UTF-8 is refused with 0x99; everything else passes."""
    client = special.connect()
    topic = special.topic("a")
    client.subscribe(topic, qos=1)
    text = {"payload_format_indicator": 1}
    assert client.publish(topic, b"\xff", qos=1, props=text).code == 0x99
    client.publish(topic, "é", qos=1, props=text)
    client.message(topic, "é")
    client.publish(topic, b"\xff", qos=1, props={"payload_format_indicator": 0})
    client.message(topic, b"\xff")
    client.publish(topic, b"\xff", qos=1)
    client.message(topic, b"\xff")
    client.ping()


def test_MQTT_4_3_3_9_after_a_refusing_PUBREC_the_identifier_is_new(special):
    """PUBREC 0x99 ends the handshake: the identifier carries another message, without PUBREL."""
    client = special.connect()
    topic = special.topic("a")
    client.subscribe(topic, qos=2)
    text = {"payload_format_indicator": 1}
    publisher = special.connect()
    for payload, code in ((b"\xff", 0x99), (b"\xfe", 0x99), (b"good", 0)):
        publisher.send(mqtt.publish(topic, payload, qos=2, pid=7, props=text))
        publisher.expect(T.PUBREC, pid=7, code=code)
    publisher.send(mqtt.ack(T.PUBREL, 7))
    publisher.expect(T.PUBCOMP, pid=7, code=0)
    assert payloads(client.collect(publisher)) == [b"good"]


def test_refused_PUBLISHes_do_not_use_up_the_receive_maximum(special):
    """A PUBREC of 0x80 and more gives its place back."""
    client = special.connect()
    maximum = client.connack.props["receive_maximum"]
    text = {"payload_format_indicator": 1}
    for i in range(maximum + 10):
        client.send(mqtt.publish(special.topic("a"), b"\xff", qos=2, pid=i + 1, props=text))
        client.expect(T.PUBREC, pid=i + 1, code=0x99)
    client.ping()


def test_ill_formed_will_payload_is_refused(special):
    """CONNACK 0x99."""
    will = mqtt.Will("w", b"\xff", props={"payload_format_indicator": 1})
    special.refused(mqtt.connect("c", will=will), 0x99)


def test_response_information_on_request(special):
    """Only for clients that ask with 1."""
    asking = special.connect("a", props={"request_response_information": 1})
    assert asking.connack.props["response_information"] == "answers/"
    assert "response_information" not in special.connect("b").connack.props


def test_takeover_by_another_user_if_configured(special):
    """The older connection gets 0x8E."""
    first = special.connect("c", username="alice", password="a")
    second = special.connect("c", username="bob", password="b")
    first.expect_disconnect(0x8E)
    second.ping()


def test_empty_client_ids_can_be_refused(special):
    """CONNACK 0x85."""
    special.refused(mqtt.connect(""), 0x85)


def test_MQTT_3_2_2_18_no_aliases_when_none_are_announced(special):
    """Topic Alias Maximum absent or 0: an alias gets 0x94."""
    client = special.connect(props={"topic_alias_maximum": 10})
    assert client.connack.props.get("topic_alias_maximum", 0) == 0
    client.subscribe(special.topic("a"))
    for _ in range(3):
        client.publish(special.topic("a"))
        assert "topic_alias" not in client.message().props
    client.send(mqtt.publish(special.topic("a"), props={"topic_alias": 1}))
    client.expect_disconnect(0x94)


@pytest.mark.parametrize("reason,code", [("use_another", 0x9C), ("moved", 0x9D)])
def test_server_reference(configured, reason, code):
    """Every CONNECT is sent elsewhere."""
    settings = {"protocol.server_reference": "other.example:1883"}
    settings["protocol.server_reference_reason"] = reason
    connack = configured(5, **settings).refused(mqtt.connect("c"), code)
    assert connack.props["server_reference"] == "other.example:1883"


def test_anonymous_clients_can_be_refused(configured):
    """Nobody to let them in: CONNACK 0x87 (or 0x86), and nothing of what follows is done."""
    bench = configured(5, **{"listener.default.anonymous": "never"})
    bench.refused(mqtt.connect("c"), 0x86, 0x87)
    bench.refused(mqtt.connect("c", username="u", password="p") + mqtt.PINGREQ, 0x86, 0x87)


def test_stopping_server_says_so(configured):
    """DISCONNECT 0x8B and the end; 3.1.1 clients just the end; the process ends with 0."""
    bench = configured(5, **{"stop.grace": "2s"})
    clients = [bench.connect(version=version) for version in (5, 4, 5)]
    idle = bench.open()
    bench.broker.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.expect_disconnect(0x8B)
    idle.expect_eof()
    assert bench.broker.stop() == 0


HASTY = {"connect.timeout": "1s", "keepalive.server": "1s"}


@timed
def test_connection_without_CONNECT_is_closed(configured):
    """After connect.timeout, whether nothing came or only a part."""
    bench = configured(5, **HASTY)
    clients = [bench.open() for _ in range(3)]
    clients[1].send(mqtt.connect("c")[:-1])
    clients[2].send(b"\x10")
    for client in clients:
        client.expect_eof()


@timed
def test_MQTT_3_1_2_21_MQTT_3_2_2_21_server_keep_alive(configured):
    """Told in CONNACK, and it is what counts: a silent client is disconnected after 1.5 s."""
    bench = configured(5, **HASTY)
    client = bench.connect(keep_alive=600)
    assert client.connack.props["server_keep_alive"] == 1
    client.expect_disconnect(0x8D)
