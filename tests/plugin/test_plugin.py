# SPDX-License-Identifier: MIT
"""What plugins decide, end to end: judge.c says how a user name or a topic is answered."""

import subprocess
import time

import mqtt
import pytest
from client import DEADLINE, LATE, SLOWNESS, Client
from mqtt import T

NOT_AUTHORIZED, BANNED, QUOTA, BUSY = 0x87, 0x8A, 0x97, 0x89
RUNS = ["loop", "pool", "serial", "ticket"]


def connect_as(bench, user, **options):
    """A connection, accepted or not."""
    client = bench.open()
    client.handshake(client_id=bench.id(f"c{next(bench.counter)}"), username=user, **options)
    return client


def enter(bench, user="ann", **options):
    client = connect_as(bench, user, **options)
    assert client.connack.code == 0, client.connack
    return client


def metrics_line(bench, text):
    return [line for line in bench.broker.log().splitlines() if text in line]


# ---- who may in


@pytest.mark.parametrize("run", RUNS)
def test_connect_is_allowed_denied_or_nobodys(brokers, run):
    bench = brokers.judge(run=run, delay_ms=20)
    assert connect_as(bench, "ann").connack.code == 0
    assert connect_as(bench, "denied").connack.code == BANNED
    assert connect_as(bench, "nobody").connack.code == NOT_AUTHORIZED  # all pass: denied
    assert connect_as(bench, "garbage").connack.code == NOT_AUTHORIZED
    assert connect_as(bench, "broken").connack.code == NOT_AUTHORIZED
    assert metrics_line(bench, "a wrong answer, taken as a denial")


@pytest.mark.parametrize("runs", [("loop", "loop"), ("pool", "loop"), ("loop", "serial"),
                                  ("ticket", "pool"), ("serial", "ticket"), ("pool", "pool")])
def test_plugins_are_asked_in_order_until_one_does_not_pass(brokers, runs):
    path = brokers.plugin("plugin_judge")
    for second, code in (("allow", 0), ("deny", NOT_AUTHORIZED), ("pass", NOT_AUTHORIZED)):
        bench = brokers({
            "plugin.1.path": path, "plugin.1.run": runs[0],
            "plugin.2.path": path, "plugin.2.run": runs[1], "plugin.2.fixed": second,
        })
        assert connect_as(bench, "nobody").connack.code == code
        ann = enter(bench)  # the first decides, whatever the second would say
        assert ann.publish("pass/x", qos=1).code in (code, 0x10 if code == 0 else code)
        assert ann.publish("deny/x", qos=1).code == NOT_AUTHORIZED
        assert ann.publish("any/x", qos=1).code in (0, 0x10)


# ---- what they may


@pytest.mark.parametrize("run", RUNS)
def test_access_is_denied_with_reason_codes(brokers, run):
    bench = brokers.judge(run=run, delay_ms=5)
    ann = enter(bench)
    assert ann.publish("deny/x", qos=1).code == NOT_AUTHORIZED
    assert ann.publish("deny/x", qos=2).code == NOT_AUTHORIZED
    assert ann.publish("deny/quota", qos=1).code == QUOTA
    assert ann.publish("deny/odd", qos=1).code == NOT_AUTHORIZED  # not a code of a denial
    assert ann.publish("wrong/x", qos=1).code == NOT_AUTHORIZED
    assert ann.publish("free/x", qos=1).code in (0, 0x10)
    codes = ann.subscribe("deny/a", "free/a", "deny/quota", "wrong/x", qos=1).codes
    assert codes == [NOT_AUTHORIZED, 1, QUOTA, NOT_AUTHORIZED]
    ann.send_publish("deny/end", qos=0)
    ann.expect_disconnect(NOT_AUTHORIZED)


@pytest.mark.parametrize("run", RUNS)
def test_a_denied_will_refuses_the_connect(brokers, run):
    bench = brokers.judge(run=run, delay_ms=5)
    refused = connect_as(bench, "ann", will=mqtt.Will("deny/x", b"w"))
    assert refused.connack.code == NOT_AUTHORIZED
    assert connect_as(bench, "ann", will=mqtt.Will("free/x", b"w")).connack.code == 0


def test_receive_is_asked_at_each_delivery(brokers):
    bench = brokers.judge(caps="auth,receive")
    boss, ann = enter(bench, "boss"), enter(bench)
    for one in (boss, ann):
        assert one.subscribe("#").codes == [0]
    boss.publish("secret/x", b"1")
    boss.publish("open/x", b"2")
    boss.message("secret/x", b"1")
    boss.message("open/x", b"2")
    ann.message("open/x", b"2")


# ---- what comes with the answer to CONNECT


@pytest.mark.parametrize("run", RUNS)
def test_the_answer_says_who_a_client_is(brokers, run):
    bench = brokers.judge(run=run)
    boss = enter(bench, "boss")
    assert boss.publish("user/renamed", qos=1).code in (0, 0x10)
    assert boss.publish("user/boss", qos=1).code == NOT_AUTHORIZED
    driver = enter(bench, "driver")
    assert driver.publish("role/driver", qos=1).code in (0, 0x10)
    assert boss.publish("role/driver", qos=1).code == NOT_AUTHORIZED


def test_permissions_are_applied_without_asking(brokers):
    bench = brokers.judge(run="pool", delay_ms=2000 * SLOWNESS, settings={"plugin.deadline": "1m"})
    began = time.monotonic()
    rules = enter(bench, "rules")
    asked_once = time.monotonic() - began
    assert asked_once >= 2 * SLOWNESS
    began = time.monotonic()
    assert rules.publish("free/x", qos=1).code in (0, 0x10)
    assert rules.publish("other/x", qos=1).code == NOT_AUTHORIZED
    assert rules.publish("qos0/x", qos=1).code == NOT_AUTHORIZED
    assert rules.subscribe("free/a/#", "#", "free/+").codes == [0, NOT_AUTHORIZED, 0]
    assert time.monotonic() - began < 2 * SLOWNESS


def test_tenants_of_the_answer_do_not_meet(brokers):
    bench = brokers.judge()
    x, y, other = enter(bench, "tenant-x"), enter(bench, "tenant-y"), enter(bench, "tenant-x")
    for one in (x, y):
        one.subscribe("t/#")
    other.publish("t/1", b"for x", qos=1)
    x.message("t/1", b"for x")
    y.ping()


def test_a_mountpoint_of_the_answer_is_put_before_topics(brokers):
    bench = brokers.judge()
    mounted, ann = enter(bench, "mounted"), enter(bench)
    mounted.subscribe("a")
    ann.subscribe("m/a")
    mounted.publish("a", b"1")
    mounted.message("a", b"1")
    ann.message("m/a", b"1")


def test_a_session_expiry_is_cut_and_told(brokers):
    bench = brokers.judge()
    props = {"session_expiry_interval": 3600}
    assert enter(bench, "shortlived", props=props).connack.props["session_expiry_interval"] == 7
    assert "session_expiry_interval" not in enter(bench, "ann", props=props).connack.props


def test_a_connection_ends_when_it_expires(brokers):
    bench = brokers.judge()
    client = enter(bench, "expires")
    client.expect(T.DISCONNECT, timeout=1 + DEADLINE, code=NOT_AUTHORIZED)
    client.expect_eof()


# ---- waiting


@pytest.mark.parametrize("run", ["pool", "serial", "ticket"])
def test_order_holds_while_questions_are_pending(brokers, run):
    bench = brokers.judge(run=run, delay_ms=3)
    ann, reader = enter(bench), enter(bench)
    reader.subscribe("o/#", qos=1)
    ann.send(*(mqtt.publish(f"o/{i % 3}", str(i), qos=i % 2, pid=i + 1 if i % 2 else None)
               for i in range(60)))
    for i in range(60):
        reader.message(f"o/{i % 3}", str(i))
    for i in range(1, 60, 2):
        ann.expect(T.PUBACK, pid=i + 1)
    ann.ping()


@pytest.mark.parametrize("run", ["pool", "ticket"])
def test_slow_answers_delay_nobody_else(brokers, run):
    """100 clients wait 200 ms for each answer; one whose permissions are known does not notice."""
    bench = brokers.judge(run=run, delay_ms=200, settings={"plugin.pool_threads": 100})
    rules = enter(bench, "rules")
    rules.subscribe("free/x")
    crowd = [bench.open() for _ in range(100)]
    for i, client in enumerate(crowd):
        client.send(mqtt.connect(client_id=bench.id(f"n{i}"), username="ann"))
    slowest = 0
    for i in range(50):
        began = time.monotonic()
        rules.publish("free/x", str(i))
        rules.message("free/x", str(i))
        slowest = max(slowest, time.monotonic() - began)
    for client in crowd:
        client.expect(T.CONNACK, code=0, timeout=4 * DEADLINE)
    assert slowest < 0.2 * SLOWNESS


def test_serial_calls_come_one_by_one_and_the_deadline_denies_the_rest(brokers):
    bench = brokers.judge(run="serial", delay_ms=100, settings={"plugin.deadline": "1s"})
    crowd = [bench.open() for _ in range(60)]
    for i, client in enumerate(crowd):
        client.send(mqtt.connect(client_id=bench.id(f"n{i}"), username="ann"))
    codes = [client.expect(T.CONNACK, timeout=DEADLINE).code for client in crowd]
    assert 1 <= codes.count(0) <= 15
    assert codes.count(NOT_AUTHORIZED) == 60 - codes.count(0)


def test_a_full_queue_denies_at_once(brokers):
    bench = brokers.judge(run="serial", delay_ms=500,
                          settings={"plugin.queue": 2, "plugin.deadline": "1m"})
    crowd = [bench.open() for _ in range(20)]
    for i, client in enumerate(crowd):
        client.send(mqtt.connect(client_id=bench.id(f"n{i}"), username="ann"))
    codes = [client.expect(T.CONNACK, timeout=DEADLINE).code for client in crowd]
    assert 2 <= codes.count(0) <= 3 and codes.count(NOT_AUTHORIZED) == 20 - codes.count(0)


@pytest.mark.parametrize("what", ["never", "forgot"])
def test_a_question_without_answer_is_denied(brokers, what):
    """never: at the deadline; forgot: PENDING without a ticket, at once."""
    bench = brokers.judge(settings={"plugin.deadline": "300ms"})
    ann = enter(bench)
    began = time.monotonic()
    pid = ann.send_publish(what + "/x", qos=1)
    ann.send(mqtt.PINGREQ)
    ann.expect(T.PUBACK, pid=pid, code=NOT_AUTHORIZED)
    ann.expect(T.PINGRESP)
    took = time.monotonic() - began
    assert took >= 0.29 if what == "never" else took < LATE
    if what == "never":
        assert connect_as(bench, "never").connack.code == NOT_AUTHORIZED


def test_late_answers_go_nowhere(brokers):
    bench = brokers.judge(run="ticket", delay_ms=300, caps="acl",
                          settings={"plugin.deadline": "100ms"})
    ann = enter(bench)
    assert ann.publish("free/x", qos=1).code == NOT_AUTHORIZED
    until = time.monotonic() + DEADLINE
    while not metrics_line(bench, "ticket answers -4, then -4"):
        assert time.monotonic() < until, bench.broker.log()
        ann.fence()
    assert ann.publish("free/x", qos=1).code == NOT_AUTHORIZED


@pytest.mark.parametrize("run", ["pool", "serial", "ticket"])
def test_clients_that_leave_while_they_are_asked_about(brokers, run):
    bench = brokers.judge(run=run, delay_ms=50)
    for i in range(20):
        client = bench.open()
        client.send(mqtt.connect(client_id=bench.id(f"gone{i}"), username="ann"))
        client.close()
    stays = [enter(bench) for _ in range(3)]
    for client in stays[:2]:
        client.send_publish("free/x", qos=1)
        client.close()
    assert stays[2].publish("free/x", qos=1).code in (0, 0x10)


@pytest.mark.parametrize("run", ["pool", "serial", "ticket"])
def test_the_broker_stops_while_questions_are_open(brokers, run):
    bench = brokers.judge(run=run, delay_ms=300)
    ann = enter(bench)
    for i in range(5):
        ann.send_publish("free/x", qos=1)
    for i in range(5):
        client = bench.open()
        client.send(mqtt.connect(client_id=bench.id(f"open{i}"), username="ann"))
    assert bench.broker.stop() == 0


# ---- kept answers


@pytest.mark.parametrize("run", RUNS)
def test_answers_are_kept_until_they_are_forgotten(brokers, run):
    bench = brokers.judge(run=run)
    ann, ben = enter(bench), enter(bench)
    for _ in range(3):
        assert ann.publish("cached/x", qos=1).code in (0, 0x10)
    assert ann.publish("cached/y", qos=1).code == NOT_AUTHORIZED  # another topic: asked
    assert ben.publish("cached/x", qos=1).code in (0, 0x10)  # another client: asked
    assert ann.publish("forget/x", qos=1).code in (0, 0x10)
    assert ann.publish("cached/x", qos=1).code == NOT_AUTHORIZED
    assert ann.publish("cached/x", qos=1).code == NOT_AUTHORIZED
    assert ben.publish("cached/x", qos=1).code in (0, 0x10)  # was not forgotten


# ---- services, samples


@pytest.mark.parametrize("run", RUNS)
def test_a_plugin_publishes_from_inside_a_question(brokers, run):
    bench = brokers.judge(run=run)
    ann, reader = enter(bench), enter(bench)
    reader.subscribe("said")
    assert ann.publish("echo/x", b"hello", qos=1).code in (0, 0x10)
    reader.message("said", b"hello")


def sample(brokers, name):
    return f"{brokers.samples}/{name}.so"


def test_the_hello_sample(brokers):
    bench = brokers({"plugin.hello.path": sample(brokers, "plugin_hello"),
                     "plugin.hello.password": "secret"})
    assert connect_as(bench, "x", password="wrong").connack.code == NOT_AUTHORIZED
    client = connect_as(bench, "x", password="secret")
    assert client.subscribe("hello/#", "other/#").codes == [0, NOT_AUTHORIZED]
    client.publish("hello/world", b"1")
    client.message("hello/world", b"1")


def test_the_async_sample(brokers):
    bench = brokers({"plugin.async.path": sample(brokers, "plugin_async")})
    client = bench.connect("me")
    assert client.publish(bench.id("me") + "/x", qos=1).code in (0, 0x10)
    assert client.publish("other/x", qos=1).code == NOT_AUTHORIZED


# ---- refusals


def start(brokers, *settings):
    command = [brokers.program, "-p", "0", *(t for s in settings for t in ("--set", s))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize("what,why", [
    ("wrong_major", "the major versions differ (plugin ABI 2.3, host ABI 1.0)"),
    ("must_understand", "it requires what this host does not know (bits 0x4)"),
    ("short_struct", "its descriptor has 16 bytes"),
    ("bad_name", "its name is not 1 to 64 letters"),
    ("null", "it has no descriptor for this host (plugin ABI unknown, host ABI 1.0)"),
    ("no_entry", "it exports no function mqb_plugin_entry"),
    ("init_fails", "version 2.5: init answered -16 (plugin ABI 1.0, host ABI 1.0)"),
    ("short_table", "mqb.auth/1: its table is too short"),
    ("odd_run", "mqb.auth/1: `run` is unknown to this host"),
    ("unserved", "mqb.limit/1: this version of the host does not serve it"),
    ("offers_nothing", "it offers none that this host knows"),
])
def test_a_plugin_is_refused(brokers, what, why):
    path = brokers.plugin("plugin_odd_" + what)
    said = start(brokers, f"plugin.odd.path={path}")
    assert why in said and "host ABI 1.0" in said
    assert path in said or what in ("init_fails", "short_table", "odd_run", "unserved",
                                    "offers_nothing")


def test_paths_and_keys_are_checked(brokers):
    judge = brokers.plugin("plugin_judge")
    assert "cannot open shared object" in start(brokers, "plugin.x.path=/nowhere/x.so")
    assert "must be absolute" in start(brokers, "plugin.x.path=../x.so")
    assert "plugin.folder is not set" in start(brokers, "plugin.x.path=x.so")
    assert "plugin 'x' has no such key" in start(
        brokers, f"plugin.x.path={judge}", "plugin.x.nonsense=1")
    assert "no such plugin is loaded" in start(brokers, "plugin.x.run=loop")
    bench = brokers({"plugin.folder": brokers.plugins, "plugin.x.path": "plugin_judge.so"})
    assert connect_as(bench, "ann").connack.code == 0


def test_clients_of_client_py_close(brokers):
    """Many connections at once, refused ones among them, leave the broker as it was."""
    bench = brokers.judge(run="pool", delay_ms=1)
    for i in range(100):
        client = Client(bench.broker.address)
        client.handshake(client_id=f"m{i}", username="ann" if i % 2 else "denied")
        client.close()
    assert bench.broker.is_running()
