# SPDX-License-Identifier: MIT
"""What is measured: the load's arguments, which of its figures count, and the ratio to mosquitto that is wanted.

A ratio is how many times better than mosquitto: less processor time, less memory, lower latency, more messages.
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Measure:
    """One figure of a run. `figure` is its name in the load's JSON; inner ones have a dot."""
    title: str
    figure: str
    more_is_better: bool = False
    target: float | None = None          # ratio to mosquitto as Debian configures it
    target_nodelay: float | None = None  # ratio to mosquitto with set_tcp_nodelay


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    load: str
    measures: tuple[Measure, ...]
    seconds: float = 2.0      # of publishing; 0: the load's own arguments say how much
    is_quick: bool = False
    queue_all: bool = False   # queues as long as it takes, in every broker
    nats: bool = False        # nats-server can do it


RATE = Measure("delivered/s", "delivered_rate", more_is_better=True)
P50 = Measure("p50 us", "latency_us.p50")
P99 = Measure("p99 us", "latency_us.p99")
MEMORY = Measure("RSS kB", "rss_peak_kb")


def cpu(target=None, nodelay=None):
    return Measure("CPU us/message", "message_us", target=target, target_nodelay=nodelay)


def traffic(name, load, target=None, nodelay=None, **more):
    return Scenario(name, load, (RATE, cpu(target, nodelay), P50, P99, MEMORY), **more)


def at_rate(name, load, target, p50=None, p99=None, nodelay_p50=None, nodelay_p99=None, **more):
    """At a fixed rate the messages per second are given."""
    measures = (cpu(target), Measure("p50 us", "latency_us.p50", target=p50, target_nodelay=nodelay_p50),
                Measure("p99 us", "latency_us.p99", target=p99, target_nodelay=nodelay_p99), MEMORY)
    return Scenario(name, load, measures, **more)


def wildcard(name, matches):
    return Scenario(name, f"wildcard --filters 100000 --matches {matches}", (
        Measure("published/s", "published_rate", more_is_better=True),
        Measure("CPU us/publish", "publish_us", target=1.7),
        Measure("CPU us/SUBSCRIBE filter", "subscribe_us", target=3),
        Measure("bytes/filter", "filter_bytes", target=4), MEMORY))


def conn(name, subscribe):
    return Scenario(name, f"conn --connections 9900 --hold 2 --subscribe {subscribe}", (
        Measure("connects/s", "connect_rate", more_is_better=True),
        Measure("CPU us/connect", "connect_us", target=1.1),
        Measure("bytes/connection", "connection_bytes", target=1.6),
        Measure("idle CPU %", "idle_cpu_percent"), MEMORY), seconds=0)


QOS1 = "p2p --connections 100 --burst 1 --qos 1 --sub-qos 1"
QOS2 = "p2p --connections 100 --burst 1 --qos 2 --sub-qos 2"

SCENARIOS = (
    traffic("fanout-100", "fanout --subscribers 100", 11, 26, is_quick=True, nats=True),
    traffic("fanout-1000", "fanout --subscribers 1000", 30, nats=True),
    traffic("fanout-1000-1k", "fanout --subscribers 1000 --size 1024", 12, nats=True),
    traffic("p2p-100", "p2p --connections 100", 14, is_quick=True, nats=True),
    traffic("p2p-100-single", "p2p --connections 100 --burst 1", 1.35, 2.1, is_quick=True, nats=True),
    traffic("p2p-100-single-v5", "p2p --connections 100 --burst 1 --version 5", 1.35, 2.1),
    traffic("fanin-100", "fanin --publishers 100", 9, is_quick=True, nats=True),
    traffic("fanin-100-single", "fanin --publishers 100 --burst 1", 1.3, nats=True),
    traffic("p2p-qos1", QOS1, 5.5, is_quick=True, nats=True),
    traffic("p2p-qos1-v5", QOS1 + " --version 5", 5.5),
    # mosquitto ends a 3.1.1 connection with more than 20 messages of QoS 2 under way; 5.0 tells the client so
    traffic("p2p-qos2", QOS2 + " --window 20", 10),
    traffic("p2p-qos2-v5", QOS2 + " --version 5", 10, is_quick=True),
    traffic("shared", "shared"),
    at_rate("rate-p2p", "p2p --connections 1000 --rate 20000", 1.6, nats=True),
    at_rate("rate-fanout", "fanout --subscribers 1000 --rate 50", 2.1, nats=True),
    at_rate("latency", "latency --rate 2000", None, 1.2, 1.2, seconds=4, is_quick=True, nats=True),
    at_rate("latency-fanout", "fanout --subscribers 100 --rate 500", None, 40, None, 1, 1, seconds=4,
            nats=True),
    wildcard("wildcard-none", 0),
    wildcard("wildcard-one", 1),
    Scenario("retain", "retain --count 100000", (
        RATE, Measure("CPU us/delivery", "message_us", target=7), Measure("CPU us/publish", "publish_us"),
        Measure("bytes/retained", "kept_bytes", target=2), MEMORY), seconds=0),
    Scenario("offline", "offline --count 100000 --qos 1 --sub-qos 1", (
        RATE, Measure("CPU us/queued", "publish_us", target=1.6),
        Measure("CPU us/delivery", "message_us", target=5), Measure("bytes/queued", "kept_bytes", target=3),
        MEMORY), seconds=0, queue_all=True),
    conn("conn", 0),
    conn("conn-subscribed", 1),
)
