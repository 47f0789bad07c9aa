# SPDX-License-Identifier: MIT
"""MQTT 5.0: what happens when time passes. All tests here run at once, each in a thread of its
own."""

import time

import mqtt
from client import LATE, let_pass, payloads
from conftest import timed
from mqtt import T
from test_v5_will import watch, will


@timed
def test_MQTT_3_1_2_22_silent_client_is_disconnected(v5):
    """Keep alive 1 s: DISCONNECT 0x8D after 1.5 s of silence, and the will goes out."""
    watcher = watch(v5)
    client = v5.connect(keep_alive=1, will=will(v5))
    since = time.monotonic()
    client.expect_disconnect(0x8D)
    assert 1.4 < time.monotonic() - since < 1.5 + LATE
    watcher.message(v5.topic("w"), b"w")


@timed
def test_MQTT_3_2_2_22_client_s_keep_alive_counts_without_a_server_one(v5):
    """No Server Keep Alive in CONNACK: 2 s means closing after 3 s, not before."""
    client = v5.connect(keep_alive=2)
    assert "server_keep_alive" not in client.connack.props
    since = time.monotonic()
    client.expect_disconnect(0x8D)
    assert 2.9 < time.monotonic() - since < 3 + LATE


@timed
def test_any_packet_keeps_the_connection_alive(v5):
    """PINGREQ, PUBLISH and acknowledgements within the time: still there after three intervals."""
    client = v5.connect(keep_alive=1)
    client.subscribe(v5.topic("a"), qos=1)
    for i in range(6):
        let_pass(0.5)
        if i % 2:
            client.ping()
        else:
            client.publish(v5.topic("b"))
    let_pass(0.5)
    client.ping()


@timed
def test_half_a_packet_does_not_keep_the_connection_alive(v5):
    """Only whole packets count: a client that dribbles bytes is disconnected."""
    client = v5.connect(keep_alive=1)
    packet = mqtt.publish(v5.topic("a"), b"x" * 100)
    since = time.monotonic()
    try:
        for i in range(len(packet) - 1):
            client.send(packet[i : i + 1])
            let_pass(0.2)
            assert time.monotonic() - since < 4 + LATE, "still connected"
    except ConnectionError:
        pass
    assert time.monotonic() - since > 1.4


@timed
def test_keep_alive_0_never_ends(v5):
    """Silence without keep alive is allowed."""
    client = v5.connect(keep_alive=0)
    let_pass(3.5)
    client.ping()


def stored(bench, filters=("a",), **props):
    """A session with subscriptions, away."""
    client = bench.connect("c", props={"session_expiry_interval": 60, **props})
    client.subscribe(*[bench.topic(name) for name in filters], qos=2)
    client.disconnect()
    return client


@timed
def test_MQTT_3_3_2_5_expired_messages_are_dropped(v5):
    """What waited longer than its expiry in a stored session never comes; the rest does."""
    client = stored(v5)
    publisher = v5.publisher()
    for i, expiry in enumerate((1, 100, 1, None)):
        props = {"message_expiry_interval": expiry} if expiry else None
        publisher.publish(v5.topic("a"), b"%d" % i, qos=1 + i % 2, props=props)
    let_pass(2.2)
    assert payloads(client.reconnect().collect(publisher)) == [b"1", b"3"]


@timed
def test_MQTT_3_3_2_5_expired_while_the_window_is_full(v5):
    """Not yet started, so it may expire; the message in flight stays."""
    client = v5.connect(props={"receive_maximum": 1})
    client.subscribe(v5.topic("a"), qos=1)
    for payload in (b"in flight", b"expires", b"stays"):
        props = {"message_expiry_interval": 1} if payload != b"stays" else None
        v5.publisher().publish(v5.topic("a"), payload, qos=1, props=props)
    first = client.message(payload=b"in flight", finish=False)
    let_pass(2.2)
    client.ack(first)
    client.message(payload=b"stays")


@timed
def test_MQTT_3_3_2_6_expiry_is_reduced_by_the_waiting_time(v5):
    """Sent at once: the interval as it was. After 2 s in a queue or in the retained store: less."""
    live = v5.connect()
    live.subscribe(v5.topic("a"), qos=1)
    client = stored(v5)
    since = time.monotonic()
    v5.publisher().publish(
        v5.topic("a"), b"m", qos=1, retain=True, props={"message_expiry_interval": 100}
    )
    assert live.message().props["message_expiry_interval"] in (99, 100)
    let_pass(2.1)
    left = client.reconnect().message().props["message_expiry_interval"]
    waited = time.monotonic() - since
    assert 100 - waited - 1 <= left <= 98
    late = v5.connect()
    late.subscribe(v5.topic("a"), qos=1)
    left = late.message(retain=True).props["message_expiry_interval"]
    assert 100 - (time.monotonic() - since) - 1 <= left <= 98


@timed
def test_retained_messages_expire(v5):
    """After its interval a retained message is no longer sent to new subscribers."""
    for name, expiry in (("r/1", 1), ("r/2", 100)):
        props = {"message_expiry_interval": expiry}
        v5.publisher().publish(v5.topic(name), name, qos=1, retain=True, props=props)
    let_pass(2.2)
    client = v5.connect()
    client.subscribe(v5.topic("r/#"), qos=1)
    assert payloads(client.collect_retained()) == [b"r/2"]


@timed
def test_expiry_0_is_dropped_unless_sent_at_once(v5):
    """An interval of 0 may reach a connected subscriber, but waits for nobody."""
    client = stored(v5)
    v5.publisher().publish(v5.topic("a"), b"0", qos=1, props={"message_expiry_interval": 0})
    let_pass(1.2)
    assert client.reconnect().collect(v5.publisher()) == []


@timed
def test_MQTT_4_3_3_7_no_expiry_once_sent(v5):
    """A QoS 2 PUBLISH that was sent is sent again in the resumed session although it has
    expired."""
    client = v5.connect("c", props={"session_expiry_interval": 60})
    client.subscribe(v5.topic("a"), qos=2)
    v5.publisher().publish(v5.topic("a"), b"m", qos=2, props={"message_expiry_interval": 1})
    first = client.message(payload=b"m", finish=False)
    client.drop()
    let_pass(2.2)
    client.reconnect().message(payload=b"m", dup=True, pid=first.pid)


@timed
def test_MQTT_4_3_3_13_handshake_goes_on_after_expiry(v5):
    """PUBREC after the expiry is answered by PUBREL; as receiver, PUBREL by PUBCOMP."""
    client = v5.connect("c", props={"session_expiry_interval": 60})
    client.subscribe(v5.topic("a"), qos=2)
    client.send_publish(v5.topic("b"), qos=2, pid=9, props={"message_expiry_interval": 1})
    client.expect(T.PUBREC, pid=9)
    v5.publisher().publish(v5.topic("a"), b"m", qos=2, props={"message_expiry_interval": 1})
    message = client.message(payload=b"m", finish=False)
    let_pass(2.2)
    client.ack(message)
    release = client.expect(T.PUBREL, pid=message.pid, code=0)
    let_pass(0.5)
    client.ack(release)
    client.send(mqtt.ack(T.PUBREL, 9))
    client.expect(T.PUBCOMP, pid=9, code=0)


@timed
def test_no_resend_while_connected(v5):
    """Unacknowledged messages are not sent again on the same connection, however long it takes."""
    client = v5.connect("c")
    client.subscribe(v5.topic("a"), qos=2)
    for qos in (1, 2, 2):
        v5.publisher().publish(v5.topic("a"), qos=qos)
    messages = [client.message(finish=False) for _ in range(3)]
    client.ack(messages[2])
    client.expect(T.PUBREL)
    let_pass(3.5)
    client.ping()


@timed
def test_MQTT_4_1_0_2_session_ends_with_its_expiry(v5):
    """Away for longer than the interval: no session; its subscriptions are gone."""
    watcher = watch(v5)
    props = {"session_expiry_interval": 1}
    client = v5.connect("c", props=props, will=will(v5, delay=60))
    client.subscribe(v5.topic("a"), qos=1)
    client.drop()
    watcher.message(v5.topic("w"), b"w")  # the will comes when the session ends
    again = v5.connect("c", clean=False, props=props)
    assert not again.connack.session_present
    assert again.unsubscribe(v5.topic("a")).codes == [0x11]


@timed
def test_session_is_there_before_its_expiry(v5):
    """Expiry 3 s: back after 1 s, and again after 1 s more, the session is there; the time starts
    anew."""
    client = v5.connect("c", props={"session_expiry_interval": 3})
    for _ in range(3):
        client.disconnect()
        let_pass(1.1)
        client = client.reconnect()
        assert client.connack.session_present


@timed
def test_DISCONNECT_shortens_the_session(v5):
    """Expiry 60 s changed to 1 s on leaving: gone after that."""
    watcher = watch(v5)
    client = v5.connect("c", props={"session_expiry_interval": 60}, will=will(v5, delay=60))
    client.disconnect(4, {"session_expiry_interval": 1})
    since = time.monotonic()
    watcher.message(v5.topic("w"), b"w")
    assert time.monotonic() - since > 0.8
    assert not v5.connect("c", clean=False).connack.session_present


@timed
def test_will_delay_is_waited_for(v5):
    """Delay 2 s: the will comes after that, not before."""
    watcher = watch(v5)
    client = v5.connect(will=will(v5, delay=2), props={"session_expiry_interval": 60})
    client.drop()
    since = time.monotonic()
    watcher.message(v5.topic("w"), b"w")
    assert 1.8 < time.monotonic() - since < 2 + LATE


@timed
def test_will_comes_when_the_session_ends_before_the_delay(v5):
    """Delay 60 s, session expiry 1 s."""
    watcher = watch(v5)
    client = v5.connect(will=will(v5, delay=60), props={"session_expiry_interval": 1})
    client.drop()
    since = time.monotonic()
    watcher.message(v5.topic("w"), b"w")
    assert 0.8 < time.monotonic() - since < 1 + LATE


@timed
def test_MQTT_3_1_3_9_reconnection_cancels_a_delayed_will(v5):
    """Back before the delay ends: no will, and none later."""
    watcher = watch(v5)
    props = {"session_expiry_interval": 60}
    client = v5.connect("c", will=will(v5, delay=1), props=props)
    client.drop()
    client = client.reconnect(will=None)
    let_pass(2.2)
    client.ping()
    assert watcher.collect(v5.publisher()) == []


@timed
def test_takeover_cancels_a_delayed_will(v5):
    """The session goes on without a break."""
    watcher = watch(v5)
    props = {"session_expiry_interval": 60}
    client = v5.connect("c", will=will(v5, delay=1), props=props)
    v5.connect("c", clean=False, props=props)
    client.expect_disconnect(0x8E)
    let_pass(2.2)
    assert watcher.collect(v5.publisher()) == []


@timed
def test_will_with_expiry_counts_from_its_publication(v5):
    """Delay 1 s and message expiry 100: the interval is whole when the will comes."""
    watcher = watch(v5)
    props = {"message_expiry_interval": 100}
    client = v5.connect(will=will(v5, delay=1, props=props), props={"session_expiry_interval": 60})
    client.drop()
    assert watcher.message().props["message_expiry_interval"] in (99, 100)


@timed
def test_shared_QoS_2_message_of_an_expired_session_is_gone(v5):
    """The holder's stored session expires: no other member gets the message [MQTT-4.8.2-5]."""
    watcher = watch(v5)
    members = []
    for i in range(2):
        props = {"session_expiry_interval": 1, "receive_maximum": 1}
        member = v5.connect(f"m{i}", props=props, will=will(v5, delay=60))
        member.subscribe("$share/g/" + v5.topic("a"), qos=2)
        members.append(member)
    for payload in (b"1", b"2"):
        v5.publisher().publish(v5.topic("a"), payload, qos=2)
    held = [member.message(finish=False) for member in members]
    members[0].drop()
    watcher.message(v5.topic("w"), b"w")
    members[1].finish(held[1])
    v5.publisher().publish(v5.topic("a"), b"3", qos=2)
    members[1].message(payload=b"3")
    members[1].ping()
