# SPDX-License-Identifier: MIT
"""The steps that tutorials of MQTT walk a beginner through, with the commands that they print."""
import time

import pytest

from client import V5, V311, Message
from tools import Relay, Sub, pub

KEEP_ALIVE_S = 5


@pytest.fixture(params=[V311, V5], ids=["3.1.1", "5.0"])
def version(request):
    return request.param


@pytest.fixture
def sub(broker):
    opened = []

    def open_sub(*arguments, version=V311, via=broker):
        s = Sub(via, *arguments, version=version)
        opened.append(s)
        return s

    yield open_sub
    for s in opened:
        s.kill()


def test_one_subscriber_hears_both_sensors(broker, sub, version):
    s = sub("-t", "sensor/+/temperature", version=version)
    pub(broker, "-t", "sensor/1/temperature", "-m", "21.5", version=version)
    pub(broker, "-t", "sensor/2/temperature", "-m", "19.0", version=version)
    pub(broker, "-t", "sensor/2/humidity", "-m", "40", version=version)
    pub(broker, "-t", "sensor/1/temperature", "-m", "21.6", version=version)
    got = [(m.topic, m.payload) for m in s.messages(3)]
    assert sorted(got) == [("sensor/1/temperature", "21.5"), ("sensor/1/temperature", "21.6"),
                           ("sensor/2/temperature", "19.0")]
    s.leave()


def test_a_new_subscriber_gets_the_later_of_two_retained_messages(broker, sub, version):
    topic = f"lamp/{version}/state"
    pub(broker, "-t", topic, "-m", "off", "-r", "-q", "1", version=version)
    pub(broker, "-t", topic, "-m", "on", "-r", "-q", "1", version=version)
    s = sub("-t", topic, version=version)
    assert s.message() == Message(topic, 0, True, "on")
    pub(broker, "-t", topic, "-m", "live", version=version)
    assert s.message() == Message(topic, 0, False, "live")  # nothing was between the two
    s.leave()


def test_a_3_1_1_client_with_clean_session_false_gets_what_came_while_it_was_away(broker, sub):
    arguments = ["-i", "away", "-c", "-q", "1", "-t", "orders/new"]
    sub(*arguments).leave()
    for n in (1, 2, 3):
        pub(broker, "-t", "orders/new", "-m", f"order {n}", "-q", "1")
    back = sub(*arguments)
    assert back.messages(3) == [Message("orders/new", 1, False, f"order {n}") for n in (1, 2, 3)]
    pub(broker, "-t", "orders/new", "-m", "order 4", "-q", "1")
    assert back.message().payload == "order 4"
    back.leave()


def test_a_client_whose_network_goes_silent_is_found_dead(broker, sub, version):
    topic = f"last_will/{version}" if version == V5 else "last_will"
    will = ["--will-topic", topic, "--will-payload", "offline", "--will-qos", "1", "--will-retain"]
    keep = ["-k", str(KEEP_ALIVE_S)]
    watcher = sub("-t", topic, "-t", "healthy", "-q", "1", *keep)
    healthy = sub("-t", "healthy", "-i", "healthy", "--will-topic", "healthy", "--will-payload", "dead", *keep, version=version)
    relay = Relay(broker)
    try:
        silent = sub("-t", "x", "-i", "silent", *will, *keep, version=version, via=relay)
        relay.is_silent.set()
        since = time.monotonic()
        assert watcher.message() == Message(topic, 1, False, "offline")
        took = time.monotonic() - since
        assert relay.broker_has_closed.wait(5)
        # [MQTT-3.1.2-22]: one and a half times the keep alive without a packet; not earlier.
        assert 1.4 * KEEP_ALIVE_S < took < 2.5 * KEEP_ALIVE_S
        silent.kill()
    finally:
        relay.close()
    later = sub("-t", topic, "-q", "1", version=version)
    assert later.message() == Message(topic, 1, True, "offline")
    pub(broker, "-t", "healthy", "-m", "well", "-q", "1")
    assert healthy.message().payload == "well"  # its own PINGREQs kept it
    assert watcher.message().payload == "well"
    for s in (later, healthy, watcher):
        s.leave()
