# SPDX-License-Identifier: MIT
"""Paho for Python as a client of the interoperability suite: one connection, driven by lines (client.py explains them).

The library's thread prints answers, the main thread reads commands.
"""
import sys
import threading

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

out_lock = threading.Lock()


def say(*fields):
    with out_lock:
        print(*fields, sep="\t", flush=True)


def on_connect(_client, _data, flags, reason, _properties):
    say("connected", int(flags.session_present), reason.value)


def on_message(_client, _data, m):
    p = m.properties
    user = (getattr(p, "UserProperty", None) or [("", "")])[0]
    say("message", m.topic, m.qos, int(m.retain), m.payload.decode(), getattr(p, "ResponseTopic", ""),
        getattr(p, "CorrelationData", b"").decode(), *user)


def publish_properties(version, response, correlation, key, value):
    if version != 5 or not response:
        return None
    p = Properties(PacketTypes.PUBLISH)
    p.ResponseTopic = response
    p.CorrelationData = correlation.encode()
    p.UserProperty = (key, value)
    return p


def connect(args):
    host, port, version, client_id, clean, expiry, keep_alive = args[:7]
    version = int(version)
    left = threading.Event()
    leaving = threading.Event()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version,
                         reconnect_on_failure=False,
                         **({} if version == 5 else {"clean_session": clean == "1"}))

    def on_disconnect(_client, _data, _flags, reason, _properties):
        say("disconnected" if leaving.is_set() else "lost", reason.value)
        left.set()

    client.on_connect = on_connect
    client.on_message = on_message
    client.on_disconnect = on_disconnect
    client.on_publish = lambda _c, _d, _mid, reason, _p: say("published", reason.value)
    client.on_subscribe = lambda _c, _d, _mid, reasons, _p: say("subscribed", reasons[0].value)
    client.on_unsubscribe = lambda _c, _d, _mid, _reasons, _p: say("unsubscribed")
    if len(args) == 11:
        topic, qos, retain, payload = args[7:]
        client.will_set(topic, payload, int(qos), retain == "1")
    if version == 5:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = int(expiry)
        client.connect(host, int(port), int(keep_alive), clean_start=clean == "1", properties=properties)
    else:
        client.connect(host, int(port), int(keep_alive))
    return client, version, leaving, left


def main():
    client, version, leaving, left = connect(sys.argv[1:])
    client.loop_start()
    for line in sys.stdin:
        word, *rest = line.rstrip("\n").split("\t")
        if word == "subscribe":
            client.subscribe(rest[0], int(rest[1]))
        elif word == "unsubscribe":
            client.unsubscribe(rest[0])
        elif word == "publish":
            topic, qos, retain, payload = rest[:4]
            extra = (rest[4:] + [""] * 4)[:4]
            client.publish(topic, payload, int(qos), retain == "1",
                           properties=publish_properties(version, *extra))
        else:
            leaving.set()
            client.disconnect()
            left.wait(10)
            break


main()
