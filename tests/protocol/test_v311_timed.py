# SPDX-License-Identifier: MIT
"""MQTT 3.1.1: what happens when time passes."""

import time

from client import LATE, let_pass
from conftest import timed
from mqtt import T
from test_v311_connect import watch, will


@timed
def test_MQTT_3_1_2_24_silent_client_is_disconnected(v311):
    """After 1.5 times the keep alive, without a packet; the will goes out."""
    watcher = watch(v311)
    client = v311.connect(keep_alive=1, will=will(v311))
    since = time.monotonic()
    client.expect_eof()
    assert 1.4 < time.monotonic() - since < 1.5 + LATE
    watcher.message(v311.topic("w"), b"w")


@timed
def test_pings_keep_the_connection(v311):
    """A client that pings in time stays; without keep alive silence is allowed."""
    client, silent = v311.connect(keep_alive=1), v311.connect(keep_alive=0)
    for _ in range(6):
        let_pass(0.5)
        client.ping()
    silent.ping()


@timed
def test_no_resend_while_connected(v311):
    """Unacknowledged messages come again on reconnection only."""
    client = v311.connect()
    client.subscribe(v311.topic("a"), qos=2)
    for qos in (1, 2, 2):
        v311.publisher().publish(v311.topic("a"), qos=qos)
    messages = [client.message(finish=False) for _ in range(3)]
    client.ack(messages[2])
    client.expect(T.PUBREL)
    let_pass(3.5)
    client.ping()
