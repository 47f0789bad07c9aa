# SPDX-License-Identifier: MIT
"""MQTT 5.0, 3.4 to 3.7, 4.3, 4.4, 4.6, 4.9: acknowledgements, windows, resending, order."""

import mqtt
import pytest
from client import Closed, payloads
from mqtt import T

KEEP = {"session_expiry_interval": 60}


def subscribed(bench, qos=2, name=None, **connect):
    """A subscriber to one topic, and the topic."""
    client = bench.connect(name, **connect)
    topic = bench.topic("a")
    client.subscribe(topic, qos=qos)
    return client, topic


# ---- the server as receiver


def test_MQTT_3_3_4_1_PUBLISH_is_answered_as_its_QoS_demands(v5):
    """Nothing, PUBACK, PUBREC."""
    client = v5.connect()
    client.send_publish(v5.topic("a"), qos=0)
    client.ping()
    pid = client.send_publish(v5.topic("a"), qos=1)
    client.expect(T.PUBACK, pid=pid)
    client.ping()
    pid = client.send_publish(v5.topic("a"), qos=2)
    client.expect(T.PUBREC, pid=pid)
    client.ping()


def test_MQTT_3_4_2_1_MQTT_3_5_2_1_codes_of_PUBACK_and_PUBREC(v5):
    """0x00 where somebody subscribes, 0x00 or 0x10 where nobody does."""
    client, topic = subscribed(v5)
    publisher = v5.publisher()
    for qos in (1, 2):
        assert publisher.publish(topic, qos=qos).code == 0
        client.message(topic)
        assert publisher.publish(v5.topic("nobody"), qos=qos).code in (0x00, 0x10)


def tight(bench, **options):
    """A client whose Maximum Packet Size just admits the CONNACK."""
    probe = bench.connect(props={"maximum_packet_size": 1000, **options})
    size = len(probe.connack.raw)
    return bench.connect(props={"maximum_packet_size": size, **options})


def test_MQTT_3_4_2_2_MQTT_3_4_2_3_PUBACK_fits_the_client(v5):
    """With hardly any room the PUBACK still comes, without text (the client checks the size)."""
    client = tight(v5)
    client.publish(v5.topic("nobody"), qos=1)


def test_MQTT_3_5_2_2_MQTT_3_5_2_3_PUBREC_fits_the_client(v5):
    """With hardly any room the PUBREC still comes, without text."""
    client = tight(v5)
    client.publish(v5.topic("nobody"), qos=2)


def test_MQTT_3_6_2_2_MQTT_3_6_2_3_PUBREL_fits_the_client(v5):
    """With hardly any room the PUBREL for an unknown identifier still comes, without text."""
    client = tight(v5)
    client.send(mqtt.ack(T.PUBREC, 77))
    client.expect(T.PUBREL, pid=77, code=0x92)


def test_MQTT_3_7_2_2_MQTT_3_7_2_3_PUBCOMP_fits_the_client(v5):
    """With hardly any room the PUBCOMP for an unknown identifier still comes, without text."""
    client = tight(v5)
    client.send(mqtt.ack(T.PUBREL, 77))
    client.expect(T.PUBCOMP, pid=77, code=0x92)


@pytest.mark.parametrize("flags", [0, 1, 3, 6, 10, 15])
def test_MQTT_3_6_1_1_PUBREL_flags(v5, flags):
    """Other flags than 0010 are malformed, also within a handshake."""
    client = v5.connect()
    pid = client.send_publish(v5.topic("a"), qos=2)
    client.expect(T.PUBREC, pid=pid)
    client.send(mqtt.ack(T.PUBREL, pid, flags=flags))
    client.expect_disconnect(0x81)


def test_MQTT_3_6_2_1_codes_of_PUBREL(v5):
    """0x00 in a handshake, 0x92 for an identifier the server does not know."""
    client, topic = subscribed(v5)
    v5.publisher().publish(topic, qos=2)
    message = client.message(topic, finish=False)
    client.ack(message)
    release = client.expect(T.PUBREL, pid=message.pid, code=0)
    client.ack(release)
    client.send(mqtt.ack(T.PUBREC, 4711))
    client.expect(T.PUBREL, pid=4711, code=0x92)


def test_MQTT_3_7_2_1_codes_of_PUBCOMP(v5):
    """0x00 in a handshake, 0x92 for an identifier the server does not know, also once it is
    finished."""
    client = v5.connect()
    pid = client.send_publish(v5.topic("a"), qos=2)
    client.expect(T.PUBREC)
    client.send(mqtt.ack(T.PUBREL, pid))
    client.expect(T.PUBCOMP, pid=pid, code=0)
    for unknown in (pid, 999):
        client.send(mqtt.ack(T.PUBREL, unknown))
        client.expect(T.PUBCOMP, pid=unknown, code=0x92)


@pytest.mark.parametrize("code,props", [(0, None), (0, {}), (0, {"reason_string": "why"})])
def test_long_forms_of_acknowledgements_are_taken(v5, code, props):
    """A client may send code and properties where the short form would do."""
    client, topic = subscribed(v5)
    publisher = v5.connect()
    pid = publisher.send_publish(topic, qos=2)
    publisher.expect(T.PUBREC)
    publisher.send(mqtt.ack(T.PUBREL, pid, code, props))
    publisher.expect(T.PUBCOMP, pid=pid, code=0)
    publisher.publish(topic, qos=1)
    message = client.message(topic, qos=2, finish=False)
    client.send(mqtt.ack(T.PUBREC, message.pid, code, props))
    release = client.await_type(T.PUBREL, message.pid)
    client.in_flight.pop(message.pid)
    client.send(mqtt.ack(T.PUBCOMP, release.pid, code, props))
    message = client.message(topic, qos=1, finish=False)
    client.in_flight.pop(message.pid)
    client.send(mqtt.ack(T.PUBACK, message.pid, code, props))
    client.ping()


def test_MQTT_4_3_2_4_PUBACK_once_the_message_is_taken(v5):
    """After the PUBACK the message reaches its subscriber even if the publisher is gone."""
    client, topic = subscribed(v5)
    publisher = v5.connect()
    pid = publisher.send_publish(topic, b"m", qos=1)
    publisher.expect(T.PUBACK, pid=pid)
    publisher.close()
    client.message(topic, b"m")


def test_MQTT_4_3_2_5_after_PUBACK_the_identifier_is_new(v5):
    """The same identifier again, with DUP set or not, is another message."""
    client, topic = subscribed(v5)
    publisher = v5.connect()
    for i, dup in enumerate((False, True, True, False)):
        publisher.publish(topic, b"%d" % i, qos=1, pid=7, dup=dup)
    assert payloads(client.collect(publisher)) == [b"0", b"1", b"2", b"3"]


def test_MQTT_4_3_3_8_PUBREC_once_the_message_is_taken(v5):
    """PUBREC with the identifier; the message is delivered even if the publisher never comes
    back."""
    client, topic = subscribed(v5)
    publisher = v5.connect()
    pid = publisher.send_publish(topic, b"m", qos=2)
    publisher.expect(T.PUBREC, pid=pid, code=0)
    publisher.close()
    client.message(topic, b"m")


def test_MQTT_4_3_3_10_repeats_before_PUBREL_are_not_delivered_twice(v5):
    """Each repeat is answered by PUBREC; the subscriber gets one, also across a reconnection."""
    client, topic = subscribed(v5)
    publisher = v5.connect("p", props=KEEP)
    for dup in (False, True, True):
        publisher.send_publish(topic, b"once", qos=2, pid=7, dup=dup)
        publisher.expect(T.PUBREC, pid=7, code=0)
    publisher.drop()
    publisher = publisher.reconnect()
    publisher.send_publish(topic, b"once", qos=2, pid=7, dup=True)
    publisher.expect(T.PUBREC, pid=7, code=0)
    publisher.send(mqtt.ack(T.PUBREL, 7))
    publisher.expect(T.PUBCOMP, pid=7, code=0)
    assert payloads(client.collect(publisher)) == [b"once"]


def test_PUBREL_after_reconnection_is_completed(v5):
    """PUBREC received, connection lost, session resumed: PUBREL gets PUBCOMP 0x00."""
    client, topic = subscribed(v5)
    publisher = v5.connect("p", props=KEEP)
    publisher.send_publish(topic, b"once", qos=2, pid=7)
    publisher.expect(T.PUBREC)
    publisher.drop()
    publisher = publisher.reconnect()
    publisher.send(mqtt.ack(T.PUBREL, 7))
    publisher.expect(T.PUBCOMP, pid=7, code=0)
    assert payloads(client.collect(publisher)) == [b"once"]


def test_MQTT_4_3_3_11_PUBREL_is_answered_by_PUBCOMP(v5):
    """With the same identifier, in the order of the PUBRELs."""
    client = v5.connect()
    for pid in (5, 6, 7):
        client.send_publish(v5.topic("a"), qos=2, pid=pid)
        client.expect(T.PUBREC, pid=pid)
    for pid in (6, 7, 5):
        client.send(mqtt.ack(T.PUBREL, pid))
        client.expect(T.PUBCOMP, pid=pid, code=0)


def test_MQTT_4_3_3_12_after_PUBCOMP_the_identifier_is_new(v5):
    """The same identifier again is another message, whatever DUP says."""
    client, topic = subscribed(v5)
    publisher = v5.connect()
    for i, dup in enumerate((False, True, False)):
        publisher.publish(topic, b"%d" % i, qos=2, pid=7, dup=dup)
    assert payloads(client.collect(publisher)) == [b"0", b"1", b"2"]


def test_one_identifier_space_per_direction(v5):
    """Client and server may use the same identifier at the same time."""
    client, topic = subscribed(v5)
    v5.publisher().publish(topic, qos=2)
    message = client.message(topic, finish=False)
    client.send_publish(v5.topic("other"), qos=2, pid=message.pid)
    client.expect(T.PUBREC, pid=message.pid)
    client.ack(message)
    release = client.expect(T.PUBREL, pid=message.pid, code=0)
    client.send(mqtt.ack(T.PUBREL, message.pid))
    client.expect(T.PUBCOMP, pid=message.pid, code=0)
    client.ack(release)
    client.ping()


@pytest.mark.parametrize(
    "qos,answer",
    [(1, T.PUBACK), (2, T.PUBREC)],
    ids=["MQTT_4_6_0_2_PUBACK", "MQTT_4_6_0_3_PUBREC"],
)
def test_MQTT_4_6_0_2_MQTT_4_6_0_3_acknowledgements_follow_arrival(v5, qos, answer):
    """60 pipelined messages to topics with and without subscribers are answered in order."""
    subscribed(v5, qos=2)
    client = v5.connect()
    names = ["a", "nobody", "r"]
    pids = [i * 7 % 61 + 1 for i in range(60)]
    client.send(
        *[
            mqtt.publish(v5.topic(names[i % 3]), b"x", qos, i % 3 == 2, pid=pid)
            for i, pid in enumerate(pids)
        ]
    )
    assert [client.expect(answer).pid for _ in pids] == pids


def test_MQTT_3_3_4_7_too_many_unacknowledged_messages(v5):
    """One QoS 2 message more than the server's Receive Maximum: 0x93 and the end."""
    client = v5.connect()
    maximum = client.connack.props["receive_maximum"]
    topic = v5.topic("a")
    client.send(*[mqtt.publish(topic, qos=2, pid=i + 1) for i in range(maximum)])
    for i in range(maximum):
        client.expect(T.PUBREC, pid=i + 1)
    client.ping()
    client.send(mqtt.publish(topic, qos=2, pid=maximum + 1))
    client.expect_disconnect(0x93)


def test_receive_maximum_counts_finished_handshakes_out(v5):
    """Three windows of QoS 2 messages in a row, and a QoS 1 flood, are within the limit."""
    client = v5.connect()
    maximum = client.connack.props["receive_maximum"]
    for _ in range(3):
        client.send(*[mqtt.publish(v5.topic("a"), qos=2, pid=i + 1) for i in range(maximum)])
        client.send(*[mqtt.ack(T.PUBREL, i + 1) for i in range(maximum)])
        for i in range(maximum):
            client.await_type(T.PUBCOMP, i + 1)
        client.held.clear()
    for _ in range(5):
        client.send(*[mqtt.publish(v5.topic("a"), qos=1, pid=i + 1) for i in range(maximum)])
        for i in range(maximum):
            client.expect(T.PUBACK, pid=i + 1)


# ---- the server as sender


def test_MQTT_4_3_1_1_QoS_0_sender(v5):
    """QoS 0, DUP 0, no identifier."""
    client, topic = subscribed(v5)
    v5.publisher().publish(topic, qos=0)
    client.message(topic, qos=0, dup=False, pid=None)


@pytest.mark.parametrize(
    "qos", [1, 2], ids=["MQTT_4_3_2_1_MQTT_4_3_2_2", "MQTT_4_3_3_1_MQTT_4_3_3_2"]
)
def test_MQTT_4_3_2_1_MQTT_4_3_2_2_MQTT_4_3_3_1_MQTT_4_3_3_2_first_sending(v5, qos):
    """Every new message has an identifier that is free (the client checks), and DUP 0."""
    client, topic = subscribed(v5)
    for i in range(10):
        v5.publisher().publish(topic, qos=qos)
        client.message(topic, qos=qos, dup=False, finish=i % 3 == 0)


def test_MQTT_4_3_2_3_unacknowledged_until_PUBACK(v5):
    """Without PUBACK the message comes again in the resumed session; with it, not."""
    client, topic = subscribed(v5, name="c", props=KEEP)
    for payload in (b"1", b"2"):
        v5.publisher().publish(topic, payload, qos=1)
    client.message(topic, b"1", finish=True)
    client.message(topic, b"2", finish=False)
    client.fence()
    client.drop()
    client = client.reconnect()
    client.message(topic, b"2", dup=True)
    assert client.collect(v5.publisher()) == []


def test_MQTT_4_3_3_3_unacknowledged_until_PUBREC(v5):
    """Without PUBREC the PUBLISH comes again in the resumed session, with the same identifier."""
    client, topic = subscribed(v5, name="c", props=KEEP)
    v5.publisher().publish(topic, b"1", qos=2)
    first = client.message(topic, b"1", finish=False)
    client.drop()
    client = client.reconnect()
    client.message(topic, b"1", dup=True, pid=first.pid)
    assert client.collect(v5.publisher()) == []


def test_MQTT_4_3_3_4_PUBREC_is_answered_by_PUBREL(v5):
    """Same identifier; PUBRECs of three messages in any order."""
    client, topic = subscribed(v5)
    for _ in range(3):
        v5.publisher().publish(topic, qos=2)
    first, second, third = [client.message(topic, finish=False) for _ in range(3)]
    for message in (third, first, second):
        client.ack(message)
        client.expect(T.PUBREL, pid=message.pid, code=0)


def test_PUBREC_with_code_0x10_goes_on_with_PUBREL(v5):
    """0x10 is below 0x80: the handshake goes on."""
    client, topic = subscribed(v5)
    v5.publisher().publish(topic, qos=2)
    message = client.message(topic, finish=False)
    client.ack(message, 0x10)
    client.ack(client.expect(T.PUBREL, pid=message.pid, code=0))


def test_MQTT_4_3_3_5_MQTT_4_3_3_6_PUBREL_is_resent_not_PUBLISH(v5):
    """After PUBREC, the resumed session has a PUBREL and no PUBLISH, until PUBCOMP."""
    client, topic = subscribed(v5, name="c", props=KEEP)
    v5.publisher().publish(topic, b"1", qos=2)
    message = client.message(topic, finish=False)
    client.ack(message)
    client.expect(T.PUBREL, pid=message.pid)
    for _ in range(2):
        client.drop()
        client = client.reconnect()
        release = client.expect(T.PUBREL, pid=message.pid, code=0)
    client.ack(release)
    client.fence()
    client.drop()
    client = client.reconnect()
    assert client.collect(v5.publisher()) == []


def test_repeated_PUBREC_gets_PUBREL_again(v5):
    """PUBREC again before PUBCOMP is answered by PUBREL."""
    client, topic = subscribed(v5)
    v5.publisher().publish(topic, qos=2)
    message = client.message(topic, finish=False)
    for _ in range(2):
        client.ack(message)
        release = client.expect(T.PUBREL, pid=message.pid, code=0)
    client.ack(release)
    client.ping()


def test_MQTT_4_4_0_1_resumed_session_resends_in_order(v5):
    """PUBREL and PUBLISHes with their identifiers, PUBLISH with DUP, then what waited, without
    DUP."""
    client, topic = subscribed(v5, name="c", props={**KEEP, "receive_maximum": 4})
    for i in range(8):
        v5.publisher().publish(topic, b"%d" % i, qos=1 + i % 2)
    sent = [client.message(topic, b"%d" % i, finish=False) for i in range(4)]
    client.ack(sent[1])
    client.expect(T.PUBREL, pid=sent[1].pid)
    client.drop()
    client = client.reconnect()
    again = [client.recv() for _ in range(4)]
    assert {p.pid for p in again if p.type == T.PUBREL} == {sent[1].pid}
    resent = [p for p in again if p.type == T.PUBLISH and p.dup]
    assert [(p.pid, p.payload) for p in resent] == [
        (p.pid, p.payload) for p in (sent[0], sent[2], sent[3])
    ]
    for packet in again:
        if packet.type == T.PUBLISH:
            client.finish(packet)
        else:
            client.ack(packet)
    rest = client.collect(v5.publisher())
    assert [(p.payload, p.dup) for p in rest] == [(b"%d" % i, False) for i in range(4, 8)]


def test_MQTT_3_3_1_1_DUP_only_on_redelivery(v5):
    """DUP 0 at first, 1 on each redelivery."""
    client, topic = subscribed(v5, name="c", props=KEEP)
    for qos in (1, 2):
        v5.publisher().publish(topic, b"%d" % qos, qos=qos)
    for dup in (False, True, True):
        first = client.message(topic, b"1", dup=dup, finish=False)
        second = client.message(topic, b"2", dup=dup, finish=False)
        client.drop()
        client = client.reconnect()
    assert [first.qos, second.qos] == [1, 2]


def test_takeover_resends_with_DUP(v5):
    """A session taken over by a second connection resends there what the first did not
    acknowledge."""
    client, topic = subscribed(v5, name="c", props=KEEP)
    v5.publisher().publish(topic, b"1", qos=1)
    first = client.message(topic, b"1", dup=False, finish=False)
    second = v5.connect("c", clean=False, props=KEEP)
    client.expect_disconnect(0x8E)
    second.message(topic, b"1", dup=True, pid=first.pid)


def test_queued_but_unsent_messages_have_no_DUP(v5):
    """What was stored while the client was away is sent for the first time."""
    client, topic = subscribed(v5, name="c", props=KEEP)
    client.disconnect()
    for i in range(50):
        v5.publisher().publish(topic, b"%d" % i, qos=1)
    client = client.reconnect()
    for i in range(50):
        client.message(topic, b"%d" % i, dup=False)


@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x90, 0x97, 0x99])
def test_MQTT_4_4_0_2_refused_messages_are_not_resent(v5, code):
    """PUBACK or PUBREC of 0x80 and more ends the delivery."""
    client, topic = subscribed(v5, name="c", props={**KEEP, "receive_maximum": 1})
    for qos in (1, 2):
        v5.publisher().publish(topic, b"refused", qos=qos)
        client.ack(client.message(topic, b"refused", finish=False), code)
    v5.publisher().publish(topic, b"next", qos=2)
    client.message(topic, b"next")
    client.fence()
    client.drop()
    client = client.reconnect()
    assert client.collect(v5.publisher()) == []


@pytest.mark.parametrize("qos", [1, 2])
def test_MQTT_3_3_4_9_MQTT_4_9_0_1_MQTT_4_9_0_2_window(v5, qos):
    """No more than Receive Maximum unacknowledged; each finished one lets one more come, in
    order."""
    client, topic = subscribed(v5, props={"receive_maximum": 3})
    for i in range(10):
        v5.publisher().publish(topic, b"%d" % i, qos=qos)
    window = [client.message(topic, b"%d" % i, finish=False) for i in range(3)]
    for i in range(3, 10):
        client.ping()
        client.finish(window.pop(0))
        window.append(client.message(topic, b"%d" % i, finish=False))
    client.ping()


def test_QoS_2_frees_its_place_with_PUBCOMP_not_PUBREC(v5):
    """After PUBREC the place is still taken; after PUBCOMP, or a PUBREC of 0x80, it is free."""
    client, topic = subscribed(v5, props={"receive_maximum": 1})
    for i in range(3):
        v5.publisher().publish(topic, b"%d" % i, qos=2)
    message = client.message(topic, b"0", finish=False)
    client.ack(message)
    release = client.expect(T.PUBREL, pid=message.pid)
    client.ping()
    client.ack(release)
    message = client.message(topic, b"1", finish=False)
    client.ack(message, 0x80)
    client.message(topic, b"2")


def test_receive_maximum_is_of_the_connection(v5):
    """A resumed session uses the new connection's window."""
    client, topic = subscribed(v5, name="c", props={**KEEP, "receive_maximum": 5})
    for i in range(8):
        v5.publisher().publish(topic, b"%d" % i, qos=1)
    for i in range(5):
        client.message(topic, b"%d" % i, finish=False)
    client.drop()
    client = client.reconnect(props={**KEEP, "receive_maximum": 2})
    for i in range(2):
        client.message(topic, b"%d" % i, finish=False, dup=True)
    client.ping()


def test_server_window_is_its_own_limit_too(v5):
    """With a Receive Maximum of 65535 the server still stops at its max inflight, 32."""
    client, topic = subscribed(v5)
    publisher = v5.connect()
    for i in range(40):
        publisher.publish(topic, b"%d" % i, qos=1)
    window = [client.message(topic, b"%d" % i, finish=False) for i in range(32)]
    client.ping()
    for message in window:
        client.ack(message)
    for i in range(32, 40):
        client.message(topic, b"%d" % i)


def test_MQTT_3_3_4_10_MQTT_4_9_0_3_a_full_window_delays_only_PUBLISH(v5):
    """With the quota at zero everything else is still answered."""
    client, topic = subscribed(v5, props={"receive_maximum": 1})
    for i in range(3):
        v5.publisher().publish(topic, b"%d" % i, qos=1)
    message = client.message(topic, b"0", finish=False)
    client.ping()
    client.send(mqtt.subscribe(100, [(v5.topic("b"), 1)]))
    client.expect(T.SUBACK, pid=100)
    client.send(mqtt.unsubscribe(101, [v5.topic("b")]))
    client.expect(T.UNSUBACK, pid=101)
    client.send_publish(v5.topic("c"), qos=1, pid=102)
    client.expect(T.PUBACK, pid=102)
    client.send_publish(v5.topic("c"), qos=2, pid=103)
    client.expect(T.PUBREC, pid=103)
    client.send(mqtt.ack(T.PUBREL, 103))
    client.expect(T.PUBCOMP, pid=103)
    client.ack(message)
    client.message(topic, b"1")
    client.message(topic, b"2")


def test_QoS_0_is_not_held_up_by_a_full_window(v5):
    """The window counts QoS 1 and 2 only: a QoS 0 message comes although it is full."""
    client, topic = subscribed(v5, props={"receive_maximum": 1})
    v5.publisher().publish(topic, b"1", qos=1)
    v5.publisher().publish(v5.topic("zero"), b"none", qos=0)
    client.message(topic, b"1", finish=False)
    client.subscribe(v5.topic("zero"), qos=0)
    v5.publisher().publish(v5.topic("zero"), b"0", qos=0)
    client.message(v5.topic("zero"), b"0")


def test_MQTT_4_6_0_4_PUBRELs_follow_PUBRECs(v5):
    """The server's PUBRELs come in the order of our PUBRECs, all sent at once."""
    client, topic = subscribed(v5)
    for _ in range(10):
        v5.publisher().publish(topic, qos=2)
    messages = [client.message(topic, finish=False) for _ in range(10)]
    order = [messages[i * 3 % 10].pid for i in range(10)]
    client.send(*[mqtt.ack(T.PUBREC, pid) for pid in order])
    assert [client.expect(T.PUBREL).pid for _ in order] == order


def test_MQTT_4_6_0_1_resends_keep_the_first_order(v5):
    """Thirty unacknowledged QoS 1 and 2 messages come again in the order they had."""
    client, topic = subscribed(v5, name="c", props=KEEP)
    for i in range(30):
        v5.publisher().publish(topic, b"%d" % i, qos=1 + i % 3 % 2)
    for i in range(30):
        client.message(topic, b"%d" % i, finish=False)
    client.drop()
    client = client.reconnect()
    for i in range(30):
        client.message(topic, b"%d" % i, dup=True, finish=False)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_MQTT_4_6_0_5_MQTT_4_6_0_6_order_of_delivery(v5, qos):
    """Messages of one publisher, topic and QoS reach every subscriber in the order of their
    arrival."""
    count, receivers = 300, []
    for i in range(4):
        receiver, topic = subscribed(v5, qos=2, name=f"s{i}")
        receivers.append(receiver)
    publisher = v5.connect()
    step = 50
    for start in range(0, count, step):
        numbers = range(start, start + step)
        publisher.send(
            *[mqtt.publish(topic, b"%d" % i, qos, pid=i + 1 if qos else None) for i in numbers]
        )
        for i in numbers:
            if qos == 1:
                publisher.expect(T.PUBACK, pid=i + 1)
            elif qos == 2:
                publisher.await_type(T.PUBREC, i + 1)
                publisher.send(mqtt.ack(T.PUBREL, i + 1))
                publisher.await_type(T.PUBCOMP, i + 1)
        for receiver in receivers:
            got = [receiver.await_type(T.PUBLISH) for _ in numbers] if qos == 0 else None
            if qos:
                got = receiver.collect(publisher)
            assert [int(p) for p in payloads(got)] == list(numbers)


def test_acknowledgement_of_an_unknown_identifier_does_no_harm(v5):
    """PUBACK and PUBCOMP for nothing: the connection goes on, or ends with a protocol error."""
    for kind in (T.PUBACK, T.PUBCOMP):
        client = v5.connect()
        client.send(mqtt.ack(kind, 4711))
        try:
            client.ping()
        except (AssertionError, Closed) as fault:
            assert "DISCONNECT" in str(fault)


def test_identifiers_after_65535_messages(v5):
    """The server's identifiers run around without meeting one that is still in use (the client
    checks)."""
    client, topic = subscribed(v5, qos=1)
    publisher = v5.connect()
    step, total, kept = 90, 0, None
    burst = b"".join(mqtt.publish(topic, b"y", qos=1, pid=i + 1) for i in range(step))
    while total < 66000:
        if total in (0, 60030):  # one message is left unacknowledged for a long time, twice
            publisher.publish(topic, b"kept", qos=1)
            if kept:
                client.ack(kept)
            kept = client.message(topic, b"kept", finish=False)
        publisher.send(burst)
        waiting = []
        for _ in range(step):
            waiting.append(client.recv().pid)
            if not client.buffer:
                client.send(*[mqtt.ack(T.PUBACK, pid) for pid in waiting])
                for pid in waiting:
                    del client.in_flight[pid]
                waiting.clear()
        for _ in range(step):
            publisher.expect(T.PUBACK)
        total += step
    assert list(client.in_flight) == [kept.pid]
