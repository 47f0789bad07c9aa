# SPDX-License-Identifier: MIT
"""What every client library must be able to do with the broker, in each version of the protocol that it speaks.

Nothing waits for time to pass: where something must not arrive, something else is sent after it and waited for.
"""
import pytest

from client import V5, V31, V311, Message, Will

HOUR_S = 3600


every_version = pytest.mark.parametrize("version", [V31, V311, V5], ids=["3.1", "3.1.1", "5.0"])


@pytest.fixture(params=[V311, V5], ids=["3.1.1", "5.0"])
def version(request):
    return request.param


def durable(version):
    return {"clean": False, "expiry": HOUR_S if version == V5 else 0}


@every_version
def test_connects_and_keeps_a_durable_session(connect, version):
    connect("a", clean=True).disconnect()
    first = connect("b", **durable(version))
    assert not first.session_present
    first.disconnect()
    second = connect("b", **durable(version))
    assert second.session_present == (version != V31)  # 3.1 has no such bit
    second.disconnect()
    fresh = connect("b", clean=True)
    assert not fresh.session_present
    fresh.disconnect()
    again = connect("b", **durable(version))
    assert not again.session_present
    again.disconnect()


@every_version
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_arrive_in_order_at_each_qos(connect, name, qos):
    subscriber = connect("s")
    subscriber.subscribe(f"{name}/q", qos)
    publisher = connect("p")
    sent = [f"message {n}" for n in range(50)]
    for payload in sent:
        publisher.publish(f"{name}/q", payload, qos)
    assert subscriber.messages(len(sent)) == [Message(f"{name}/q", qos, False, p) for p in sent]
    publisher.disconnect()
    subscriber.disconnect()


@pytest.mark.parametrize("granted", [0, 1], ids=["granted 0", "granted 1"])
def test_qos_is_the_lower_of_publish_and_subscription(connect, name, granted):
    both = connect("b")
    both.subscribe(f"{name}/q", granted)
    for qos in (2, 1, 0):
        both.publish(f"{name}/q", f"at {qos}", qos)
    got = {m.payload: m.qos for m in both.messages(3)}
    assert got == {f"at {qos}": min(qos, granted) for qos in (0, 1, 2)}
    both.disconnect()


def test_empty_and_large_payloads(connect, name):
    both = connect("b")
    both.subscribe(f"{name}/size", 1)
    large = "0123456789abcdef" * 2000
    both.publish(f"{name}/size", "", 1)
    both.publish(f"{name}/size", large, 1)
    assert [m.payload for m in both.messages(2)] == ["", large]
    both.disconnect()


def test_wildcards(connect, name):
    subscriber = connect("s")
    subscriber.subscribe(f"{name}/+/temperature", 1)
    subscriber.subscribe(f"{name}/all/#", 1)
    publisher = connect("p")
    for topic in ("a/temperature", "a/b/temperature", "a/humidity", "all", "all/x/y", "other", "b/temperature"):
        publisher.publish(f"{name}/{topic}", topic, 1)
    got = {m.payload for m in subscriber.messages(4)}
    assert got == {"a/temperature", "all", "all/x/y", "b/temperature"}
    subscriber.disconnect()


def test_unsubscribe_ends_the_flow(connect, name):
    both = connect("b")
    both.subscribe(f"{name}/one", 1)
    both.subscribe(f"{name}/two", 1)
    both.unsubscribe(f"{name}/one")
    both.publish(f"{name}/one", "not wanted", 1)
    both.publish(f"{name}/two", "wanted", 1)
    assert both.message().payload == "wanted"
    both.disconnect()


def test_retained_message_is_kept_replaced_and_removed(connect, name):
    publisher = connect("p")
    publisher.publish(f"{name}/r", "first", 1, retain=True)
    publisher.publish(f"{name}/r", "second", 1, retain=True)
    subscriber = connect("s")
    subscriber.subscribe(f"{name}/#", 1)
    assert subscriber.message() == Message(f"{name}/r", 1, True, "second")
    publisher.publish(f"{name}/r", "third", 1, retain=True)
    assert subscriber.message() == Message(f"{name}/r", 1, False, "third")  # live: not marked
    publisher.publish(f"{name}/r", "", 1, retain=True)
    assert subscriber.message() == Message(f"{name}/r", 1, False, "")
    late = connect("l")
    late.subscribe(f"{name}/#", 1)
    publisher.publish(f"{name}/end", "end", 1)
    assert late.message().payload == "end"
    for c in (publisher, subscriber, late):
        c.disconnect()


@every_version
@pytest.mark.parametrize("qos, leaves", [(1, "disconnect"), (2, "kill")])
def test_offline_queue(connect, version, name, qos, leaves):
    away = connect("s", **durable(version))
    away.subscribe(f"{name}/q", qos)
    getattr(away, leaves)()
    publisher = connect("p")
    for n in range(10):
        publisher.publish(f"{name}/q", f"{n}", qos)
    back = connect("s", **durable(version))
    publisher.publish(f"{name}/q", "live", qos)
    assert [m.payload for m in back.messages(11)] == [f"{n}" for n in range(10)] + ["live"]
    back.disconnect()
    connect("s", clean=True).disconnect()
    publisher.disconnect()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_will_is_published_when_the_connection_breaks(connect, name, qos):
    watcher = connect("w")
    watcher.subscribe(f"{name}/#", 2)
    connect("d", will=Will(f"{name}/will", qos, True, "gone")).kill()
    assert watcher.message() == Message(f"{name}/will", qos, False, "gone")
    late = connect("l")
    late.subscribe(f"{name}/will", 2)
    assert late.message() == Message(f"{name}/will", qos, True, "gone")
    late.publish(f"{name}/will", "", 1, retain=True)
    watcher.disconnect()
    late.disconnect()


@every_version
def test_will_is_dropped_by_disconnect(connect, name):
    watcher = connect("w")
    watcher.subscribe(f"{name}/#", 1)
    connect("d", will=Will(f"{name}/will", 1, False, "gone")).disconnect()
    same = connect("d")
    same.publish(f"{name}/end", "end", 1)
    assert watcher.message().payload == "end"
    same.disconnect()
    watcher.disconnect()


def test_same_client_id_takes_over(connect, name):
    connect("i")
    newer = connect("i")
    newer.subscribe(f"{name}/t", 1)
    newer.publish(f"{name}/t", "still here", 1)
    assert newer.message().payload == "still here"
    newer.disconnect()


@pytest.mark.parametrize("version", [V5], ids=["5.0"])
def test_properties_reach_the_other_side(connect, name):
    server = connect("s")
    server.subscribe(f"{name}/request", 1)
    asker = connect("a")
    asker.subscribe(f"{name}/answer", 1)
    asker.publish(f"{name}/request", "what?", 1, properties=(f"{name}/answer", "c-17", "trace", "ä/1"))
    request = server.message()
    assert request == Message(f"{name}/request", 1, False, "what?", f"{name}/answer", "c-17", "trace", "ä/1")
    server.publish(request.response, "that", 1, properties=("none", request.correlation, "", ""))
    assert asker.message()[:6] == (f"{name}/answer", 1, False, "that", "none", "c-17")
    server.disconnect()
    asker.disconnect()
