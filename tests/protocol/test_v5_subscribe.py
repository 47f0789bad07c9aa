# SPDX-License-Identifier: MIT
"""MQTT 5.0, 3.8 to 3.12: SUBSCRIBE, UNSUBSCRIBE, PINGREQ and their answers."""

import mqtt
import pytest
from client import option_byte, payloads
from mqtt import T
from test_v5_qos import tight


@pytest.mark.parametrize("flags", [0, 1, 3, 8, 15])
def test_MQTT_3_8_1_1_SUBSCRIBE_flags(v5, flags):
    """Other flags than 0010 are malformed; nothing is subscribed."""
    client = v5.connect("c", props={"session_expiry_interval": 60})
    client.send(mqtt.subscribe(1, [(v5.topic("a"), 0)], flags=flags))
    client.expect_disconnect(0x81)
    client = client.reconnect()
    assert client.unsubscribe(v5.topic("a")).codes == [0x11]


def test_MQTT_3_8_3_1_filters_are_text(v5):
    """An ill-formed filter is a malformed packet."""
    client = v5.connect()
    client.send(mqtt.subscribe(1, [(b"a\xff", 0)]))
    client.expect_disconnect(0x81)


def test_MQTT_3_8_3_2_SUBSCRIBE_without_filters(v5):
    """A protocol error."""
    client = v5.connect()
    client.send(mqtt.subscribe(1, []))
    client.expect_disconnect(0x82)


def test_MQTT_3_8_3_3_no_local(v5):
    """The client's own messages do not come back; other clients' do, and its own from another
    session too."""
    client = v5.connect("c")
    topic = v5.topic("a")
    client.subscribe((topic, option_byte(2, no_local=True)))
    for qos in (0, 1, 2):
        client.publish(topic, b"own", qos=qos)
        v5.publisher().publish(topic, b"%d" % qos, qos=qos)
    assert payloads(client.collect(v5.publisher())) == [b"0", b"1", b"2"]


def test_no_local_holds_for_the_session_not_the_connection(v5):
    """Published by the same client id on a former connection, stored, delivered later: still its
    own."""
    keep = {"session_expiry_interval": 60}
    client = v5.connect("c", props=keep)
    topic = v5.topic("a")
    client.subscribe((topic, option_byte(1, no_local=True)))
    client = client.reconnect()
    client.publish(topic, b"own", qos=1)
    assert client.collect(v5.publisher()) == []


def test_no_local_leaves_the_will_out_for_its_own_session(v5):
    """A will is a message of its client: its own no-local subscription does not get it."""
    keep = {"session_expiry_interval": 60}
    topic = v5.topic("w")
    client = v5.connect("c", props=keep, will=mqtt.Will(topic, b"w", qos=1))
    client.subscribe((topic, option_byte(1, no_local=True)))
    watcher = v5.connect()
    watcher.subscribe(topic, qos=1)
    client.drop()
    watcher.message(topic, b"w")
    assert client.reconnect(will=None).collect(v5.publisher()) == []


def test_MQTT_3_8_3_4_no_local_on_a_shared_subscription(v5):
    """A protocol error."""
    client = v5.connect()
    client.send(mqtt.subscribe(1, [("$share/g/a", option_byte(0, no_local=True))]))
    client.expect_disconnect(0x82)


@pytest.mark.parametrize("options", [0x40, 0x80, 0xC0, 0xC2])
def test_MQTT_3_8_3_5_reserved_option_bits(v5, options):
    """Bits 6 and 7 must be zero: malformed."""
    client = v5.connect()
    client.send(mqtt.subscribe(1, [("a", options)]))
    client.expect_disconnect(0x81)


@pytest.mark.parametrize("options", [0x03, 0x30, 0x33], ids=["qos3", "handling3", "both"])
def test_option_values_out_of_range(v5, options):
    """QoS 3 and Retain Handling 3 are protocol errors."""
    client = v5.connect()
    client.send(mqtt.subscribe(1, [("a", options)]))
    client.expect_disconnect(0x82)


def test_MQTT_3_8_4_1_MQTT_3_8_4_2_SUBSCRIBE_is_answered(v5):
    """By a SUBACK with its identifier, each time."""
    client = v5.connect()
    for pid in (9, 3, 3, 60000):
        client.send(mqtt.subscribe(pid, [(v5.topic("a"), 0)]))
        client.expect(T.SUBACK, pid=pid, codes=[0])


def test_MQTT_3_8_4_3_same_filter_replaces_the_subscription(v5):
    """One copy, by the new options: QoS, identifier, Retain As Published, No Local."""
    client = v5.connect()
    topic = v5.topic("a")
    client.subscribe(topic, qos=2, props={"subscription_identifier": 1})
    client.subscribe(
        (topic, option_byte(1, retain_as_published=True)), props={"subscription_identifier": 2}
    )
    v5.publisher().publish(topic, b"m", qos=2, retain=True)
    (message,) = client.collect(v5.publisher())
    assert (message.qos, message.retain) == (1, True)
    assert message.props["subscription_identifier"] == [2]
    client.subscribe((topic, option_byte(0, no_local=True, retain_handling=2)))
    v5.publisher().publish(topic, b"n", qos=2)
    client.publish(topic, b"own", qos=1)
    (message,) = client.collect(v5.publisher())
    assert (message.payload, message.qos, message.props) == (b"n", 0, {})
    assert client.unsubscribe(topic).codes == [0]
    assert client.unsubscribe(topic).codes == [0x11]


def test_MQTT_3_8_4_4_replacement_loses_nothing(v5):
    """While a stream of messages runs, the subscription is replaced 30 times: none lost, none
    twice."""
    client = v5.connect()
    topic = v5.topic("a")
    client.subscribe(topic, qos=1)
    publisher = v5.connect()
    seen = []
    for turn in range(30):
        publisher.send(
            *[mqtt.publish(topic, b"%d" % (turn * 10 + i), qos=1, pid=i + 1) for i in range(10)]
        )
        client.subscribe(topic, qos=1 + turn % 2)
        for i in range(10):
            publisher.expect(T.PUBACK, pid=i + 1)
        seen += [int(p) for p in payloads(client.collect(publisher))]
    assert seen == list(range(300))


def test_MQTT_3_8_4_4_replacement_sends_retained_again(v5):
    """With Retain Handling 0."""
    client = v5.connect()
    topic = v5.topic("a")
    v5.publisher().publish(topic, b"r", qos=1, retain=True)
    for qos in (1, 0, 2):
        client.subscribe(topic, qos=qos, retain_handling=0)
        (message,) = client.collect_retained()
        assert (message.payload, message.qos, message.retain) == (b"r", min(1, qos), True)


def test_MQTT_3_8_4_5_several_filters_one_SUBACK(v5):
    """Each filter works; later ones in the packet replace earlier equal ones."""
    client = v5.connect()
    a, b = v5.topic("a"), v5.topic("b")
    assert client.subscribe((a, 2), (b, 1), (a, 0)).codes == [2, 1, 0]
    v5.publisher().publish(a, b"a", qos=2)
    v5.publisher().publish(b, b"b", qos=2)
    messages = client.collect(v5.publisher())
    assert [(m.topic, m.qos) for m in messages] == [(a, 0), (b, 1)]


def test_MQTT_3_8_4_6_MQTT_3_8_4_7_one_code_per_filter(v5):
    """100 filters, some of them bad: granted QoS or failure for each."""
    client = v5.connect()
    filters = [("a#", 0) if i % 7 == 3 else (v5.topic(f"{i}"), i % 3) for i in range(100)]
    codes = client.subscribe(*filters).codes
    assert codes == [0x8F if i % 7 == 3 else i % 3 for i in range(100)]


@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_MQTT_3_8_4_8_delivery_QoS_is_the_lower_one(v5, published, granted):
    """min(published, granted)."""
    client = v5.connect()
    topic = v5.topic("a")
    assert client.subscribe(topic, qos=granted).codes == [granted]
    v5.publisher().publish(topic, qos=published)
    client.message(topic, qos=min(published, granted))


def test_MQTT_3_9_2_1_MQTT_3_9_2_2_SUBACK_fits_the_client(v5):
    """With hardly any room the SUBACK of a refused filter still comes, without text."""
    client = tight(v5)
    assert client.subscribe("a#b").codes == [0x8F]


def test_MQTT_3_9_3_1_MQTT_3_9_3_2_codes_are_in_filter_order(v5):
    """Granted and refused ones mixed (the decoder holds the table)."""
    client = v5.connect()
    pairs = [(v5.topic("a"), 1), ("+a", 2), (v5.topic("b"), 0), ("a/#/c", 0), (v5.topic("c"), 2)]
    assert client.subscribe(*pairs).codes == [1, 0x8F, 0, 0x8F, 2]
    assert client.subscribe(*pairs[::-1]).codes == [2, 0x8F, 0, 0x8F, 1]


def test_subscription_identifier_limits(v5):
    """1 and 268435455 work, 0 and a second one are protocol errors."""
    client = v5.connect()
    topic = v5.topic("a")
    for identifier in (1, 127, 128, 268435455):
        client.subscribe(topic, props={"subscription_identifier": identifier})
        v5.publisher().publish(topic)
        assert client.message(topic).props["subscription_identifier"] == [identifier]
    for bad in (0, [1, 2]):
        client = v5.connect()
        client.send(mqtt.subscribe(1, [(topic, 0)], {"subscription_identifier": bad}))
        client.expect_disconnect(0x82)


def test_subscription_identifier_on_retained_messages(v5):
    """A replay carries the identifier of the subscription it belongs to."""
    topic = v5.topic("a")
    v5.publisher().publish(topic, b"r", qos=1, retain=True)
    client = v5.connect()
    client.subscribe(topic, qos=1, props={"subscription_identifier": 5})
    assert client.message(topic).props["subscription_identifier"] == [5]


def test_subscriptions_survive_with_all_options(v5):
    """In a resumed session: QoS, identifier, No Local, Retain As Published."""
    client = v5.connect("c", props={"session_expiry_interval": 60})
    topic = v5.topic("a")
    client.subscribe(
        (topic, option_byte(2, no_local=True, retain_as_published=True)),
        props={"subscription_identifier": 9},
    )
    client.disconnect()
    client = client.reconnect()
    client.publish(topic, b"own", qos=1)
    v5.publisher().publish(topic, b"m", qos=2, retain=True)
    (message,) = client.collect(v5.publisher())
    assert (message.payload, message.qos, message.retain) == (b"m", 2, True)
    assert message.props["subscription_identifier"] == [9]


@pytest.mark.parametrize("flags", [0, 1, 3, 8, 15])
def test_MQTT_3_10_1_1_UNSUBSCRIBE_flags(v5, flags):
    """Other flags than 0010 are malformed; the subscription stays."""
    client = v5.connect("c", props={"session_expiry_interval": 60})
    client.subscribe(v5.topic("a"))
    client.send(mqtt.unsubscribe(9, [v5.topic("a")], flags=flags))
    client.expect_disconnect(0x81)
    client = client.reconnect()
    assert client.unsubscribe(v5.topic("a")).codes == [0]


def test_MQTT_3_10_3_1_filters_are_text(v5):
    """An ill-formed filter is a malformed packet."""
    client = v5.connect()
    client.send(mqtt.unsubscribe(1, [b"\xed\xa0\x80"]))
    client.expect_disconnect(0x81)


def test_MQTT_3_10_3_2_UNSUBSCRIBE_without_filters(v5):
    """A protocol error."""
    client = v5.connect()
    client.send(mqtt.unsubscribe(1, []))
    client.expect_disconnect(0x82)


def test_MQTT_3_10_4_1_filters_are_compared_exactly(v5):
    """Only the very same filter is deleted; wildcards do not match filters."""
    client = v5.connect()
    client.subscribe(v5.topic("a/b"), v5.topic("a/+"), v5.topic("a/#"))
    others = ("a/B", "a/b/", "#", "+/b", "a", "a/+/#")
    assert client.unsubscribe(*map(v5.topic, others)).codes == [0x11] * len(others)
    assert client.unsubscribe(v5.topic("a/+")).codes == [0]
    assert client.unsubscribe(v5.topic("a/+"), v5.topic("a/b"), v5.topic("a/#")).codes == [
        0x11,
        0,
        0,
    ]


def test_MQTT_3_10_4_2_no_new_messages_after_UNSUBSCRIBE(v5):
    """After UNSUBACK nothing more matches; other filters go on."""
    client = v5.connect()
    client.subscribe(v5.topic("a"), v5.topic("b"), qos=1)
    client.unsubscribe(v5.topic("a"))
    for name in ("a", "b"):
        v5.publisher().publish(v5.topic(name), name, qos=1)
    assert payloads(client.collect(v5.publisher())) == [b"b"]


def test_MQTT_3_10_4_3_begun_deliveries_are_completed(v5):
    """QoS 1 and 2 messages sent before are acknowledged, resent and released as always."""
    client = v5.connect("c", props={"session_expiry_interval": 60})
    topic = v5.topic("a")
    client.subscribe(topic, qos=2)
    for qos in (1, 2, 2):
        v5.publisher().publish(topic, b"%d" % qos, qos=qos)
    one, two, three = [client.message(topic, finish=False) for _ in range(3)]
    client.unsubscribe(topic)
    client.ack(two)
    release = client.expect(T.PUBREL, pid=two.pid, code=0)
    client.ack(release)
    client.drop()
    client = client.reconnect()
    for message in (one, three):
        client.message(topic, pid=message.pid, dup=True)
    assert client.collect(v5.publisher()) == []


def test_MQTT_3_10_4_4_MQTT_3_10_4_5_UNSUBSCRIBE_is_always_answered(v5):
    """By UNSUBACK with its identifier, also when nothing was deleted."""
    client = v5.connect()
    client.subscribe(v5.topic("a"))
    for pid, code in ((5, 0), (5, 0x11), (65535, 0x11)):
        client.send(mqtt.unsubscribe(pid, [v5.topic("a")]))
        client.expect(T.UNSUBACK, pid=pid, codes=[code])


def test_MQTT_3_10_4_6_several_filters_one_UNSUBACK(v5):
    """All are deleted; one UNSUBACK."""
    client = v5.connect()
    names = [v5.topic(name) for name in "abc"]
    client.subscribe(*names, qos=1)
    assert client.unsubscribe(*names).codes == [0, 0, 0]
    client.ping()
    for name in names:
        v5.publisher().publish(name, qos=1)
    assert client.collect(v5.publisher()) == []


def test_MQTT_3_11_2_1_MQTT_3_11_2_2_UNSUBACK_fits_the_client(v5):
    """With hardly any room the UNSUBACK for unknown filters still comes, without text."""
    client = tight(v5)
    assert client.unsubscribe("never", "ever").codes == [0x11, 0x11]


def test_MQTT_3_11_3_1_MQTT_3_11_3_2_codes_are_in_filter_order(v5):
    """Known and unknown filters mixed (the decoder holds the table)."""
    client = v5.connect()
    client.subscribe(v5.topic("a"), v5.topic("b"))
    names = [v5.topic(name) for name in ("x", "a", "y", "b", "a")]
    assert client.unsubscribe(*names).codes == [0x11, 0, 0x11, 0, 0x11]


def test_MQTT_3_12_4_1_PINGREQ_is_answered(v5):
    """One PINGRESP for each, also when they come at once."""
    client = v5.connect()
    client.send(mqtt.PINGREQ * 50)
    for _ in range(50):
        client.expect(T.PINGRESP)


def test_many_subscriptions_of_one_client(v5):
    """3000 filters, all working, and removed again."""
    client = v5.connect()
    names = [v5.topic(f"{i % 50}/{i}") for i in range(3000)]
    for start in range(0, 3000, 500):
        assert client.subscribe(*names[start : start + 500], qos=1).codes == [1] * 500
    for i in range(0, 3000, 100):
        v5.publisher().publish(names[i], b"%d" % i, qos=1)
        client.message(names[i], b"%d" % i)
    for start in range(0, 3000, 500):
        assert client.unsubscribe(*names[start : start + 500]).codes == [0] * 500
