# SPDX-License-Identifier: MIT
"""MQTT 5.0, 3.1.2.5, 3.1.3.2: wills. Those with a delay that must run out are in
test_v5_timed.py."""

import mqtt
import pytest
from mqtt import T

KEEP = {"session_expiry_interval": 60}


def watch(bench, qos=2, **options):
    """A watcher of the will's topic."""
    client = bench.connect("watcher")
    client.subscribe(bench.topic("w"), qos=qos, **options)
    return client


def will(bench, payload=b"w", delay=None, **options):
    props = dict(options.pop("props", {}))
    if delay is not None:
        props["will_delay_interval"] = delay
    return mqtt.Will(bench.topic("w"), payload, props=props, **options)


def test_MQTT_3_1_2_7_will_is_kept_and_published(v5):
    """A lost connection publishes topic, payload and QoS as they were given."""
    watcher = watch(v5)
    for qos in (0, 1, 2):
        v5.connect(will=will(v5, b"gone %d" % qos, qos=qos)).drop()
        watcher.message(v5.topic("w"), b"gone %d" % qos, qos=qos, retain=False)


@pytest.mark.parametrize("code", [0x04, 0x80, 0x82, 0x93])
def test_MQTT_3_1_2_8_DISCONNECT_with_another_code_publishes_the_will(v5, code):
    """Every code but 0x00."""
    watcher = watch(v5)
    v5.connect(will=will(v5)).disconnect(code)
    watcher.message(v5.topic("w"), b"w")


def test_MQTT_3_1_2_8_protocol_error_publishes_the_will(v5):
    """The server closes, and the will goes out."""
    watcher = watch(v5)
    client = v5.connect(will=will(v5))
    client.send(b"\x00\x00")
    client.expect_disconnect(0x81)
    watcher.message(v5.topic("w"), b"w")


def test_MQTT_3_1_2_8_reset_connection_publishes_the_will(v5):
    """A connection torn down by TCP RST is lost too."""
    import socket
    import struct

    watcher = watch(v5)
    client = v5.connect(will=will(v5))
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    watcher.message(v5.topic("w"), b"w")


def test_MQTT_3_1_2_10_MQTT_3_14_4_3_DISCONNECT_0_discards_the_will(v5):
    """Nothing comes, neither then nor when the session's next connection is lost."""
    watcher = watch(v5)
    for code in (None, 0):
        client = v5.connect(f"c{code}", will=will(v5), props=KEEP)
        client.disconnect(code)
        client = client.reconnect(will=None)
        client.drop()
    assert watcher.collect(v5.publisher()) == []


def test_MQTT_3_1_2_10_published_will_is_removed(v5):
    """It comes once: the session's next connection has the will it brings, or none."""
    watcher = watch(v5)
    client = v5.connect("c", will=will(v5, b"first"), props=KEEP)
    client.drop()
    watcher.message(v5.topic("w"), b"first")
    client = client.reconnect(will=None)
    client.drop()
    client = client.reconnect(will=will(v5, b"second"))
    client.drop()
    watcher.message(v5.topic("w"), b"second")
    assert watcher.collect(v5.publisher()) == []


def test_MQTT_3_1_2_14_will_retain_0(v5):
    """Published without being stored."""
    watcher = watch(v5, retain_as_published=True)
    v5.connect(will=will(v5, qos=1)).drop()
    watcher.message(v5.topic("w"), b"w", retain=False)
    late = v5.connect()
    late.subscribe(v5.topic("w"))
    assert late.collect_retained() == []


def test_MQTT_3_1_2_15_will_retain_1(v5):
    """Published and stored for later subscribers, replacing what was there."""
    v5.publisher().publish(v5.topic("w"), b"old", qos=1, retain=True)
    watcher = v5.connect()
    watcher.subscribe(v5.topic("w"), qos=2, retain_as_published=True, retain_handling=2)
    v5.connect(will=will(v5, qos=1, retain=True)).drop()
    watcher.message(v5.topic("w"), b"w", retain=True)
    late = v5.connect()
    late.subscribe(v5.topic("w"), qos=2)
    late.message(v5.topic("w"), b"w", retain=True, qos=1)


def test_MQTT_3_1_3_10_will_properties_in_order(v5):
    """User properties in order, and all the others, but not the delay."""
    props = {
        "payload_format_indicator": 1,
        "content_type": "text/plain",
        "response_topic": "r/t",
        "correlation_data": b"\x00\xff",
        "user_property": [("z", "1"), ("a", "2"), ("z", "1"), ("", "")],
    }
    watcher = watch(v5)
    v5.connect(will=will(v5, "päyload", props=props, delay=0)).drop()
    assert watcher.message(v5.topic("w"), "päyload").props == props


def test_will_message_expiry_is_passed_on(v5):
    """It counts from the publication of the will."""
    watcher = watch(v5)
    v5.connect(will=will(v5, props={"message_expiry_interval": 1000})).drop()
    assert watcher.message().props["message_expiry_interval"] in (999, 1000)


def test_MQTT_3_1_3_11_will_topic_is_text(v5):
    """An ill-formed will topic is refused."""
    v5.refused(mqtt.connect("c", will=mqtt.Will(b"w\xff")), 0x81)


@pytest.mark.parametrize("topic", ["w/+", "#", ""])
def test_will_topic_must_be_a_topic_name(v5, topic):
    """Wildcards and the empty name are refused when connecting."""
    v5.refused(mqtt.connect("c", will=mqtt.Will(topic)), 0x81, 0x82, 0x90)


def test_empty_will_payload(v5):
    """Published as it is."""
    watcher = watch(v5)
    v5.connect(will=will(v5, b"", qos=1)).drop()
    watcher.message(v5.topic("w"), b"")


def test_will_reaches_an_absent_session(v5):
    """A will of QoS 1 is queued like any message."""
    watcher = v5.connect("watcher", props=KEEP)
    watcher.subscribe(v5.topic("w"), qos=1)
    watcher.disconnect()
    v5.connect(will=will(v5, qos=1)).drop()
    watcher.reconnect().message(v5.topic("w"), b"w")


def test_delay_ends_with_the_session(v5):
    """A session that ends with its connection publishes its will at once, whatever the delay."""
    watcher = watch(v5)
    v5.connect(will=will(v5, delay=3600)).drop()
    watcher.message(v5.topic("w"), b"w")


def test_delay_ends_with_a_session_ended_by_DISCONNECT(v5):
    """DISCONNECT 0x04 that sets the session expiry to 0 publishes at once."""
    watcher = watch(v5)
    client = v5.connect(will=will(v5, delay=3600), props=KEEP)
    client.disconnect(4, {"session_expiry_interval": 0})
    watcher.message(v5.topic("w"), b"w")


def test_delay_ends_with_a_session_ended_by_clean_start(v5):
    """Connecting anew with Clean Start ends the old session: its will goes out."""
    watcher = watch(v5)
    client = v5.connect("c", will=will(v5, delay=3600), props=KEEP)
    client.drop()
    v5.connect("c", clean=True)
    watcher.message(v5.topic("w"), b"w")


def test_takeover_publishes_a_will_without_delay(v5):
    """The old connection is closed by the server: its will goes out."""
    watcher = watch(v5)
    client = v5.connect("c", will=will(v5), props=KEEP)
    v5.connect("c", clean=False, props=KEEP)
    client.expect_disconnect(0x8E)
    watcher.message(v5.topic("w"), b"w")


def test_takeover_with_clean_start_publishes_a_delayed_will(v5):
    """The session ends, and with it the delay."""
    watcher = watch(v5)
    client = v5.connect("c", will=will(v5, delay=3600), props=KEEP)
    v5.connect("c", clean=True)
    client.expect_disconnect(0x8E)
    watcher.message(v5.topic("w"), b"w")


def test_will_is_the_new_connection_s_after_reconnection(v5):
    """A resumed session uses the will of the CONNECT that resumed it."""
    watcher = watch(v5)
    client = v5.connect("c", will=will(v5, b"old", delay=3600), props=KEEP)
    client.drop()
    client = client.reconnect(will=will(v5, b"new"))
    client.drop()
    watcher.message(v5.topic("w"), b"new")
    assert watcher.collect(v5.publisher()) == []


def test_will_of_a_client_that_subscribes_to_it(v5):
    """A client's own will reaches its session like any other message."""
    client = v5.connect("c", will=will(v5, qos=1), props=KEEP)
    client.subscribe(v5.topic("w"), qos=1)
    client.drop()
    client = client.reconnect(will=None)
    client.message(v5.topic("w"), b"w")


def test_rejected_CONNECT_leaves_no_will(v5):
    """Only accepted connections have one."""
    watcher = watch(v5)
    v5.refused(
        mqtt.connect(v5.id("c"), will=will(v5), props={"authentication_method": "no-such-method"}),
        0x8C,
        0x87,
    )
    assert watcher.collect(v5.publisher()) == []


def test_will_goes_through_topic_aliases_and_identifiers(v5):
    """A will is delivered with the subscription's identifier."""
    watcher = v5.connect(props={"topic_alias_maximum": 5})
    watcher.subscribe(v5.topic("#"), qos=1, props={"subscription_identifier": 3})
    for _ in range(3):
        v5.connect(will=will(v5)).drop()
        message = watcher.message(v5.topic("w"), b"w")
        assert message.props["subscription_identifier"] == [3]
        assert message.type == T.PUBLISH
