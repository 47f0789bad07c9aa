# SPDX-License-Identifier: MIT
"""The tests' own codec, held against byte sequences written by hand from the standard."""

import mqtt
import pytest
from mqtt import T


@pytest.mark.parametrize(
    "value,data",
    [
        (0, b"\x00"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (16383, b"\xff\x7f"),
        (16384, b"\x80\x80\x01"),
        (2097151, b"\xff\xff\x7f"),
        (2097152, b"\x80\x80\x80\x01"),
        (268435455, b"\xff\xff\xff\x7f"),
    ],
)
def test_variable_byte_integer(value, data):
    """The table of the standard, both ways."""
    assert mqtt.varint(value) == data
    assert mqtt.Reader(data).varint() == value


def test_packets_by_hand():
    """One packet of each kind that a client sends."""
    assert mqtt.connect("c", keep_alive=10) == b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x01c"
    assert mqtt.connect("c", version=4) == b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c"
    assert mqtt.connect("c", version=3)[2:11] == b"\x00\x06MQIsdp\x03"
    will = mqtt.Will("w", b"p", 1, True, {"will_delay_interval": 1})
    packet = mqtt.connect("c", will=will, username="u", password=b"s")
    assert packet[9] == 0xEE
    assert (
        packet[12:] == b"\x00\x00\x01c\x05\x18\x00\x00\x00\x01\x00\x01w\x00\x01p\x00\x01u\x00\x01s"
    )
    assert mqtt.publish("a", b"x") == b"\x30\x05\x00\x01a\x00x"
    assert mqtt.publish("a", b"x", 2, True, True, 5)[:8] == b"\x3d\x07\x00\x01a\x00\x05\x00"
    assert mqtt.ack(T.PUBREL, 5) == b"\x62\x02\x00\x05"
    assert mqtt.ack(T.PUBACK, 5, 0x10, {}) == b"\x40\x04\x00\x05\x10\x00"
    assert mqtt.subscribe(1, [("a", 2)]) == b"\x82\x07\x00\x01\x00\x00\x01a\x02"
    assert mqtt.unsubscribe(1, ["a"], version=4) == b"\xa2\x05\x00\x01\x00\x01a"
    assert mqtt.disconnect() == b"\xe0\x00"
    assert mqtt.auth(0x18, {"authentication_method": "m"}) == b"\xf0\x06\x18\x04\x15\x00\x01m"


def test_parsing_by_hand():
    """Packets from a server."""
    connack = mqtt.parse(b"\x20\x06\x01\x00\x03\x21\x00\x0a", 5)
    assert (connack.session_present, connack.code, connack.props) == (
        True,
        0,
        {"receive_maximum": 10},
    )
    publish = mqtt.parse(b"\x3b\x0e\x00\x01a\x00\x07\x07\x26\x00\x01k\x00\x01vp", 5)
    assert (publish.dup, publish.qos, publish.retain, publish.pid) == (True, 1, True, 7)
    assert (publish.topic, publish.payload) == ("a", b"p")
    assert publish.props == {"user_property": [("k", "v")]}
    assert mqtt.parse(b"\x90\x05\x00\x01\x00\x8f\x01", 5).codes == [0x8F, 1]
    assert mqtt.parse(b"\xb0\x02\x00\x01", 4).codes == []
    assert mqtt.parse(b"\xe0\x01\x8e", 5).code == 0x8E


@pytest.mark.parametrize(
    "data",
    [
        b"\x20\x03\x02\x00\x00",
        b"\x20\x03\x01\x87\x00",
        b"\x20\x03\x00\x01\x00",
        b"\x20\x06\x00\x00\x03\x21\x00\x00",
        b"\x20\x05\x00\x00\x02\x01\x00",
        b"\x31\x80\x00",
        b"\x36\x06\x00\x01a\x00\x01\x00",
        b"\x38\x04\x00\x01a\x00",
        b"\x32\x06\x00\x01a\x00\x00\x00",
        b"\x30\x04\x00\x01#\x00",
        b"\x30\x04\x00\x01\xff\x00",
        b"\x30\x03\x00\x00\x00",
        b"\x40\x03\x00\x01\x11",
        b"\x60\x02\x00\x01",
        b"\x90\x03\x00\x01\x00",
        b"\x90\x04\x00\x01\x00\x03",
        b"\xd0\x01\x00",
        b"\xe0\x01\x04",
        b"\xe0\x07\x00\x05\x11\x00\x00\x00\x01",
        b"\xc0\x00",
    ],
)
def test_faults_of_a_server_are_seen(data):
    """The decoder refuses what a server must not send."""
    with pytest.raises(mqtt.Malformed):
        packet = mqtt.split(bytearray(data))
        mqtt.parse(packet, 5)
