# SPDX-License-Identifier: MIT
"""MQTT 5.0, 3.1 and 3.2: CONNECT and CONNACK. Wills are in test_v5_will.py, sessions in
test_v5_session.py."""

import string

import mqtt
import pytest
from client import Closed
from mqtt import T

UNKNOWN_METHOD = {"authentication_method": "no-such-method"}


@pytest.mark.parametrize(
    "packet",
    [
        mqtt.PINGREQ,
        mqtt.publish("a"),
        mqtt.subscribe(1, [("a", 0)]),
        mqtt.disconnect(),
        mqtt.auth(),
    ],
    ids=["PINGREQ", "PUBLISH", "SUBSCRIBE", "DISCONNECT", "AUTH"],
)
def test_MQTT_3_1_0_1_first_packet_must_be_CONNECT(v5, packet):
    """Anything else first ends the connection, without a packet [MQTT-3.14.0-1]."""
    client = v5.open()
    client.send(packet)
    client.expect_eof()


def test_MQTT_3_1_0_2_second_CONNECT_is_a_protocol_error(v5):
    """DISCONNECT 0x82 and the end."""
    client = v5.connect("c")
    client.send(mqtt.connect(v5.id("c")))
    client.expect_disconnect(0x82)


def unsupported(bench, packet):
    """What a CONNECT of another protocol gets: CONNACK 0x84 (or the 3.x form, 0x01), or nothing;
    then the end."""
    client = bench.open()
    client.send(packet)
    try:
        data = client.recv_bytes(4)
    except Closed:
        return False
    client.version = 4 if data[1] == 2 else 5
    client.expect(T.CONNACK, code=1 if data[1] == 2 else 0x84)
    client.expect_eof()
    return True


@pytest.mark.parametrize("name", ["MQTX", "mqtt", "MQTTT", "", "MQIsdp"])
def test_MQTT_3_1_2_1_wrong_protocol_name(v5, name):
    """A protocol name that is not MQTT closes, at most after CONNACK 0x84."""
    unsupported(v5, mqtt.connect(v5.id("c"), protocol=name))


@pytest.mark.parametrize("version", [0, 1, 2, 6, 7, 0x84, 255])
def test_MQTT_3_1_2_2_unaccepted_protocol_version(v5, version):
    """Another protocol version is told so by CONNACK and closed."""
    assert unsupported(v5, mqtt.connect(v5.id("c"), version=version, props=None))


def test_MQTT_3_1_2_3_reserved_connect_flag(v5):
    """Connect flag bit 0 must be zero."""
    v5.refused(mqtt.connect(v5.id("c"), flags_or=1), 0x81)


def test_MQTT_3_1_2_22_keep_alive_zero_and_largest_are_accepted(v5):
    """Keep alive 0 turns the check off; 65535 is legal (timing: test_v5_timed.py)."""
    v5.connect(keep_alive=0).ping()
    v5.connect(keep_alive=65535).ping()


def test_MQTT_3_1_2_28_no_response_information_unless_asked(v5):
    """Without the request, or with 0, CONNACK has no Response Information."""
    for props in (None, {"request_response_information": 0}):
        assert "response_information" not in v5.connect(props=props).connack.props


def provoke_acks(client, bench):
    """All acknowledgements to which a server might add text; returns the packets."""
    found = [client.publish(bench.topic("nobody"), qos=qos) for qos in (1, 2)]
    found.append(client.subscribe("a/#/b", "a+", bench.topic("x")))
    found.append(client.unsubscribe(bench.topic("never")))
    client.send(mqtt.ack(T.PUBREL, 999))
    found.append(client.expect(T.PUBCOMP, pid=999))
    client.send(mqtt.ack(T.PUBREC, 998))
    found.append(client.expect(T.PUBREL, pid=998))
    return found


def test_MQTT_3_1_2_29_request_problem_information_zero(v5):
    """With 0, reason strings and user properties stay on PUBLISH, CONNACK and DISCONNECT."""
    client = v5.connect(props={"request_problem_information": 0})
    for packet in provoke_acks(client, v5):
        assert "reason_string" not in packet.props and "user_property" not in packet.props, packet
    topic = v5.topic("t")
    client.subscribe(topic)
    client.publish(topic, props={"user_property": [("a", "b")]})
    assert client.message(topic).props["user_property"] == [("a", "b")]


def test_MQTT_3_1_3_2_client_id_names_the_session(v5):
    """Each id has its own session; ids differ by every character and by case."""
    ids = [v5.id("a"), v5.id("A"), v5.id("ab"), v5.id("é"), v5.id("e\u0301"), v5.id("a ")]
    keep = {"session_expiry_interval": 60}
    for one in ids:
        client = v5.connect(raw_id=one, clean=False, props=keep)
        assert not client.connack.session_present, one
        client.disconnect()
    for one in ids:
        assert v5.connect(raw_id=one, clean=False).connack.session_present, one


def test_MQTT_3_1_3_5_accepts_ids_of_1_to_23_letters_and_digits(v5):
    """Every character of the guaranteed set, and every length."""
    alphabet = string.digits + string.ascii_lowercase + string.ascii_uppercase
    for one in alphabet:
        v5.connect(raw_id=one).disconnect()
    for length in range(1, 24):
        v5.connect(raw_id=alphabet[-length:]).disconnect()


def test_long_and_odd_client_ids_are_accepted(v5):
    """Ids beyond the guaranteed set (UUIDs, colons, slashes) are usual in the field."""
    for one in ("6f9619ff-8b86-d011-b42d-00cf4fc964ff", "a" * 200, "dev:1/x_y.z", "ключ"):
        v5.connect(raw_id=one).disconnect()


def test_MQTT_3_1_3_6_MQTT_3_2_2_16_assigned_ids_are_unique(v5):
    """Every empty client id gets a different one."""
    ids = {v5.connect(raw_id="").connack.props["assigned_client_identifier"] for _ in range(20)}
    assert len(ids) == 20 and "" not in ids


def test_MQTT_3_1_3_7_assigned_id_works_like_a_client_s_own(v5):
    """The id from CONNACK resumes the session; a client with an id of its own is told none."""
    keep = {"session_expiry_interval": 60}
    first = v5.connect(raw_id="", clean=True, props=keep)
    assigned = first.connack.props["assigned_client_identifier"]
    first.disconnect()
    second = v5.connect(raw_id=assigned, clean=False)
    assert second.connack.session_present
    assert "assigned_client_identifier" not in second.connack.props


def test_empty_client_id_with_clean_start_0_is_assigned_too(v5):
    """5.0 allows an empty id with Clean Start 0 (3.1.1 did not)."""
    client = v5.connect(raw_id="", clean=False)
    assert client.connack.props["assigned_client_identifier"]
    assert not client.connack.session_present


MALFORMED_CONNECTS = {
    "no_properties": mqtt.packet(T.CONNECT, 0, mqtt.field("MQTT") + b"\x05\x02\x00\x3c"),
    "no_client_id": mqtt.packet(T.CONNECT, 0, mqtt.field("MQTT") + b"\x05\x02\x00\x3c\x00"),
    "client_id_cut": mqtt.packet(
        T.CONNECT, 0, mqtt.field("MQTT") + b"\x05\x02\x00\x3c\x00\x00\x05ab"
    ),
    "bytes_behind": mqtt.packet(T.CONNECT, 0, mqtt.connect("a")[2:] + b"x"),
    "MQTT_3_1_2_9_will_flag_without_will": mqtt.connect("a", flags=0x06),
    "MQTT_3_1_2_9_will_without_payload": mqtt.packet(
        T.CONNECT, 0, mqtt.connect("a", flags=0x06)[2:] + b"\x00" + mqtt.field("w")
    ),
    "MQTT_3_1_2_11_will_qos_without_will": mqtt.connect("a", flags=0x0A),
    "MQTT_3_1_2_12_will_qos_3": mqtt.connect("a", will=mqtt.Will("w", qos=3)),
    "MQTT_3_1_2_13_will_retain_without_will": mqtt.connect("a", flags=0x22),
    "MQTT_3_1_2_16_user_name_without_flag": mqtt.connect("a", flags=0x02, username="u"),
    "MQTT_3_1_2_17_flag_without_user_name": mqtt.connect("a", flags=0x82),
    "MQTT_3_1_2_18_password_without_flag": mqtt.connect(
        "a", flags=0x82, username="u", password="p"
    ),
    "MQTT_3_1_2_19_flag_without_password": mqtt.connect("a", flags=0xC2, username="u"),
    "property_length_too_long": mqtt.connect("a", props=b"")[:12] + b"\x7f" + mqtt.field("a"),
    "property_of_another_packet": mqtt.connect("a", props={"topic_alias": 1}),
    "unknown_property": mqtt.connect("a", props=b"\x7e\x00"),
    "property_cut": mqtt.connect("a", props=b"\x11\x00\x00"),
    "will_property_in_connect": mqtt.connect("a", props={"will_delay_interval": 1}),
    "connect_property_in_will": mqtt.connect(
        "a", will=mqtt.Will("w", props={"session_expiry_interval": 1})
    ),
}


@pytest.mark.parametrize("case", MALFORMED_CONNECTS)
def test_MQTT_3_1_4_1_malformed_CONNECT_is_refused(v5, case):
    """CONNACK 0x81 (Malformed Packet) and the end."""
    v5.refused(MALFORMED_CONNECTS[case], 0x81)


def twice(name, value):
    return mqtt.connect("a", props={name: [value, value]})


PROTOCOL_ERRORS = {
    "session_expiry_twice": twice("session_expiry_interval", 1),
    "receive_maximum_twice": twice("receive_maximum", 1),
    "receive_maximum_0": mqtt.connect("a", props={"receive_maximum": 0}),
    "maximum_packet_size_twice": twice("maximum_packet_size", 99),
    "maximum_packet_size_0": mqtt.connect("a", props={"maximum_packet_size": 0}),
    "topic_alias_maximum_twice": twice("topic_alias_maximum", 1),
    "request_response_information_twice": twice("request_response_information", 1),
    "request_response_information_2": mqtt.connect("a", props={"request_response_information": 2}),
    "request_problem_information_twice": twice("request_problem_information", 1),
    "request_problem_information_2": mqtt.connect("a", props={"request_problem_information": 2}),
    "authentication_method_twice": twice("authentication_method", "m"),
    "authentication_data_without_method": mqtt.connect("a", props={"authentication_data": b"d"}),
    "will_delay_twice": mqtt.connect(
        "a", will=mqtt.Will("w", props={"will_delay_interval": [1, 1]})
    ),
    "will_content_type_twice": mqtt.connect(
        "a", will=mqtt.Will("w", props={"content_type": ["a", "a"]})
    ),
}


@pytest.mark.parametrize("case", PROTOCOL_ERRORS)
def test_MQTT_3_1_4_1_protocol_error_in_CONNECT_is_refused(v5, case):
    """CONNACK 0x82 (Protocol Error) and the end."""
    v5.refused(PROTOCOL_ERRORS[case], 0x82)


def test_MQTT_3_1_4_2_failing_later_checks_closes(v5):
    """A well-formed CONNECT that cannot be accepted gets its code and the end."""
    v5.refused(mqtt.connect(v5.id("c"), props=UNKNOWN_METHOD), 0x8C, 0x87)


def test_MQTT_3_1_4_3_takeover_sends_0x8E(v5):
    """The older connection of the same client id gets DISCONNECT 0x8E and is closed."""
    first = v5.connect("c")
    second = v5.connect("c")
    first.expect_disconnect(0x8E)
    second.ping()


def test_takeover_chain_leaves_the_last_connection(v5):
    """Ten connections of one id, one after another: nine are taken over, the tenth works."""
    clients = [v5.connect("c") for _ in range(10)]
    for client in clients[:-1]:
        client.expect_disconnect(0x8E)
    clients[-1].ping()


def test_MQTT_3_1_4_4_takeover_with_clean_start(v5):
    """Clean Start is carried out on takeover as on reconnection."""
    keep = {"session_expiry_interval": 60}
    v5.connect("c", props=keep)
    assert v5.connect("c", clean=False, props=keep).connack.session_present
    assert not v5.connect("c", clean=True, props=keep).connack.session_present
    assert v5.connect("c", clean=False, props=keep).connack.session_present


def test_same_client_id_of_another_user_is_refused(v5):
    """A user cannot take the session of another user; the first connection stays."""
    first = v5.connect("c", username="alice", password="a")
    client = v5.open()
    client.send(mqtt.connect(v5.id("c"), username="bob", password="b"))
    connack = client.expect(T.CONNACK)
    assert connack.code in (0x85, 0x86, 0x87, 0x89, 0x8A), connack
    client.expect_eof()
    first.ping()
    v5.connect("c", username="alice", password="a").ping()
    first.expect_disconnect(0x8E)


def test_MQTT_3_1_4_5_accepted_CONNECT_is_answered_by_0(v5):
    """CONNACK with code 0 and the server's limits."""
    connack = v5.connect().connack
    assert connack.code == 0
    assert connack.props["topic_alias_maximum"] == 16
    assert connack.props["receive_maximum"] == 100
    assert connack.props["maximum_packet_size"] == 1 << 20


def test_MQTT_3_1_4_6_nothing_behind_a_rejected_CONNECT_is_done(v5):
    """A retained PUBLISH in the same segment as the rejected CONNECT leaves no trace."""
    topic = v5.topic("r")
    publish = mqtt.publish(topic, b"x", retain=True)
    v5.refused(mqtt.connect(v5.id("c"), props=UNKNOWN_METHOD) + publish, 0x8C, 0x87)
    client = v5.connect()
    client.subscribe(topic)
    assert client.collect_retained() == []


def test_CONNECT_SUBSCRIBE_PUBLISH_in_one_segment(v5):
    """A client need not wait for CONNACK before it sends more."""
    client = v5.open()
    topic = v5.topic("a")
    client.send(
        mqtt.connect(v5.id("c")),
        mqtt.subscribe(1, [(topic, 1)]),
        mqtt.publish(topic, b"p", qos=1, pid=2),
        mqtt.PINGREQ,
    )
    assert client.recv().type == T.CONNACK
    kinds = []
    while T.PINGRESP not in kinds or len(kinds) < 4:
        kinds.append(client.recv().type)
    assert sorted(kinds) == [T.PUBLISH, T.PUBACK, T.SUBACK, T.PINGRESP]


def test_MQTT_3_2_0_1_CONNACK_comes_first(v5):
    """Also when messages wait in the session."""
    client = v5.connect("c", props={"session_expiry_interval": 60})
    topic = v5.topic("a")
    client.subscribe(topic, qos=1)
    client.disconnect()
    for i in range(3):
        v5.publisher().publish(topic, b"%d" % i, qos=1)
    client = v5.open()
    client.send(mqtt.connect(v5.id("c"), clean=False))
    client.expect(T.CONNACK)
    for i in range(3):
        client.message(topic, b"%d" % i)


def test_MQTT_3_2_0_2_only_one_CONNACK(v5):
    """No second CONNACK, whatever follows, not even for a second CONNECT."""
    client = v5.connect("c")
    client.ping()
    client.send(mqtt.connect(v5.id("c"), clean=False))
    assert client.recv().type == T.DISCONNECT
    client.expect_eof()


def test_MQTT_3_2_2_1_acknowledge_flags_are_zero_but_session_present(v5):
    """The flags byte is 0 or 1."""
    keep = {"session_expiry_interval": 60}
    assert v5.connect("c", props=keep).connack.raw[2] == 0
    assert v5.connect("c", clean=False, props=keep).connack.raw[2] == 1


def test_MQTT_3_2_2_2_clean_start_has_no_session(v5):
    """Session Present 0 and code 0, whatever was stored."""
    keep = {"session_expiry_interval": 60}
    for _ in range(2):
        client = v5.connect("c", clean=True, props=keep)
        assert (client.connack.session_present, client.connack.code) == (False, 0)
        client.disconnect()


def test_MQTT_3_2_2_3_session_present_tells_whether_state_exists(v5):
    """0 for an unknown id, 1 for a stored session."""
    keep = {"session_expiry_interval": 60}
    first = v5.connect("c", clean=False, props=keep)
    assert not first.connack.session_present
    first.disconnect()
    assert v5.connect("c", clean=False, props=keep).connack.session_present


def test_MQTT_3_2_2_6_refusal_has_session_present_0(v5):
    """Even when a session is stored for the id; and the session is not harmed."""
    client = v5.connect("c", props={"session_expiry_interval": 60})
    client.disconnect()
    refused = mqtt.connect(v5.id("c"), clean=False, props=UNKNOWN_METHOD)
    assert v5.refused(refused, 0x8C, 0x87).session_present is False
    assert v5.connect("c", clean=False).connack.session_present


def test_MQTT_3_2_2_7_refusal_is_followed_by_closing(v5):
    """After a CONNACK of 0x80 or more the server closes, even if the client goes on talking."""
    client = v5.open()
    client.send(mqtt.connect(v5.id("c"), props=UNKNOWN_METHOD) + mqtt.PINGREQ * 10)
    assert client.expect(T.CONNACK).code >= 0x80
    client.expect_eof()


def test_MQTT_3_2_2_8_refusals_use_codes_of_the_table(v5):
    """All refusals that can be provoked (the decoder holds the table)."""
    for packet in [*MALFORMED_CONNECTS.values(), *PROTOCOL_ERRORS.values()]:
        client = v5.open()
        client.send(packet)
        try:
            assert client.expect(T.CONNACK).code >= 0x80
        except Closed:
            continue
        client.expect_eof()


def test_MQTT_3_2_2_19_MQTT_3_2_2_20_CONNACK_fits_the_client(v5):
    """However small the client's maximum, no larger CONNACK comes; the connection closes if none
    can."""
    for size in range(1, 64):
        for extra in ({}, UNKNOWN_METHOD):
            client = v5.open()
            client.send(mqtt.connect(v5.id("c"), props={"maximum_packet_size": size, **extra}))
            try:
                connack = client.expect(T.CONNACK)
                assert len(connack.raw) <= size
            except Closed:
                continue
            client.close()


def test_MQTT_4_12_0_1_unknown_authentication_method(v5):
    """CONNACK 0x8C (or 0x87) and the end, with data and without."""
    v5.refused(mqtt.connect(v5.id("c"), props=UNKNOWN_METHOD), 0x8C, 0x87)
    props = {**UNKNOWN_METHOD, "authentication_data": b"\x00\x01"}
    v5.refused(mqtt.connect(v5.id("c"), props=props), 0x8C, 0x87)


def test_MQTT_4_12_0_6_no_method_no_AUTH(v5):
    """Without a method in CONNECT there is none in CONNACK, and no AUTH comes."""
    client = v5.connect()
    assert "authentication_method" not in client.connack.props
    assert "authentication_data" not in client.connack.props
    client.ping()


def test_MQTT_4_12_0_7_AUTH_without_a_method_is_a_protocol_error(v5):
    """A client that named no method sends no AUTH."""
    for code in (0x18, 0x19):
        client = v5.connect()
        client.send(mqtt.auth(code, {"authentication_method": "m"}))
        client.expect_disconnect(0x82)


def test_capabilities_are_announced_only_where_missing(v5):
    """Full service: no Maximum QoS, and what is announced as available is."""
    props = v5.connect().connack.props
    assert "maximum_qos" not in props
    for name in (
        "retain",
        "wildcard_subscription",
        "subscription_identifier",
        "shared_subscription",
    ):
        assert props.get(f"{name}_available", 1) == 1


def test_session_expiry_is_capped_at_24_hours(v5):
    """A longer wish is answered by the cap in CONNACK."""
    for wish in (24 * 3600 + 1, 0xFFFFFFFF):
        connack = v5.connect(props={"session_expiry_interval": wish}).connack
        assert connack.props["session_expiry_interval"] == 24 * 3600
    connack = v5.connect(props={"session_expiry_interval": 3600}).connack
    assert connack.props.get("session_expiry_interval", 3600) == 3600
