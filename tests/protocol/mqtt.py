# SPDX-License-Identifier: MIT
"""A small MQTT codec of the tests' own: 3.1, 3.1.1 and 5.0, independent of the broker's.

Packing writes what it is told, valid or not: that is what a test of bad input needs. Unpacking is
as strict as the standard: flags, lengths, UTF-8, reason code tables and property tables of
everything a server sends are checked on every packet, and any fault raises Malformed.
"""

import struct
from enum import IntEnum


class Malformed(AssertionError):
    """The server sent something that the standard forbids."""


class T(IntEnum):
    """Packet types."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


PROPERTIES = {
    "payload_format_indicator": (0x01, "u8"),
    "message_expiry_interval": (0x02, "u32"),
    "content_type": (0x03, "text"),
    "response_topic": (0x08, "text"),
    "correlation_data": (0x09, "binary"),
    "subscription_identifier": (0x0B, "varint"),
    "session_expiry_interval": (0x11, "u32"),
    "assigned_client_identifier": (0x12, "text"),
    "server_keep_alive": (0x13, "u16"),
    "authentication_method": (0x15, "text"),
    "authentication_data": (0x16, "binary"),
    "request_problem_information": (0x17, "u8"),
    "will_delay_interval": (0x18, "u32"),
    "request_response_information": (0x19, "u8"),
    "response_information": (0x1A, "text"),
    "server_reference": (0x1C, "text"),
    "reason_string": (0x1F, "text"),
    "receive_maximum": (0x21, "u16"),
    "topic_alias_maximum": (0x22, "u16"),
    "topic_alias": (0x23, "u16"),
    "maximum_qos": (0x24, "u8"),
    "retain_available": (0x25, "u8"),
    "user_property": (0x26, "pair"),
    "maximum_packet_size": (0x27, "u32"),
    "wildcard_subscription_available": (0x28, "u8"),
    "subscription_identifier_available": (0x29, "u8"),
    "shared_subscription_available": (0x2A, "u8"),
}
_BY_ID = {number: (name, kind) for name, (number, kind) in PROPERTIES.items()}
_REPEATABLE = {"user_property", "subscription_identifier"}
_ZERO_OR_ONE = {
    "payload_format_indicator",
    "request_problem_information",
    "request_response_information",
    "maximum_qos",
    "retain_available",
    "wildcard_subscription_available",
    "subscription_identifier_available",
    "shared_subscription_available",
}
_NEVER_ZERO = {"subscription_identifier", "receive_maximum", "topic_alias", "maximum_packet_size"}

_ACK_PROPERTIES = {"reason_string", "user_property"}
# What a server may put into each packet; a server's DISCONNECT has no session_expiry_interval.
SERVER_PROPERTIES = {
    T.CONNACK: {
        "session_expiry_interval",
        "assigned_client_identifier",
        "server_keep_alive",
        "authentication_method",
        "authentication_data",
        "response_information",
        "server_reference",
        "reason_string",
        "receive_maximum",
        "topic_alias_maximum",
        "maximum_qos",
        "retain_available",
        "user_property",
        "maximum_packet_size",
        "wildcard_subscription_available",
        "subscription_identifier_available",
        "shared_subscription_available",
    },
    T.PUBLISH: {
        "payload_format_indicator",
        "message_expiry_interval",
        "content_type",
        "response_topic",
        "correlation_data",
        "subscription_identifier",
        "topic_alias",
        "user_property",
    },
    T.PUBACK: _ACK_PROPERTIES,
    T.PUBREC: _ACK_PROPERTIES,
    T.PUBREL: _ACK_PROPERTIES,
    T.PUBCOMP: _ACK_PROPERTIES,
    T.SUBACK: _ACK_PROPERTIES,
    T.UNSUBACK: _ACK_PROPERTIES,
    T.DISCONNECT: {"reason_string", "user_property", "server_reference"},
    T.AUTH: {"authentication_method", "authentication_data", "reason_string", "user_property"},
}

_PUBACK_CODES = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
# The reason codes that a server may use, packet by packet.
SERVER_CODES = {
    T.CONNACK: {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C}
    | {0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F},
    T.PUBACK: _PUBACK_CODES,
    T.PUBREC: _PUBACK_CODES,
    T.PUBREL: {0x00, 0x92},
    T.PUBCOMP: {0x00, 0x92},
    T.SUBACK: {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    T.UNSUBACK: {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    T.DISCONNECT: {0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F}
    | {0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F}
    | {0xA0, 0xA1, 0xA2},
    T.AUTH: {0x00, 0x18},
}


# ---- packing -------------------------------------------------------------------------------------


def varint(value, length=None):
    """A variable byte integer, the shortest one unless a longer length is asked for."""
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        more = value or (length is not None and len(out) + 1 < length)
        out.append(byte | (0x80 if more else 0))
        if not more:
            return bytes(out)


def u16(value):
    return struct.pack(">H", value)


def u32(value):
    return struct.pack(">I", value)


def raw(value):
    """Text as UTF-8; bytes stay what they are."""
    return value.encode("utf-8") if isinstance(value, str) else bytes(value)


def field(value):
    """A UTF-8 string or binary data with its two-byte length."""
    data = raw(value)
    return u16(len(data)) + data


def property_bytes(name, value):
    """One property with its identifier."""
    number, kind = PROPERTIES[name]
    body = {
        "u8": lambda v: bytes([v]),
        "u16": u16,
        "u32": u32,
        "varint": varint,
        "text": field,
        "binary": field,
        "pair": lambda v: field(v[0]) + field(v[1]),
    }[kind](value)
    return bytes([number]) + body


def properties(props):
    """A property block with its length: from None, a dict (a list repeats its name), or bytes as
    they are."""
    if isinstance(props, (bytes, bytearray)):
        return varint(len(props)) + bytes(props)
    out = bytearray()
    for name, value in (props or {}).items():
        for one in value if isinstance(value, list) else [value]:
            out += property_bytes(name, one)
    return varint(len(out)) + bytes(out)


def packet(kind, flags, body):
    """Fixed header and body."""
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


class Will:
    """What CONNECT says about a will."""

    def __init__(self, topic, payload=b"", qos=0, retain=False, props=None):
        self.topic, self.payload, self.qos, self.retain, self.props = (
            topic,
            payload,
            qos,
            retain,
            props,
        )


def connect(
    client_id="",
    version=5,
    clean=True,
    keep_alive=60,
    will=None,
    username=None,
    password=None,
    props=None,
    protocol=None,
    flags=None,
    flags_or=0,
):
    """CONNECT; `flags` replaces the connect flags and `flags_or` adds to them."""
    if flags is None:
        flags = (0x02 if clean else 0) | flags_or
        if will is not None:
            flags |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
        flags |= (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    if protocol is None:
        protocol = "MQIsdp" if version == 3 else "MQTT"
    body = field(protocol) + bytes([version, flags]) + u16(keep_alive)
    if version == 5:
        body += properties(props)
    body += field(client_id)
    if will is not None:
        if version == 5:
            body += properties(will.props)
        body += field(will.topic) + field(will.payload)
    for text in (username, password):
        if text is not None:
            body += field(text)
    return packet(T.CONNECT, 0, body)


def publish(topic, payload=b"", qos=0, retain=False, dup=False, pid=None, props=None, version=5):
    body = field(topic)
    if pid is not None:
        body += u16(pid)
    if version == 5:
        body += properties(props)
    flags = (8 if dup else 0) | qos << 1 | (1 if retain else 0)
    return packet(T.PUBLISH, flags, body + raw(payload))


def ack(kind, pid, code=None, props=None, flags=None):
    """PUBACK, PUBREC, PUBREL or PUBCOMP; without code and properties the short form."""
    body = u16(pid)
    if code is not None or props is not None:
        body += bytes([code or 0])
    if props is not None:
        body += properties(props)
    return packet(kind, (2 if kind == T.PUBREL else 0) if flags is None else flags, body)


def subscribe(pid, filters, props=None, version=5, flags=2):
    """SUBSCRIBE with [(filter, options byte), ...]."""
    body = u16(pid) + (properties(props) if version == 5 else b"")
    for text, options in filters:
        body += field(text) + bytes([options])
    return packet(T.SUBSCRIBE, flags, body)


def unsubscribe(pid, filters, props=None, version=5, flags=2):
    body = u16(pid) + (properties(props) if version == 5 else b"")
    return packet(T.UNSUBSCRIBE, flags, body + b"".join(field(text) for text in filters))


def disconnect(code=None, props=None, flags=0):
    body = b"" if code is None and props is None else bytes([code or 0])
    return packet(T.DISCONNECT, flags, body + (properties(props) if props is not None else b""))


def auth(code=None, props=None, flags=0):
    body = b"" if code is None and props is None else bytes([code or 0])
    return packet(T.AUTH, flags, body + (properties(props) if props is not None else b""))


PINGREQ = packet(T.PINGREQ, 0, b"")


# ---- unpacking -----------------------------------------------------------------------------------


def need(condition, what):
    if not condition:
        raise Malformed(what)


class Reader:
    """Takes fields off the front of a packet's body."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        need(self.left() >= count, f"packet ends {count - self.left()} bytes too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def u8(self):
        return self.take(1)[0]

    def u16(self):
        return struct.unpack(">H", self.take(2))[0]

    def u32(self):
        return struct.unpack(">I", self.take(4))[0]

    def varint(self):
        value = 0
        for i in range(4):
            byte = self.u8()
            value |= (byte & 0x7F) << 7 * i
            if not byte & 0x80:
                need(byte or i == 0, "variable byte integer is not the shortest [MQTT-1.5.5-1]")
                return value
        raise Malformed("variable byte integer of more than four bytes")

    def binary(self):
        return self.take(self.u16())

    def text(self):
        try:
            value = self.binary().decode("utf-8")  # strict: refuses surrogates and overlong forms
        except UnicodeDecodeError as fault:
            raise Malformed(f"ill-formed UTF-8: {fault}") from fault
        need("\0" not in value, "NUL in a text field [MQTT-1.5.4-2]")
        return value

    def pair(self):
        return (self.text(), self.text())

    def properties(self, kind):
        """The property block as a dict; repeatable ones are lists, in order."""
        block = Reader(self.take(self.varint()))
        found = {}
        while block.left():
            number = block.varint()
            need(number in _BY_ID, f"unknown property 0x{number:02X}")
            name, form = _BY_ID[number]
            need(name in SERVER_PROPERTIES[kind], f"{name} in {kind.name}")
            value = getattr(block, form)()
            need(name not in _ZERO_OR_ONE or value in (0, 1), f"{name} is {value}")
            need(name not in _NEVER_ZERO or value != 0, f"{name} is 0")
            if name in _REPEATABLE:
                found.setdefault(name, []).append(value)
            else:
                need(name not in found, f"{name} twice")
                found[name] = value
        return found


class Packet:
    """One packet from the server: `type`, `flags`, `raw` (all bytes), and the fields of its
    type."""

    def __init__(self, kind, flags, data):
        self.type, self.flags, self.raw = kind, flags, data
        self.props = {}

    def __repr__(self):
        fields = {k: v for k, v in vars(self).items() if k not in ("raw", "type")}
        return f"<{self.type.name} {fields}>"


def split(buffer):
    """The first whole packet of the buffer as bytes, or None when more must come."""
    length, size = 0, 1
    for i in range(4):
        if len(buffer) < 2 + i:
            return None
        byte = buffer[1 + i]
        length |= (byte & 0x7F) << 7 * i
        size += 1
        if not byte & 0x80:
            need(byte or i == 0, "remaining length is not the shortest [MQTT-1.5.5-1]")
            return bytes(buffer[: size + length]) if len(buffer) >= size + length else None
    raise Malformed("remaining length of more than four bytes")


def parse(data, version):
    """One whole packet from a server to a Packet."""
    need(1 <= data[0] >> 4 <= 15, f"packet type {data[0] >> 4}")
    kind = T(data[0] >> 4)
    head = Reader(data)
    head.take(1)
    head.varint()
    body = Reader(data[head.at :])
    made = Packet(kind, data[0] & 15, data)
    need(kind in _PARSERS, f"a server never sends {kind.name}")
    need(version == 5 or kind not in (T.AUTH, T.DISCONNECT), f"{kind.name} to a 3.x client")
    expected = {T.PUBLISH: made.flags, T.PUBREL: 2}.get(kind, 0)
    need(made.flags == expected, f"{kind.name} with flags {made.flags} [MQTT-2.1.3-1]")
    _PARSERS[kind](made, body, version)
    need(body.left() == 0, f"{body.left()} bytes too many in {kind.name}")
    if version == 5:
        for code in getattr(made, "codes", None) or [getattr(made, "code", 0)]:
            need(code in SERVER_CODES.get(kind, {0}), f"{kind.name} with code 0x{code:02X}")
    return made


def _connack(made, body, version):
    flags, made.code = body.u8(), body.u8()
    need(flags & 0xFE == 0, "CONNACK flags [MQTT-3.2.2-1]")
    made.session_present = bool(flags)
    need(made.code == 0 or not made.session_present, "refused with Session Present [MQTT-3.2.2-6]")
    if version == 5:
        made.props = body.properties(T.CONNACK)
    else:
        need(made.code <= 5, f"CONNACK return code {made.code}")
        need(version == 4 or not made.session_present, "Session Present to a 3.1 client")


def _publish(made, body, version):
    made.dup, made.qos, made.retain = (
        bool(made.flags & 8),
        made.flags >> 1 & 3,
        bool(made.flags & 1),
    )
    need(made.qos != 3, "PUBLISH with QoS 3 [MQTT-3.3.1-4]")
    need(made.qos or not made.dup, "DUP at QoS 0 [MQTT-3.3.1-2]")
    made.topic = body.text()
    made.pid = body.u16() if made.qos else None
    need(made.pid != 0, "packet identifier 0 [MQTT-2.2.1-4]")
    if version == 5:
        made.props = body.properties(T.PUBLISH)
    need(made.topic or "topic_alias" in made.props, "no topic name and no alias")
    need("+" not in made.topic and "#" not in made.topic, "wildcard in a topic [MQTT-3.3.2-2]")
    made.payload = body.take(body.left())


def _ack(made, body, version):
    made.pid, made.code = body.u16(), 0
    if version == 5 and body.left():
        made.code = body.u8()
        if body.left():
            made.props = body.properties(made.type)


def _suback(made, body, version):
    made.pid, made.codes = body.u16(), []
    if version == 5:
        made.props = body.properties(made.type)
    if version == 5 or made.type == T.SUBACK:
        made.codes = list(body.take(body.left()))
        need(made.codes, f"{made.type.name} without codes")
        need(version != 4 or set(made.codes) <= {0, 1, 2, 0x80}, f"SUBACK codes {made.codes}")


def _disconnect(made, body, _version):
    made.code = body.u8() if body.left() else 0
    if body.left():
        made.props = body.properties(made.type)


_PARSERS = {
    T.CONNACK: _connack,
    T.PUBLISH: _publish,
    T.PUBACK: _ack,
    T.PUBREC: _ack,
    T.PUBREL: _ack,
    T.PUBCOMP: _ack,
    T.SUBACK: _suback,
    T.UNSUBACK: _suback,
    T.PINGRESP: lambda made, body, version: None,
    T.DISCONNECT: _disconnect,
    T.AUTH: _disconnect,
}
