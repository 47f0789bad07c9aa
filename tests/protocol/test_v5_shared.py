# SPDX-License-Identifier: MIT
"""MQTT 5.0, 4.8.2: shared subscriptions."""

import mqtt
import pytest
from client import gather, payloads
from mqtt import T

KEEP = {"session_expiry_interval": 60}


def group(bench, count, qos=1, name="g", **connect):
    """Members of one group on topic a."""
    members = []
    for i in range(count):
        member = bench.connect(f"m{name}{i}", **connect)
        assert member.subscribe(f"$share/{name}/" + bench.topic("a"), qos=qos).codes == [qos]
        members.append(member)
    return members


def publish(bench, count, qos=1, start=0):
    for i in range(start, start + count):
        bench.publisher().publish(bench.topic("a"), b"%d" % i, qos=qos)


def numbers(found):
    return sorted(int(message.payload) for _, message in found)


def quiet(bench, members):
    """Nothing more is on its way in the group: one last message is the next that any member
    gets."""
    bench.publisher().publish(bench.topic("a"), b"-1", qos=1)
    assert numbers(gather(members, 1)) == [-1]
    for member in members:
        member.ping()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_message_goes_to_one_member(v5, qos):
    """Sixty messages, three members: all come, each once; every member has a share."""
    members = group(v5, 3, qos)
    publish(v5, 60, qos)
    found = gather(members, 60)
    assert numbers(found) == list(range(60))
    assert {i for i, _ in found} == {0, 1, 2}
    quiet(v5, members)


def test_groups_and_plain_subscribers_are_independent(v5):
    """Each group gets every message once, and so does each plain subscriber."""
    first, second = group(v5, 2, name="one"), group(v5, 2, name="two")
    plain = v5.connect()
    plain.subscribe(v5.topic("a"), qos=1)
    publish(v5, 20)
    assert numbers(gather(first, 20)) == list(range(20))
    assert numbers(gather(second, 20)) == list(range(20))
    assert [int(p) for p in payloads(plain.collect(v5.publisher()))] == list(range(20))


def test_one_name_with_two_filters_is_two_groups(v5):
    """The group is name and filter together."""
    one, two = v5.connect(), v5.connect()
    one.subscribe("$share/g/" + v5.topic("a"), qos=1)
    two.subscribe("$share/g/" + v5.topic("+"), qos=1)
    publish(v5, 5)
    assert numbers(gather([one], 5)) == numbers(gather([two], 5)) == list(range(5))


def test_one_client_with_a_shared_and_a_plain_subscription(v5):
    """It gets its plain copy and its share, as two messages."""
    client = v5.connect()
    client.subscribe("$share/g/" + v5.topic("a"), v5.topic("a"), qos=1)
    publish(v5, 5)
    assert numbers(gather([client], 10)) == sorted(list(range(5)) * 2)


@pytest.mark.parametrize("text", ["$share//a", "$share/g", "$share/g/"])
def test_MQTT_4_8_2_1_shape_of_a_shared_filter(v5, text):
    """An empty or missing part is refused for that filter."""
    client = v5.connect()
    assert client.subscribe(text, v5.topic("ok")).codes == [0x8F, 0]
    client.ping()


@pytest.mark.parametrize(
    "text", ["$share/+/a", "$share/#/a", "$share/g+/a", "$share/g#h/a", "$share/g/a#"]
)
def test_MQTT_4_8_2_2_characters_of_a_share_name(v5, text):
    """A wildcard in the name, and a bad filter behind it, are refused for that filter."""
    client = v5.connect()
    assert client.subscribe(text, v5.topic("ok")).codes == [0x8F, 0]
    client.ping()


def test_MQTT_4_8_2_3_granted_QoS_of_the_receiver(v5):
    """Every member gets its messages at the lower of published and granted QoS."""
    members = [group(v5, 1, qos, name="g")[0] for qos in (0,)]
    for qos in (1, 2):
        member = v5.connect()
        member.subscribe("$share/g/" + v5.topic("a"), qos=qos)
        members.append(member)
    publish(v5, 60, qos=2)
    found = gather(members, 60)
    assert numbers(found) == list(range(60))
    for i, message in found:
        assert message.qos == i, (i, message)
    assert {i for i, _ in found} == {0, 1, 2}


def share_in_flight(bench, qos, props):
    """Two members, each with an unacknowledged message; (holder, its message, the other, its
    message)."""
    members = group(bench, 2, qos, props={**props, "receive_maximum": 1})
    publish(bench, 2, qos)
    first, second = [member.message(finish=False) for member in members]
    return members[0], first, members[1], second


def test_MQTT_4_8_2_4_QoS_2_stays_with_its_client(v5):
    """The holder goes away and comes back: it gets its message again, the other member never."""
    holder, message, other, second = share_in_flight(v5, 2, KEEP)
    holder.drop()
    other.finish(second)
    publish(v5, 3, qos=2, start=10)
    assert numbers(gather([other], 3)) == [10, 11, 12]
    holder = holder.reconnect()
    again = holder.message(payload=message.payload, dup=True, pid=message.pid)
    assert again.qos == 2
    quiet(v5, [holder, other])


def test_MQTT_4_8_2_5_QoS_2_of_an_ended_session_goes_to_nobody_else(v5):
    """The holder's session ends with its connection: its message is gone."""
    holder, message, other, second = share_in_flight(v5, 2, {})
    holder.drop()
    other.finish(second)
    publish(v5, 3, qos=2, start=10)
    assert numbers(gather([other], 3)) == [10, 11, 12]
    quiet(v5, [other])


@pytest.mark.parametrize("keep", [{}, KEEP], ids=["session_ends", "session_stays"])
def test_QoS_1_is_given_to_another_member_when_its_holder_goes(v5, keep):
    """Unacknowledged at QoS 1 when the connection ends: another member gets it, nothing is lost."""
    holder, message, other, second = share_in_flight(v5, 1, keep)
    holder.drop()
    other.finish(second)
    assert gather([other], 1)[0][1].payload == message.payload
    publish(v5, 3, start=10)
    assert numbers(gather([other], 3)) == [10, 11, 12]


@pytest.mark.parametrize("qos", [1, 2])
def test_MQTT_4_8_2_6_refused_messages_are_discarded(v5, qos):
    """PUBACK or PUBREC of 0x80 and more: no other member gets the message."""
    holder, message, other, second = share_in_flight(v5, qos, KEEP)
    holder.ack(message, 0x80)
    other.ack(second, 0x97)
    publish(v5, 4, qos, start=10)
    assert numbers(gather([holder, other], 4)) == [10, 11, 12, 13]
    quiet(v5, [holder, other])


def test_a_stalled_member_does_not_stop_the_others(v5):
    """A member that acknowledges nothing holds its window, no more."""
    stalled = v5.connect("stalled", props={"receive_maximum": 2})
    stalled.subscribe("$share/mg/" + v5.topic("a"), qos=1)
    (other,) = group(v5, 1, name="mg")
    publish(v5, 30)
    held = [stalled.message(finish=False) for _ in range(2)]
    found = gather([other], 28)
    assert sorted([int(m.payload) for m in held] + numbers(found)) == list(range(30))
    stalled.drop()
    assert numbers(gather([other], 2)) == sorted(int(m.payload) for m in held)


def test_a_member_that_unsubscribes_leaves_everything_to_the_rest(v5):
    """After UNSUBACK the others get all; the last one's leaving ends the group."""
    members = group(v5, 2)
    assert members[0].unsubscribe("$share/g/" + v5.topic("a")).codes == [0]
    assert members[0].unsubscribe("$share/g/" + v5.topic("a")).codes == [0x11]
    publish(v5, 5)
    assert numbers(gather([members[1]], 5)) == list(range(5))
    members[0].ping()
    members[1].unsubscribe("$share/g/" + v5.topic("a"))
    publish(v5, 3)
    for member in members:
        assert member.collect(v5.publisher()) == []


def test_a_group_with_absent_members_keeps_its_messages(v5):
    """Sessions stored, nobody connected: what is published waits for the first to return."""
    members = group(v5, 2, props=KEEP)
    for member in members:
        member.disconnect()
    publish(v5, 6)
    member = members[1].reconnect()
    assert numbers(gather([member], 6)) == list(range(6))


def test_no_retained_messages_on_a_shared_subscription(v5):
    """Subscribing sends none; published later, they come like others."""
    v5.publisher().publish(v5.topic("a"), b"7", qos=1, retain=True)
    members = group(v5, 2)
    for member in members:
        assert member.collect_retained() == []
    quiet(v5, members)


def test_subscription_identifier_of_a_shared_subscription(v5):
    """Each member's own."""
    members = []
    for identifier in (5, 6):
        member = v5.connect()
        props = {"subscription_identifier": identifier}
        member.subscribe("$share/g/" + v5.topic("a"), qos=1, props=props)
        members.append(member)
    publish(v5, 20)
    for i, message in gather(members, 20):
        assert message.props["subscription_identifier"] == [5 + i]


def test_shared_filters_with_wildcards(v5):
    """A group's filter matches like any."""
    members = []
    for _ in range(2):
        member = v5.connect()
        member.subscribe("$share/g/" + v5.topic("+/b/#"), qos=1)
        members.append(member)
    names = ["a/b", "a/b/c", "x/b/c/d", "a/c", "a"]
    for name in names:
        v5.publisher().publish(v5.topic(name), name, qos=1)
    found = gather(members, 3)
    assert sorted(m.payload.decode() for _, m in found) == sorted(names[:3])


def test_a_message_too_large_for_one_member_goes_to_another(v5):
    """A member's Maximum Packet Size does not lose the group's message."""
    small = v5.connect("small", props={"maximum_packet_size": 100})
    small.subscribe("$share/g/" + v5.topic("a"), qos=1)
    large = v5.connect("large")
    large.subscribe("$share/g/" + v5.topic("a"), qos=1)
    for i in range(10):
        v5.publisher().publish(v5.topic("a"), b"%d" % i + b" " * 200, qos=1)
    assert numbers(gather([large], 10)) == list(range(10))
    small.ping()


def test_members_of_both_protocol_versions(v5):
    """3.1.1 clients share too."""
    old = v5.connect("old", version=4)
    assert old.subscribe("$share/g/" + v5.topic("a"), qos=1).codes == [1]
    new = v5.connect("new")
    new.subscribe("$share/g/" + v5.topic("a"), qos=1)
    publish(v5, 40)
    found = gather([old, new], 40)
    assert numbers(found) == list(range(40))
    assert {i for i, _ in found} == {0, 1}


def test_order_within_a_group_of_one(v5):
    """A single member gets its messages in order."""
    (member,) = group(v5, 1)
    publish(v5, 50)
    assert [int(m.payload) for _, m in gather([member], 50)] == list(range(50))


def test_shared_delivery_survives_a_taken_over_member(v5):
    """A member is taken over by its next connection: nothing is lost."""
    members = group(v5, 2, props=KEEP)
    publish(v5, 4)
    held = [m for member in members for m in (member.message(finish=False),)]
    again = v5.connect("mg0", clean=False, props=KEEP)
    while members[0].recv().type != T.DISCONNECT:
        pass
    members[1].finish(held[1])
    found = gather([again, members[1]], 3)
    assert {int(held[1].payload)} | set(numbers(found)) == set(range(4))
    again.send(mqtt.PINGREQ)
    again.await_type(T.PINGRESP)
