# SPDX-License-Identifier: MIT
"""mosquitto_pub and mosquitto_sub: the first clients that most people use."""
import subprocess

import pytest

from client import DEADLINE_S, V5, V31, V311, Message
from tools import VERSION_NAMES, Sub, pub, tool


@pytest.fixture(params=[V31, V311, V5], ids=["3.1", "3.1.1", "5.0"])
def version(request):
    return request.param


@pytest.fixture
def sub(broker, version):
    opened = []

    def open_sub(*arguments):
        s = Sub(broker, *arguments, version=version)
        opened.append(s)
        return s

    yield open_sub
    for s in opened:
        s.kill()


def durable(version, client_id, qos):
    expiry = ["-x", "3600"] if version == V5 else []
    return ["-i", client_id, "-c", "-q", str(qos), *expiry]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_publish_and_subscribe_at_each_qos(broker, sub, version, name, qos):
    s = sub("-t", f"{name}/t", "-q", str(qos))
    pub(broker, "-t", f"{name}/t", "-m", "hello", "-q", str(qos), version=version)
    assert s.message() == Message(f"{name}/t", qos, False, "hello")
    s.leave()


def test_lines_from_stdin_arrive_in_order(broker, sub, version, name):
    s = sub("-t", f"{name}/t", "-q", "2")
    sent = [f"line {n}" for n in range(500)]
    subprocess.run([tool("mosquitto_pub"), "-h", broker.host, "-p", str(broker.port), "-V", VERSION_NAMES[version], "-t", f"{name}/t",
                    "-q", "2", "-l"], input="\n".join(sent) + "\n", text=True, check=True, timeout=DEADLINE_S)
    assert [m.payload for m in s.messages(len(sent))] == sent
    s.leave()


def test_wildcards(broker, sub, version, name):
    s = sub("-t", f"{name}/+/x", "-t", f"{name}/deep/#", "-q", "1")
    for topic in ("a/x", "a/y", "a/b/x", "deep", "deep/1/2/3", "b/x"):
        pub(broker, "-t", f"{name}/{topic}", "-m", topic, "-q", "1", version=version)
    assert {m.payload for m in s.messages(4)} == {"a/x", "deep", "deep/1/2/3", "b/x"}
    s.leave()


def test_retained(broker, sub, version, name):
    pub(broker, "-t", f"{name}/r", "-m", "kept", "-r", "-q", "1", version=version)
    s = sub("-t", f"{name}/r", "-q", "1")
    assert s.message() == Message(f"{name}/r", 1, True, "kept")
    s.leave()
    pub(broker, "-t", f"{name}/r", "-n", "-r", "-q", "1", version=version)
    s = sub("-t", f"{name}/#", "-q", "1")
    pub(broker, "-t", f"{name}/end", "-m", "end", "-q", "1", version=version)
    assert s.message().payload == "end"
    s.leave()


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("leaves", ["leave", "kill"])
def test_offline_queue(broker, sub, version, name, qos, leaves):
    arguments = durable(version, name, qos) + ["-t", f"{name}/q"]
    getattr(sub(*arguments), leaves)()
    for n in range(5):
        pub(broker, "-t", f"{name}/q", "-m", str(n), "-q", str(qos), version=version)
    s = sub(*arguments)
    assert [m.payload for m in s.messages(5)] == [str(n) for n in range(5)]
    s.leave()


def test_will(broker, sub, version, name):
    watcher = sub("-t", f"{name}/will", "-q", "1")
    dying = sub("-t", f"{name}/x", "--will-topic", f"{name}/will", "--will-payload", "gone", "--will-qos", "1")
    dying.kill()
    assert watcher.message() == Message(f"{name}/will", 1, False, "gone")
    watcher.leave()


@pytest.mark.parametrize("version", [V5], ids=["5.0"])
def test_request_and_response(broker, sub, name):
    """mosquitto_rr asks with a response topic and correlation data; two plain tools answer it."""
    service = sub("-t", f"{name}/ask", "-q", "1")
    asker = subprocess.Popen([tool("mosquitto_rr"), "-h", broker.host, "-p", str(broker.port), "-V", "mqttv5", "-t", f"{name}/ask",
                              "-e", f"{name}/answer", "-m", "what?", "-q", "1"], stdout=subprocess.PIPE, text=True)
    assert service.message().payload == "what?"
    pub(broker, "-t", f"{name}/answer", "-m", "that", "-q", "1", version=V5)
    answer, _ = asker.communicate(timeout=DEADLINE_S)
    assert answer == "that\n"
    assert asker.returncode == 0
    service.leave()
