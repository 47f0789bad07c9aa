# SPDX-License-Identifier: MIT
"""MQTT 3.1.1, 3.3 to 3.12 and chapter 4: messages, subscriptions, QoS, order, topics."""

import mqtt
import pytest
from client import gather, payloads
from mqtt import T
from test_v5_publish import MATCHES, MISSES, under
from test_v311_connect import closed_by, publish, subscribe, unsubscribe


def subscribed(bench, qos=2, name=None, **connect):
    client = bench.connect(name, **connect)
    topic = bench.topic("a")
    client.subscribe(topic, qos=qos)
    return client, topic


# ---- PUBLISH


def test_MQTT_3_3_1_1_DUP_on_redelivery(v311):
    """0 at first, 1 each time the session is resumed."""
    client, topic = subscribed(v311, name="c", clean=False)
    for qos in (1, 2):
        v311.publisher().publish(topic, b"%d" % qos, qos=qos)
    for dup in (False, True, True):
        for qos in (1, 2):
            client.message(topic, b"%d" % qos, dup=dup, finish=False)
        client.drop()
        client = client.reconnect()


def test_MQTT_3_3_1_2_DUP_at_QoS_0(v311):
    """Closes; the server never sends it (the decoder insists)."""
    closed_by(v311, publish("a", dup=True))


def test_MQTT_3_3_1_3_DUP_of_the_publisher_is_not_passed_on(v311):
    """The outgoing DUP tells about the outgoing packet only."""
    client, topic = subscribed(v311)
    for qos in (1, 2):
        v311.publisher().publish(topic, qos=qos, dup=True)
        client.message(topic, dup=False, qos=qos)


@pytest.mark.parametrize("flags", [0x06, 0x07, 0x0E])
def test_MQTT_3_3_1_4_both_QoS_bits_close(v311, flags):
    """QoS 3."""
    closed_by(v311, mqtt.packet(T.PUBLISH, flags, mqtt.field("a") + b"\x00\x01"))


def retained(bench, *filters):
    client = bench.connect()
    client.subscribe(*filters, qos=2)
    return client.collect_retained()


def test_MQTT_3_3_1_5_retained_message_and_QoS_are_stored(v311):
    """The last one of each topic."""
    topic = v311.topic("r")
    v311.publisher().publish(topic, b"1", qos=1, retain=True)
    v311.publisher().publish(topic, b"2", qos=2, retain=True)
    assert [(m.payload, m.qos) for m in retained(v311, topic)] == [(b"2", 2)]


def test_MQTT_3_3_1_6_MQTT_3_3_1_8_new_subscription_gets_retained_messages(v311):
    """One for each matching topic, with RETAIN 1."""
    for name in ("r/1", "r/2", "q"):
        v311.publisher().publish(v311.topic(name), name, qos=1, retain=True)
    found = retained(v311, v311.topic("r/+"))
    assert sorted((m.payload, m.retain) for m in found) == [(b"r/1", True), (b"r/2", True)]


def test_MQTT_3_3_1_7_retained_QoS_0_replaces(v311):
    """The former message is discarded; the new one is stored by this server."""
    topic = v311.topic("r")
    v311.publisher().publish(topic, b"old", qos=2, retain=True)
    v311.publisher().publish(topic, b"new", qos=0, retain=True)
    v311.publisher().fence()
    assert [(m.payload, m.qos) for m in retained(v311, topic)] == [(b"new", 0)]


def test_MQTT_3_3_1_9_RETAIN_0_for_established_subscriptions(v311):
    """Whatever the publisher set."""
    client, topic = subscribed(v311)
    v311.publisher().publish(topic, b"m", qos=1, retain=True)
    client.message(topic, b"m", retain=False)


def test_MQTT_3_3_1_10_MQTT_3_3_1_11_empty_retained_message(v311):
    """Delivered like any other, clears the topic, and is not stored."""
    client, topic = subscribed(v311)
    v311.publisher().publish(topic, b"m", qos=1, retain=True)
    v311.publisher().publish(topic, b"", qos=1, retain=True)
    v311.publisher().publish(v311.topic("never"), b"", qos=1, retain=True)
    client.message(topic, b"m")
    client.message(topic, b"", retain=False)
    assert retained(v311, v311.topic("#")) == []


def test_MQTT_3_3_1_12_RETAIN_0_stores_nothing(v311):
    """Neither stored nor replacing nor clearing."""
    topic = v311.topic("r")
    v311.publisher().publish(topic, b"stored", qos=1, retain=True)
    v311.publisher().publish(topic, b"plain", qos=1)
    v311.publisher().publish(topic, b"", qos=1)
    v311.publisher().publish(v311.topic("other"), b"plain", qos=1)
    assert payloads(retained(v311, v311.topic("#"))) == [b"stored"]


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x05abc", b"\x00\x02\xc3\x28"])
def test_MQTT_3_3_2_1_topic_is_first_and_text(v311, data):
    """A PUBLISH that ends within its topic, or whose topic is no text, closes."""
    closed_by(v311, mqtt.packet(T.PUBLISH, 0, data))


@pytest.mark.parametrize("topic", ["a/+", "+", "#", "a/#", "a+b", "a#"])
def test_MQTT_3_3_2_2_MQTT_4_7_1_1_wildcards_in_a_topic_name(v311, topic):
    """Closes."""
    closed_by(v311, publish(topic))


def test_MQTT_3_3_2_3_topic_matches_the_filter(v311):
    """The standard's examples: who gets what, with the topic that was published."""
    publisher = v311.publisher()
    for text, names in MATCHES:
        client = v311.connect()
        client.subscribe(under(v311, text), qos=1)
        for name in names:
            publisher.publish(under(v311, name), name, qos=1)
            client.message(under(v311, name), name)
    for text, names in MISSES:
        client = v311.connect()
        client.subscribe(under(v311, text), qos=1)
        for name in names:
            publisher.publish(under(v311, name), name, qos=1)
        assert client.collect(publisher) == [], text


def test_MQTT_3_3_4_1_PUBLISH_is_answered_as_its_QoS_demands(v311):
    """Nothing, PUBACK, PUBREC: byte for byte."""
    client = v311.connect()
    client.send_publish(v311.topic("a"), qos=0)
    client.ping()
    client.send_publish(v311.topic("a"), qos=1, pid=5)
    assert client.expect(T.PUBACK).raw == b"\x40\x02\x00\x05"
    client.send_publish(v311.topic("a"), qos=2, pid=6)
    assert client.expect(T.PUBREC).raw == b"\x50\x02\x00\x06"
    client.send(mqtt.ack(T.PUBREL, 6))
    assert client.expect(T.PUBCOMP).raw == b"\x70\x02\x00\x06"


def test_MQTT_3_3_5_1_overlap_honours_the_highest_QoS(v311):
    """One copy."""
    client = v311.connect()
    client.subscribe((v311.topic("a/b"), 0), (v311.topic("a/+"), 2), (v311.topic("#"), 1))
    v311.publisher().publish(v311.topic("a/b"), b"m", qos=2)
    assert [m.qos for m in client.collect(v311.publisher())] == [2]


def test_own_messages_come_back(v311):
    """3.1.1 has no No Local."""
    client, topic = subscribed(v311)
    client.publish(topic, b"m", qos=1)
    client.message(topic, b"m")


# ---- SUBSCRIBE and UNSUBSCRIBE


@pytest.mark.parametrize("flags", [0, 1, 3, 15])
def test_MQTT_3_6_1_1_PUBREL_flags(v311, flags):
    """Other flags than 0010 close, also within a handshake."""
    client = v311.connect()
    client.send_publish(v311.topic("a"), qos=2, pid=1)
    client.expect(T.PUBREC)
    client.send(mqtt.ack(T.PUBREL, 1, flags=flags))
    client.expect_eof()


@pytest.mark.parametrize("flags", [0, 1, 3, 15])
def test_MQTT_3_8_1_1_SUBSCRIBE_flags(v311, flags):
    """Other flags than 0010 close."""
    closed_by(v311, subscribe(1, [("a", 0)], flags=flags))


def test_MQTT_3_8_3_1_filters_are_text(v311):
    """An ill-formed filter closes."""
    closed_by(v311, subscribe(1, [("a", 0), (b"\xff", 0)]))


def test_MQTT_3_8_3_3_SUBSCRIBE_without_filters(v311):
    """Closes."""
    closed_by(v311, subscribe(1, []))


@pytest.mark.parametrize("qos", [3, 4, 0x80, 0xFF])
def test_requested_QoS_out_of_range(v311, qos):
    """A byte other than 0, 1, 2 closes [MQTT-3-8.3-4]."""
    closed_by(v311, subscribe(1, [("a", qos)]))


def test_MQTT_3_8_4_1_MQTT_3_8_4_2_SUBSCRIBE_is_answered(v311):
    """By a SUBACK with its identifier."""
    client = v311.connect()
    for pid in (9, 3, 3, 60000):
        client.send(subscribe(pid, [(v311.topic("a"), 1)]))
        client.expect(T.SUBACK, pid=pid, codes=[1])


def test_MQTT_3_8_4_3_same_filter_replaces(v311):
    """New QoS, one copy, retained messages again, nothing lost."""
    client = v311.connect()
    topic = v311.topic("a")
    v311.publisher().publish(topic, b"r", qos=2, retain=True)
    for qos in (2, 0, 1):
        client.subscribe(topic, qos=qos)
        client.message(topic, b"r", qos=qos, retain=True)
    publisher = v311.connect()
    for i in range(50):
        publisher.send(publish(topic, b"%d" % i, qos=1, pid=i + 1))
        client.send(subscribe(i + 1000, [(topic, 1)]))
    for i in range(50):
        publisher.expect(T.PUBACK)
        client.await_type(T.SUBACK)
    live = [m for m in client.collect(publisher) if not m.retain]
    assert [int(m.payload) for m in live] == list(range(50))


def test_MQTT_3_8_4_4_MQTT_3_8_4_5_several_filters_one_SUBACK(v311):
    """One code per filter: the granted QoS or 0x80."""
    client = v311.connect()
    a, b = v311.topic("a"), v311.topic("b")
    assert client.subscribe((a, 2), ("a#", 1), (b, 1), (a, 0)).codes == [2, 0x80, 1, 0]
    v311.publisher().publish(a, b"a", qos=2)
    v311.publisher().publish(b, b"b", qos=2)
    messages = client.collect(v311.publisher())
    assert [(m.topic, m.qos) for m in messages] == [(a, 0), (b, 1)]


@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_MQTT_3_8_4_6_delivery_QoS_is_the_lower_one(v311, published, granted):
    """min(published, granted)."""
    client, topic = subscribed(v311, qos=granted)
    v311.publisher().publish(topic, qos=published)
    client.message(topic, qos=min(published, granted))


def test_MQTT_3_9_3_1_MQTT_3_9_3_2_codes_are_in_filter_order(v311):
    """0x00, 0x01, 0x02 and 0x80 only (the decoder insists)."""
    client = v311.connect()
    pairs = [
        (v311.topic("a"), 1),
        ("+a", 2),
        (v311.topic("b"), 0),
        ("a/#/c", 0),
        (v311.topic("c"), 2),
    ]
    assert client.subscribe(*pairs).codes == [1, 0x80, 0, 0x80, 2]
    assert client.subscribe(*pairs[::-1]).codes == [2, 0x80, 0, 0x80, 1]
    client.ping()


@pytest.mark.parametrize("flags", [0, 1, 3, 15])
def test_MQTT_3_10_1_1_UNSUBSCRIBE_flags(v311, flags):
    """Other flags than 0010 close."""
    closed_by(v311, unsubscribe(1, ["a"], flags=flags))


def test_MQTT_3_10_3_1_filters_are_text(v311):
    """An ill-formed filter closes; several follow each other without gaps."""
    closed_by(v311, unsubscribe(1, ["a", b"\xff"]))
    client, topic = subscribed(v311)
    assert client.unsubscribe("x", topic, "y").raw[:1] == b"\xb0"


def test_MQTT_3_10_3_2_UNSUBSCRIBE_without_filters(v311):
    """Closes."""
    closed_by(v311, unsubscribe(1, []))


def test_MQTT_3_10_4_1_filters_are_compared_exactly(v311):
    """Another filter that matches the same topics is not deleted."""
    client = v311.connect()
    client.subscribe(v311.topic("a/+"), qos=1)
    client.unsubscribe(v311.topic("a/b"), v311.topic("a/#"), v311.topic("+/b"), v311.topic("A/+"))
    v311.publisher().publish(v311.topic("a/b"), b"m", qos=1)
    client.message(v311.topic("a/b"), b"m")


def test_MQTT_3_10_4_2_no_new_messages_after_UNSUBSCRIBE(v311):
    """Other filters go on."""
    client = v311.connect()
    client.subscribe(v311.topic("a"), v311.topic("b"), qos=1)
    client.unsubscribe(v311.topic("a"))
    for name in ("a", "b"):
        v311.publisher().publish(v311.topic(name), name, qos=1)
    assert payloads(client.collect(v311.publisher())) == [b"b"]


def test_MQTT_3_10_4_3_begun_deliveries_are_completed(v311):
    """QoS 1 and 2 messages sent before go on, also in the resumed session."""
    client, topic = subscribed(v311, name="c", clean=False)
    for qos in (1, 2, 2):
        v311.publisher().publish(topic, b"%d" % qos, qos=qos)
    one, two, three = [client.message(topic, finish=False) for _ in range(3)]
    client.unsubscribe(topic)
    client.ack(two)
    client.ack(client.expect(T.PUBREL, pid=two.pid))
    client.fence()
    client.drop()
    client = client.reconnect()
    for message in (one, three):
        client.message(topic, pid=message.pid, dup=True)


def test_MQTT_3_10_4_4_MQTT_3_10_4_5_UNSUBSCRIBE_is_always_answered(v311):
    """By UNSUBACK with its identifier, also when nothing was deleted."""
    client = v311.connect()
    for pid in (1, 1, 65535):
        client.send(unsubscribe(pid, [v311.topic("never")]))
        assert client.expect(T.UNSUBACK).raw == b"\xb0\x02" + mqtt.u16(pid)


def test_MQTT_3_10_4_6_several_filters_one_UNSUBACK(v311):
    """All are deleted."""
    client = v311.connect()
    names = [v311.topic(name) for name in "abc"]
    client.subscribe(*names, qos=1)
    client.unsubscribe(*names)
    client.ping()
    for name in names:
        v311.publisher().publish(name, qos=1)
    assert client.collect(v311.publisher()) == []


def test_MQTT_3_12_4_1_PINGREQ_is_answered(v311):
    """One PINGRESP for each."""
    client = v311.connect()
    client.send(mqtt.PINGREQ * 20)
    for _ in range(20):
        assert client.expect(T.PINGRESP).raw == b"\xd0\x00"


# ---- QoS


def test_MQTT_4_3_1_1_QoS_0_sender(v311):
    """QoS 0, DUP 0."""
    client, topic = subscribed(v311)
    v311.publisher().publish(topic, qos=0)
    client.message(topic, qos=0, dup=False)


def test_MQTT_4_3_2_1_QoS_1_sender(v311):
    """Fresh identifiers (the client checks), DUP 0, unacknowledged until PUBACK."""
    client, topic = subscribed(v311, name="c", clean=False)
    for payload in (b"1", b"2"):
        v311.publisher().publish(topic, payload, qos=1)
    client.message(topic, b"1", dup=False)
    second = client.message(topic, b"2", dup=False, finish=False)
    client.fence()
    client.drop()
    client = client.reconnect()
    client.message(topic, b"2", dup=True, pid=second.pid)
    assert client.collect(v311.publisher()) == []


def test_MQTT_4_3_2_2_QoS_1_receiver(v311):
    """After PUBACK the identifier means a new message, whatever DUP says."""
    client, topic = subscribed(v311)
    publisher = v311.connect()
    for i, dup in enumerate((False, True, False)):
        publisher.publish(topic, b"%d" % i, qos=1, pid=7, dup=dup)
    assert payloads(client.collect(publisher)) == [b"0", b"1", b"2"]


def test_MQTT_4_3_3_1_QoS_2_sender(v311):
    """PUBLISH until PUBREC, then PUBREL until PUBCOMP, no PUBLISH after PUBREL."""
    client, topic = subscribed(v311, name="c", clean=False)
    v311.publisher().publish(topic, b"m", qos=2)
    first = client.message(topic, b"m", dup=False, finish=False)
    client.drop()
    client = client.reconnect()
    again = client.message(topic, b"m", dup=True, pid=first.pid, finish=False)
    client.ack(again)
    client.expect(T.PUBREL, pid=first.pid)
    for _ in range(2):
        client.drop()
        client = client.reconnect()
        release = client.expect(T.PUBREL, pid=first.pid)
        client.ping()
    client.ack(release)
    client.fence()
    client.drop()
    assert client.reconnect().collect(v311.publisher()) == []


def test_MQTT_4_3_3_2_QoS_2_receiver(v311):
    """Repeats before PUBREL are not delivered twice; after PUBCOMP the identifier is new."""
    client, topic = subscribed(v311)
    publisher = v311.connect("p", clean=False)
    for dup in (False, True):
        publisher.send_publish(topic, b"1", qos=2, pid=7, dup=dup)
        publisher.expect(T.PUBREC, pid=7)
    publisher.drop()
    publisher = publisher.reconnect()
    publisher.send_publish(topic, b"1", qos=2, pid=7, dup=True)
    publisher.expect(T.PUBREC, pid=7)
    publisher.send(mqtt.ack(T.PUBREL, 7))
    publisher.expect(T.PUBCOMP, pid=7)
    publisher.publish(topic, b"2", qos=2, pid=7)
    assert payloads(client.collect(publisher)) == [b"1", b"2"]


def test_PUBREL_for_an_unknown_identifier_is_answered(v311):
    """PUBCOMP, so that a client that lost it can go on."""
    client = v311.connect()
    client.send(mqtt.ack(T.PUBREL, 4711))
    client.expect(T.PUBCOMP, pid=4711)


def test_MQTT_4_4_0_1_reconnection_resends(v311):
    """PUBREL and PUBLISHes, with their identifiers, in their order."""
    client, topic = subscribed(v311, name="c", clean=False)
    for i in range(6):
        v311.publisher().publish(topic, b"%d" % i, qos=1 + i % 2)
    sent = [client.message(topic, b"%d" % i, finish=False) for i in range(6)]
    client.ack(sent[1])
    client.expect(T.PUBREL, pid=sent[1].pid)
    client.drop()
    client = client.reconnect()
    again = [client.recv() for _ in range(6)]
    assert [p.pid for p in again if p.type == T.PUBREL] == [sent[1].pid]
    assert [p.pid for p in again if p.type == T.PUBLISH] == [p.pid for p in sent if p != sent[1]]
    assert all(p.dup for p in again if p.type == T.PUBLISH)


def test_MQTT_4_5_0_1_a_message_reaches_every_matching_session(v311):
    """Connected or not."""
    topic = v311.topic("a/b")
    texts = [topic, v311.topic("a/+"), v311.topic("#")]
    clients = []
    for i in range(9):
        client = v311.connect(f"s{i}", clean=False)
        client.subscribe(texts[i % 3], qos=1)
        clients.append(client)
    for client in clients[::2]:
        client.disconnect()
    for i in range(5):
        v311.publisher().publish(topic, b"%d" % i, qos=2)
    for i, client in enumerate(clients):
        client = client.reconnect() if i % 2 == 0 else client
        for number in range(5):
            client.message(topic, b"%d" % number, qos=1)


@pytest.mark.parametrize("qos,answer", [(1, T.PUBACK), (2, T.PUBREC)])
def test_MQTT_4_6_0_2_MQTT_4_6_0_3_acknowledgements_follow_arrival(v311, qos, answer):
    """60 pipelined messages are answered in order."""
    client = v311.connect()
    pids = [i * 7 % 61 + 1 for i in range(60)]
    client.send(
        *[publish(v311.topic(f"{i % 3}"), b"x", qos=qos, pid=pid) for i, pid in enumerate(pids)]
    )
    assert [client.expect(answer).pid for _ in pids] == pids


def test_MQTT_4_6_0_4_PUBRELs_follow_PUBRECs(v311):
    """In the order of our PUBRECs, all sent at once."""
    client, topic = subscribed(v311)
    for _ in range(10):
        v311.publisher().publish(topic, qos=2)
    messages = [client.message(topic, finish=False) for _ in range(10)]
    order = [messages[i * 3 % 10].pid for i in range(10)]
    client.send(*[mqtt.ack(T.PUBREC, pid) for pid in order])
    assert [client.expect(T.PUBREL).pid for _ in order] == order


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_MQTT_4_6_0_5_MQTT_4_6_0_6_MQTT_4_6_0_1_order(v311, qos):
    """Per publisher, topic and QoS in order of arrival, and so again when resent."""
    client, topic = subscribed(v311, name="c", clean=False)
    publisher = v311.connect()
    for i in range(100):
        publisher.publish(topic, b"%d" % i, qos=qos)
    if qos:
        for i in range(20):
            client.message(topic, b"%d" % i, finish=False)
        client.drop()
        client = client.reconnect()
    assert [int(p) for p in payloads(client.collect(publisher))] == list(range(100))


# ---- topics


@pytest.mark.parametrize("text", ["a/#/b", "#/a", "a#", "##", "#/"])
def test_MQTT_4_7_1_2_misplaced_multi_level_wildcard(v311, text):
    """The filter is refused with 0x80; others of the packet are taken and the connection stays."""
    client = v311.connect()
    assert client.subscribe(text, v311.topic("ok"), qos=1).codes == [0x80, 1]


@pytest.mark.parametrize("text", ["a+", "+a", "a/+b/c", "++"])
def test_MQTT_4_7_1_3_misplaced_single_level_wildcard(v311, text):
    """The filter is refused with 0x80; others of the packet are taken and the connection stays."""
    client = v311.connect()
    assert client.subscribe(text, v311.topic("ok"), qos=1).codes == [0x80, 1]


def test_MQTT_4_7_2_1_leading_wildcards_do_not_match_dollar_topics(v311):
    """Neither # nor + at the front."""
    client = v311.connect()
    client.subscribe("#", "+/" + v311.topic("#"), qos=1)
    while client.held:
        client.ack(client.recv())
    v311.publisher().publish("$x/" + v311.topic("a"), b"1", qos=1)
    assert not [m for m in client.collect(v311.publisher()) if m.topic.startswith("$")]


def test_MQTT_4_7_3_1_empty_topic_and_empty_filter(v311):
    """An empty topic closes; an empty filter is refused or closes."""
    closed_by(v311, publish("", b"x"))
    client = v311.connect()
    client.send(subscribe(1, [("", 0)]))
    try:
        client.expect(T.SUBACK, codes=[0x80])
    except AssertionError as fault:
        assert "closed" in str(fault)


def test_MQTT_4_7_3_2_NUL_in_topic_and_filter(v311):
    """Closes."""
    closed_by(v311, publish("a\0"))
    closed_by(v311, subscribe(1, [("a\0", 0)]))


def test_MQTT_4_7_3_3_the_longest_topic(v311):
    """65535 bytes work as topic and as filter."""
    topic = v311.topic("x").ljust(65535, "y")
    client = v311.connect()
    assert client.subscribe(topic, qos=1).codes == [1]
    v311.publisher().publish(topic, b"1", qos=1)
    client.message(topic, b"1")


def test_MQTT_4_7_3_4_no_normalisation(v311):
    """Composed and decomposed letters, case and spaces stay different."""
    client = v311.connect()
    client.subscribe(v311.topic("é"), v311.topic("Ab"), v311.topic("a "), qos=1)
    for name in ("e\u0301", "ab", "AB", "a", " a"):
        v311.publisher().publish(v311.topic(name), name, qos=1)
    assert client.collect(v311.publisher()) == []
    for name in ("é", "Ab", "a "):
        v311.publisher().publish(v311.topic(name), name, qos=1)
        client.message(v311.topic(name), name)


# ---- beyond the statements


def test_shared_subscriptions_for_3_1_1(v311):
    """Each message to one member; bad filters get 0x80."""
    members = [v311.connect() for _ in range(3)]
    for member in members:
        assert member.subscribe("$share/g/" + v311.topic("a"), qos=1).codes == [1]
    for i in range(30):
        v311.publisher().publish(v311.topic("a"), b"%d" % i, qos=1)
    found = gather(members, 30)
    assert sorted(int(m.payload) for _, m in found) == list(range(30))
    assert {i for i, _ in found} == {0, 1, 2}
    bad = ["$share//a", "$share/g", "$share/g/", "$share/+/a", "$share/g/a#"]
    assert members[0].subscribe(*bad).codes == [0x80] * len(bad)


def test_window_is_kept_for_3_1_1(v311):
    """No more than the server's own limit unacknowledged; the rest follows in order."""
    client, topic = subscribed(v311)
    for i in range(40):
        v311.publisher().publish(topic, b"%d" % i, qos=1)
    window = [client.message(topic, b"%d" % i, finish=False) for i in range(32)]
    client.ping()
    for message in window:
        client.ack(message)
    for i in range(32, 40):
        client.message(topic, b"%d" % i)


def test_5_0_properties_do_not_reach_3_1_1(v311):
    """A message with properties arrives as topic and payload."""
    client, topic = subscribed(v311)
    sender = v311.connect(version=5)
    props = {"user_property": [("a", "b")], "content_type": "c", "message_expiry_interval": 9}
    sender.publish(topic, b"m", qos=1, props=props)
    message = client.message(topic, b"m", qos=1)
    assert message.raw[2:] == mqtt.field(topic) + mqtt.u16(message.pid) + b"m"
    client.publish(topic, b"n", qos=1)
    receiver = v311.connect(version=5)
    receiver.subscribe(topic, qos=1)
    client.publish(topic, b"o", qos=1)
    assert receiver.message(topic, b"o").props == {}


def test_very_many_inbound_QoS_2_messages(v311):
    """3.1.1 has no Receive Maximum: 300 unreleased messages are taken, or the socket waits, but
    none is lost."""
    client, topic = subscribed(v311)
    publisher = v311.connect()
    total = 300
    publisher.send(*[publish(topic, b"%d" % i, qos=2, pid=i + 1) for i in range(total)])
    seen = 0
    while seen < total:
        packet = publisher.recv()
        if packet.type == T.PUBREC:
            publisher.send(mqtt.ack(T.PUBREL, packet.pid))
        else:
            assert packet.type == T.PUBCOMP
            seen += 1
    assert [int(p) for p in payloads(client.collect(publisher))] == list(range(total))
