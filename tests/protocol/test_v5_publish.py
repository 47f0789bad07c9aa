# SPDX-License-Identifier: MIT
"""MQTT 5.0, 3.3 and 4.7: what PUBLISH carries, retained messages, topic aliases, overlapping
subscriptions."""

import mqtt
import pytest
from client import option_byte, payloads, topics
from mqtt import T


def test_MQTT_3_3_1_2_DUP_at_QoS_0_is_refused(v5):
    """DUP 1 with QoS 0 ends the connection; the server itself never sends it (the decoder
    insists)."""
    client = v5.connect()
    client.send(mqtt.publish(v5.topic("a"), dup=True))
    client.expect_disconnect(0x81, 0x82)


def test_MQTT_3_3_1_3_DUP_of_the_publisher_is_not_passed_on(v5):
    """The outgoing DUP tells about the outgoing packet only."""
    client = v5.connect()
    topic = v5.topic("a")
    client.subscribe(topic, qos=2)
    for qos in (1, 2):
        v5.publisher().publish(topic, qos=qos, dup=True)
        client.message(topic, dup=False, qos=qos)


@pytest.mark.parametrize("flags", [0x06, 0x07, 0x0E, 0x0F])
def test_MQTT_3_3_1_4_both_QoS_bits_are_malformed(v5, flags):
    """QoS 3 gets 0x81 and the end."""
    client = v5.connect()
    client.send(mqtt.packet(T.PUBLISH, flags, mqtt.field("a") + b"\x00\x01\x00x"))
    client.expect_disconnect(0x81)


# ---- retained messages


def retained(bench, *filters, **options):
    """What a new subscriber with these filters gets."""
    client = bench.connect()
    client.subscribe(*filters, qos=2, **options)
    return client.collect_retained()


def test_MQTT_3_3_1_5_retained_message_replaces_the_former(v5):
    """The last one stays, with its QoS and properties."""
    topic = v5.topic("r")
    v5.publisher().publish(topic, b"1", qos=1, retain=True, props={"content_type": "old"})
    v5.publisher().publish(topic, b"2", qos=2, retain=True, props={"user_property": [("a", "b")]})
    (message,) = retained(v5, topic)
    assert (message.payload, message.qos, message.retain) == (b"2", 2, True)
    assert message.props == {"user_property": [("a", "b")]}


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_MQTT_3_3_1_6_empty_retained_message_clears(v5, qos):
    """RETAIN with an empty payload removes the stored one, at any QoS."""
    topic = v5.topic("r")
    publisher = v5.connect()
    publisher.publish(topic, b"1", qos=1, retain=True)
    publisher.publish(topic, b"", qos=qos, retain=True)
    publisher.fence()
    assert retained(v5, topic) == []


def test_MQTT_3_3_1_7_empty_payload_is_never_stored(v5):
    """Neither where something was stored nor where nothing was; properties do not change that."""
    publisher = v5.connect()
    publisher.publish(v5.topic("r/1"), b"", qos=1, retain=True)
    publisher.publish(v5.topic("r/2"), b"", qos=1, retain=True, props={"content_type": "x"})
    will = mqtt.Will(v5.topic("r/3"), b"", qos=1, retain=True)
    v5.connect("w", will=will).disconnect(4)
    assert retained(v5, v5.topic("r/#")) == []


def test_MQTT_3_3_1_8_RETAIN_0_leaves_the_stored_message(v5):
    """A plain message on the topic neither stores nor replaces nor clears."""
    topic = v5.topic("r")
    v5.publisher().publish(topic, b"stored", qos=1, retain=True)
    v5.publisher().publish(topic, b"plain", qos=1)
    v5.publisher().publish(topic, b"", qos=1)
    assert payloads(retained(v5, topic)) == [b"stored"]


def test_MQTT_3_3_1_9_retain_handling_0_sends_on_every_subscribe(v5):
    """Also when the subscription exists already."""
    topic = v5.topic("r")
    v5.publisher().publish(topic, b"1", qos=1, retain=True)
    client = v5.connect()
    for _ in range(2):
        client.subscribe(topic, qos=1, retain_handling=0)
        assert payloads(client.collect_retained()) == [b"1"]


def test_MQTT_3_3_1_10_retain_handling_1_sends_to_new_subscriptions_only(v5):
    """Once, then not again; after UNSUBSCRIBE the subscription is new again."""
    topic = v5.topic("r")
    v5.publisher().publish(topic, b"1", qos=1, retain=True)
    client = v5.connect()
    client.subscribe(topic, qos=1, retain_handling=1)
    assert payloads(client.collect_retained()) == [b"1"]
    client.subscribe(topic, qos=1, retain_handling=1)
    assert client.collect_retained() == []
    client.unsubscribe(topic)
    client.subscribe(topic, qos=1, retain_handling=1)
    assert payloads(client.collect_retained()) == [b"1"]


def test_retain_handling_1_in_a_resumed_session_is_not_new(v5):
    """A subscription that the session kept exists."""
    topic = v5.topic("r")
    v5.publisher().publish(topic, b"1", qos=1, retain=True)
    client = v5.connect("c", props={"session_expiry_interval": 60})
    client.subscribe(topic, qos=1, retain_handling=2)
    client.disconnect()
    client = client.reconnect()
    client.subscribe(topic, qos=1, retain_handling=1)
    assert client.collect_retained() == []


def test_MQTT_3_3_1_11_retain_handling_2_sends_none(v5):
    """Live messages still come."""
    topic = v5.topic("r")
    v5.publisher().publish(topic, b"1", qos=1, retain=True)
    client = v5.connect()
    client.subscribe(topic, qos=1, retain_handling=2)
    assert client.collect_retained() == []
    v5.publisher().publish(topic, b"2", qos=1)
    client.message(topic, b"2")


def test_MQTT_3_3_1_12_retain_as_published_0(v5):
    """Forwarded to an existing subscription, RETAIN is 0."""
    topic = v5.topic("r")
    client = v5.connect()
    client.subscribe(topic, qos=1)
    v5.publisher().publish(topic, b"1", qos=1, retain=True)
    client.message(topic, b"1", retain=False)


def test_MQTT_3_3_1_13_retain_as_published_1(v5):
    """Forwarded to an existing subscription, RETAIN is what it was."""
    topic = v5.topic("r")
    client = v5.connect()
    client.subscribe(topic, qos=1, retain_as_published=True)
    for retain in (True, False):
        v5.publisher().publish(topic, b"1", qos=1, retain=retain)
        client.message(topic, b"1", retain=retain)
    v5.publisher().publish(topic, b"", qos=1, retain=True)
    client.message(topic, b"", retain=True)


@pytest.mark.parametrize("retain_as_published", [False, True])
def test_retained_replay_has_RETAIN_set(v5, retain_as_published):
    """Whatever Retain As Published says."""
    topic = v5.topic("r")
    v5.publisher().publish(topic, b"1", qos=1, retain=True)
    client = v5.connect()
    client.subscribe(topic, qos=1, retain_as_published=retain_as_published)
    client.message(topic, b"1", retain=True)


def test_retained_replay_larger_than_the_window(v5):
    """200 retained messages through a Receive Maximum of 3: all come, each once, paced by
    acknowledgements."""
    publisher = v5.connect()
    for i in range(200):
        publisher.send_publish(v5.topic(f"r/{i % 7}/{i}"), b"%d" % i, qos=1, retain=True)
    for _ in range(200):
        assert publisher.await_type(T.PUBACK).code in (0, 0x10)
    client = v5.connect(props={"receive_maximum": 3})
    client.subscribe(v5.topic("r/#"), qos=1)
    first = [client.recv() for _ in range(3)]
    client.ping()
    for packet in first:
        client.ack(packet)
    rest = client.collect_retained()
    assert sorted(int(p) for p in payloads(first + rest)) == list(range(200))
    assert all(p.retain for p in first + rest)


def test_retained_messages_of_wildcard_filters(v5):
    """Each stored topic that matches, at the lower QoS of message and subscription."""
    for topic in ("r", "r/a", "r/a/b", "r/c/b", "r//b", "q/a"):
        v5.publisher().publish(v5.topic(topic), topic, qos=2, retain=True)

    def found(text):
        client = v5.connect()
        client.subscribe(v5.topic(text), qos=1)
        messages = client.collect_retained()
        assert {m.qos for m in messages} <= {1}
        return sorted(m.payload.decode() for m in messages)

    assert found("r/#") == ["r", "r//b", "r/a", "r/a/b", "r/c/b"]
    assert found("r/+/b") == ["r//b", "r/a/b", "r/c/b"]
    assert found("+/a") == ["q/a", "r/a"]
    assert found("r/+") == ["r/a"]
    assert found("r/+/#") == ["r//b", "r/a", "r/a/b", "r/c/b"]


# ---- topics


@pytest.mark.parametrize("topic", ["a/+", "+", "#", "a/#", "a+b", "a#"])
def test_MQTT_3_3_2_2_MQTT_4_7_0_1_wildcards_in_a_topic_name(v5, topic):
    """A PUBLISH to a name with + or # ends the connection."""
    client = v5.connect()
    client.send(mqtt.publish(topic))
    client.expect_disconnect(0x81, 0x82, 0x90)


def test_MQTT_3_3_2_1_topic_is_the_first_field(v5):
    """A PUBLISH that ends within its topic is malformed."""
    for body in (b"", b"\x00", b"\x00\x05abc"):
        client = v5.connect()
        client.send(mqtt.packet(T.PUBLISH, 0, body))
        client.expect_disconnect(0x81)


MATCHES = [
    ("sport/tennis/player1/#", ["sport/tennis/player1", "sport/tennis/player1/ranking"]),
    ("sport/tennis/+", ["sport/tennis/player1", "sport/tennis/player2", "sport/tennis/"]),
    ("sport/+", ["sport/", "sport/x"]),
    ("+/+", ["/finance", "a/b"]),
    ("/+", ["/finance", "/"]),
    ("+/tennis/#", ["x/tennis", "x/tennis/a/b", "/tennis"]),
    ("a//b", ["a//b"]),
    ("a/+/+/d", ["a/b/c/d", "a///d"]),
    ("#", ["a", "/", "a/b/c/d/e/f"]),
]
MISSES = [
    ("sport/tennis/player1/#", ["sport/tennis", "sport/tennis/player11", "Sport/tennis/player1"]),
    ("sport/tennis/+", ["sport/tennis", "sport/tennis/player1/ranking"]),
    ("sport/+", ["sport", "sport/a/b"]),
    ("+", ["/finance", "a/b"]),
    ("a//b", ["a/b", "a/x/b", "a///b"]),
    ("a", ["A", "a/", "/a", "b", "aa"]),
    ("a/", ["a", "a//"]),
]


def under(bench, text):
    """A topic or filter with the test's prefix as its first level."""
    return f"{bench.prefix}/{text}"


def test_MQTT_3_3_2_3_topic_matches_the_filter(v5):
    """The standard's examples: who gets what, with the topic that was published."""
    publisher = v5.publisher()
    for text, names in MATCHES:
        client = v5.connect()
        client.subscribe(under(v5, text), qos=1)
        for name in names:
            publisher.publish(under(v5, name), name, qos=1)
            client.message(under(v5, name), name)
        client.disconnect()
    for text, names in MISSES:
        client = v5.connect()
        client.subscribe(under(v5, text), qos=1)
        for name in names:
            publisher.publish(under(v5, name), name, qos=1)
        assert client.collect(publisher) == [], text
        client.disconnect()


@pytest.mark.parametrize(
    "text", ["a/#/b", "#/a", "a#", "a/b#", "##", "#/", "a/#b"], ids=lambda text: text
)
def test_MQTT_4_7_1_1_misplaced_multi_level_wildcard(v5, text):
    """The filter is refused with 0x8F; others of the packet are taken and the connection stays."""
    client = v5.connect()
    assert client.subscribe(text, v5.topic("ok"), qos=1).codes == [0x8F, 1]
    client.ping()


@pytest.mark.parametrize("text", ["a+", "+a", "a/+b/c", "a/b+/c", "++", "+/++"])
def test_MQTT_4_7_1_2_misplaced_single_level_wildcard(v5, text):
    """The filter is refused with 0x8F; others of the packet are taken and the connection stays."""
    client = v5.connect()
    assert client.subscribe(text, v5.topic("ok"), qos=1).codes == [0x8F, 1]
    client.ping()


def test_MQTT_4_7_2_1_leading_wildcards_do_not_match_dollar_topics(v5):
    """Neither # nor + at the front; $-topics named by their first level do match."""
    leading = v5.connect()
    leading.subscribe("#", "+/" + v5.topic("#"), qos=1, retain_handling=2)
    named = v5.connect()
    named.subscribe("$x/" + v5.topic("#"), qos=1)
    publisher = v5.publisher()
    code = publisher.publish("$x/" + v5.topic("a"), b"1", qos=1).code
    if code in (0, 0x10):
        named.message("$x/" + v5.topic("a"), b"1")
    seen = topics(leading.collect(publisher))
    assert not [topic for topic in seen if topic.startswith("$")]


def test_MQTT_4_7_3_1_empty_topic_and_empty_filter(v5):
    """An empty topic without alias is a protocol error; an empty filter is refused."""
    client = v5.connect()
    client.send(mqtt.publish("", b"x"))
    client.expect_disconnect(0x82)
    client = v5.connect()
    client.send(mqtt.subscribe(1, [("", 0)]))
    answer = client.recv()
    if answer.type == T.SUBACK:
        assert answer.codes == [0x8F]
    else:
        assert answer.type == T.DISCONNECT and answer.code in (0x81, 0x82, 0x8F), answer


def test_MQTT_4_7_3_2_NUL_in_topic_and_filter(v5):
    """Both are malformed packets."""
    for packet in (mqtt.publish("a\0"), mqtt.subscribe(1, [("a\0", 0)])):
        client = v5.connect()
        client.send(packet)
        client.expect_disconnect(0x81)


def test_MQTT_4_7_3_3_the_longest_topic(v5):
    """65535 bytes work as topic and as filter."""
    topic = v5.topic("x").ljust(65535, "y")
    client = v5.connect()
    assert client.subscribe(topic, qos=1).codes == [1]
    v5.publisher().publish(topic, b"1", qos=1)
    client.message(topic, b"1")


def test_MQTT_4_7_3_4_no_normalisation(v5):
    """Composed and decomposed letters, case, spaces and empty levels stay different."""
    names = ["é", "e\u0301", "E", "e", " e", "e ", "/e", "e/", "e//", "./e", "ﬁ", "fi", "%65"]
    client = v5.connect()
    for name in names:
        client.subscribe(under(v5, name), qos=1)
        v5.publisher().publish(under(v5, name), name, qos=1)
        client.message(under(v5, name), name)
        client.unsubscribe(under(v5, name))
        client.subscribe(*[under(v5, other) for other in names if other != name], qos=1)
        v5.publisher().publish(under(v5, name), name, qos=1)
        assert client.collect(v5.publisher()) == []
        client.unsubscribe(*[under(v5, other) for other in names])


# ---- properties passed on


def forwarded(bench, props, qos=1, **options):
    """What a subscriber gets of a message with these properties."""
    client = bench.connect()
    topic = bench.topic("p")
    client.subscribe(topic, qos=2, **options)
    bench.publisher().publish(topic, b"p", qos=qos, props=props)
    return client.message(topic, b"p").props


@pytest.mark.parametrize("value", [0, 1])
def test_MQTT_3_3_2_4_payload_format_indicator(v5, value):
    """Forwarded as it was."""
    props = forwarded(v5, {"payload_format_indicator": value})
    assert props.get("payload_format_indicator", 0) == value


def test_MQTT_3_3_2_13_response_topic_is_text(v5):
    """An ill-formed response topic is malformed."""
    client = v5.connect()
    client.send(mqtt.publish("a", props={"response_topic": b"\xff"}))
    client.expect_disconnect(0x81)


@pytest.mark.parametrize("text", ["a/+", "#", "+"])
def test_MQTT_3_3_2_14_response_topic_without_wildcards(v5, text):
    """A response topic with a wildcard ends the connection."""
    client = v5.connect()
    client.send(mqtt.publish(v5.topic("a"), props={"response_topic": text}))
    client.expect_disconnect(0x81, 0x82, 0x90)


def test_MQTT_3_3_2_15_response_topic_is_forwarded(v5):
    """Unchanged."""
    assert forwarded(v5, {"response_topic": "a/é/b"}) == {"response_topic": "a/é/b"}


@pytest.mark.parametrize(
    "data", [b"", b"\x00\xff" * 3, b"x" * 60000], ids=["empty", "binary", "long"]
)
def test_MQTT_3_3_2_16_correlation_data_is_forwarded(v5, data):
    """Unchanged."""
    assert forwarded(v5, {"correlation_data": data}) == {"correlation_data": data}


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_MQTT_3_3_2_17_user_properties_are_forwarded(v5, qos):
    """Unchanged, with equal names, empty ones and text of many bytes a character."""
    pairs = [("a", "1"), ("a", "1"), ("", ""), ("ключ", "値"), ("b", "x" * 3000)]
    assert forwarded(v5, {"user_property": pairs}, qos) == {"user_property": pairs}


def test_MQTT_3_3_2_18_user_property_order_is_kept(v5):
    """50 of them, names not sorted, with other properties between them."""
    pairs = [(f"{i * 7 % 50}", f"{i}") for i in range(50)]
    block = b""
    for i, pair in enumerate(pairs):
        block += mqtt.property_bytes("user_property", pair)
        if i == 20:
            block += mqtt.property_bytes("content_type", "t")
    assert forwarded(v5, block) == {"user_property": pairs, "content_type": "t"}


def test_MQTT_3_3_2_19_content_type_is_text(v5):
    """An ill-formed content type is malformed."""
    client = v5.connect()
    client.send(mqtt.publish("a", props={"content_type": b"\xc0\x80"}))
    client.expect_disconnect(0x81)


def test_MQTT_3_3_2_20_content_type_is_forwarded(v5):
    """Unchanged, the empty one too."""
    assert forwarded(v5, {"content_type": "text/plain"}) == {"content_type": "text/plain"}
    assert forwarded(v5, {"content_type": ""}) == {"content_type": ""}


def test_properties_and_payload_survive_the_queue_of_an_offline_session(v5):
    """All properties and a binary payload come back from the stored session."""
    props = {
        "payload_format_indicator": 1,
        "content_type": "c",
        "response_topic": "r",
        "correlation_data": b"\x00\x01",
        "user_property": [("b", "1"), ("a", "2")],
    }
    client = v5.connect("c", props={"session_expiry_interval": 60})
    topic = v5.topic("a")
    client.subscribe(topic, qos=1, props={"subscription_identifier": 7})
    client.disconnect()
    v5.publisher().publish(topic, "päyload", qos=1, props=props)
    message = client.reconnect().message(topic, "päyload")
    assert message.props == {**props, "subscription_identifier": [7]}


def test_empty_and_large_payloads(v5):
    """Zero bytes, all byte values, and half a megabyte pass unchanged."""
    client = v5.connect()
    topic = v5.topic("a")
    client.subscribe(topic, qos=2)
    for payload in (b"", bytes(range(256)), bytes(range(256)) * 2048):
        for qos in (0, 1, 2):
            v5.publisher().publish(topic, payload, qos=qos)
            client.message(topic, payload, qos=qos)


# ---- topic aliases


def test_MQTT_3_3_2_7_aliases_end_with_the_connection(v5):
    """A resumed session has none: an empty topic with an old alias is a protocol error."""
    client = v5.connect("c", props={"session_expiry_interval": 60})
    client.publish(v5.topic("a"), props={"topic_alias": 1})
    client.publish("", props={"topic_alias": 1})
    client.disconnect()
    client = client.reconnect()
    client.send(mqtt.publish("", props={"topic_alias": 1}))
    client.expect_disconnect(0x82)


def test_MQTT_3_3_2_7_server_aliases_end_with_the_connection(v5):
    """In a resumed session the first message on a topic names it again."""
    keep = {"session_expiry_interval": 60, "topic_alias_maximum": 5}
    client = v5.connect("c", props=keep)
    topic = v5.topic("a")
    client.subscribe(topic, qos=1)
    for _ in range(3):
        v5.publisher().publish(topic, qos=1)
        client.message(topic)
    client.disconnect()
    client = client.reconnect()
    v5.publisher().publish(topic, qos=1)
    assert client.message(topic).sent_topic == topic


def test_MQTT_3_3_2_8_alias_0_is_refused(v5):
    """Alias 0 ends the connection; the server itself never sends it (the decoder insists)."""
    client = v5.connect()
    client.send(mqtt.publish(v5.topic("a"), props={"topic_alias": 0}))
    client.expect_disconnect(0x94, 0x82)


@pytest.mark.parametrize("alias", [17, 65535])
def test_MQTT_3_3_2_9_alias_above_the_maximum_is_refused(v5, alias):
    """0x94 and the end."""
    client = v5.connect()
    assert client.connack.props["topic_alias_maximum"] < 17
    client.send(mqtt.publish(v5.topic("a"), props={"topic_alias": alias}))
    client.expect_disconnect(0x94)


@pytest.mark.parametrize("maximum", [1, 2])
def test_MQTT_3_3_2_11_MQTT_3_1_2_26_server_aliases_stay_within_the_maximum(v5, maximum):
    """More topics than aliases: all arrive on their topic, no alias is above the maximum (the
    client checks)."""
    client = v5.connect(props={"topic_alias_maximum": maximum})
    client.subscribe(v5.topic("#"), qos=1)
    for i in range(12):
        for qos in (0, 1):
            v5.publisher().publish(v5.topic(f"{i % 4}"), b"%d" % i, qos=qos)
            client.message(v5.topic(f"{i % 4}"), b"%d" % i)


def test_server_uses_aliases_when_allowed(v5):
    """Of ten messages on one topic some come with an alias and without the topic."""
    client = v5.connect(props={"topic_alias_maximum": 10})
    client.subscribe(v5.topic("#"), qos=1)
    sent = []
    for _ in range(10):
        v5.publisher().publish(v5.topic("a"), qos=1)
        sent.append(client.message(v5.topic("a")).sent_topic)
    assert "" in sent


@pytest.mark.parametrize("props", [None, {"topic_alias_maximum": 0}], ids=["absent", "zero"])
def test_MQTT_3_1_2_27_no_aliases_unless_allowed(v5, props):
    """Topic Alias Maximum absent or 0: every message has its topic."""
    client = v5.connect(props=props)
    client.subscribe(v5.topic("a"), qos=1)
    for _ in range(5):
        v5.publisher().publish(v5.topic("a"), qos=1)
        message = client.message(v5.topic("a"))
        assert "topic_alias" not in message.props and message.sent_topic


def test_MQTT_3_3_2_12_server_accepts_every_alias_it_announced(v5):
    """All from 1 to the maximum, set, used, and set anew; subscribers see topics, not aliases."""
    subscriber = v5.connect()
    subscriber.subscribe(v5.topic("#"), qos=1)
    client = v5.connect()
    maximum = client.connack.props["topic_alias_maximum"]
    assert maximum == 16
    for turn in range(2):
        for alias in range(1, maximum + 1):
            topic = v5.topic(f"{turn}/{alias}")
            client.publish(topic, b"1", qos=1, props={"topic_alias": alias})
            subscriber.message(topic, b"1")
        for alias in range(maximum, 0, -1):
            client.publish("", b"2", qos=1, props={"topic_alias": alias})
            message = subscriber.message(v5.topic(f"{turn}/{alias}"), b"2")
            assert "topic_alias" not in message.props


def test_unknown_alias_is_a_protocol_error(v5):
    """An alias within the maximum that was never set."""
    client = v5.connect()
    client.send(mqtt.publish("", props={"topic_alias": 3}))
    client.expect_disconnect(0x82)


# ---- overlapping subscriptions


def overlapping(bench, filters, qos=2, **connect):
    """A client with [(filter, options, identifier or None), ...], and what it gets of one message
    on a/b."""
    client = bench.connect(**connect)
    for text, options, identifier in filters:
        props = {"subscription_identifier": identifier} if identifier else None
        client.subscribe((bench.topic(text), options), props=props)
    publisher = bench.connect()
    publisher.publish(bench.topic("a/b"), b"m", qos=qos)
    return client.collect(publisher)


def test_MQTT_3_3_4_2_overlap_honours_the_highest_QoS(v5):
    """Whatever the order of the subscriptions; one copy."""
    assert [m.qos for m in overlapping(v5, [("a/b", 0, 0), ("a/+", 2, 0), ("#", 1, 0)])] == [2]
    assert [m.qos for m in overlapping(v5, [("a/b", 1, 0), ("a/#", 0, 0)])] == [1]
    assert [m.qos for m in overlapping(v5, [("a/b", 1, 0), ("a/#", 2, 0)], qos=1)] == [1]


def test_MQTT_3_3_4_3_MQTT_3_3_4_4_overlap_lists_all_identifiers(v5):
    """One copy with every identifier of the matching subscriptions, and no other."""
    filters = [("a/b", 0, 1), ("a/+", 1, 268435455), ("#", 2, 77), ("a/c", 2, 5), ("+/b", 1, None)]
    (message,) = overlapping(v5, filters)
    assert sorted(message.props["subscription_identifier"]) == [1, 77, 268435455]


def test_overlap_with_one_identifier_used_twice(v5):
    """The same identifier on two matching filters."""
    (message,) = overlapping(v5, [("a/b", 1, 9), ("a/#", 1, 9)])
    assert set(message.props["subscription_identifier"]) == {9}


def test_overlap_judges_retain_as_published_per_subscription(v5):
    """One matching subscription with Retain As Published is enough to see RETAIN."""
    client = v5.connect()
    client.subscribe(
        (v5.topic("a/#"), 1), (v5.topic("a/b"), option_byte(1, retain_as_published=True))
    )
    v5.publisher().publish(v5.topic("a/b"), b"m", qos=1, retain=True)
    (message,) = client.collect(v5.publisher())
    assert message.retain


def test_overlap_judges_no_local_per_subscription(v5):
    """A subscription without No Local still gets the client's own messages, at its own QoS and
    identifier."""
    client = v5.connect()
    client.subscribe(
        (v5.topic("a/b"), option_byte(2, no_local=True)), props={"subscription_identifier": 1}
    )
    client.subscribe((v5.topic("a/#"), 1), props={"subscription_identifier": 2})
    client.send_publish(v5.topic("a/b"), b"own", qos=1)
    client.await_type(T.PUBACK)
    message = client.message(v5.topic("a/b"), b"own", qos=1)
    assert message.props["subscription_identifier"] == [2]
    v5.publisher().publish(v5.topic("a/b"), b"other", qos=2)
    message = client.message(v5.topic("a/b"), b"other", qos=2)
    assert sorted(message.props["subscription_identifier"]) == [1, 2]


def test_MQTT_3_3_4_6_subscription_identifier_from_a_client(v5):
    """A PUBLISH to the server with a subscription identifier is a protocol error."""
    client = v5.connect()
    client.send(mqtt.publish(v5.topic("a"), props={"subscription_identifier": 1}))
    client.expect_disconnect(0x82)
