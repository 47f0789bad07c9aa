# SPDX-License-Identifier: MIT
"""samples.py NAME EXECUTABLE: runs one sample as a reader would, with the Mosquitto clients, and checks what it does.
Everything is on 127.0.0.1, waits for the thing itself, and has a deadline."""
import os
import queue
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

DEADLINE_S = 30
HOST = "127.0.0.1"


def free_port():
    """Below the range that outgoing connections take theirs from."""
    while True:
        port = random.SystemRandom().randint(20000, 32000)
        with socket.socket() as s:
            try:
                s.bind((HOST, port))
                return port
            except OSError:
                continue


class Program:
    """A running sample; its lines are read as they come."""

    def __init__(self, command, **kwargs):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, bufsize=1, **kwargs)
        self.lines = queue.Queue()
        self.seen = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def wait_line(self, pattern):
        """The next line that has the pattern in it."""
        until = time.monotonic() + DEADLINE_S
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no line with {pattern!r}; there were:\n" + "\n".join(self.seen))
            self.seen.append(line)
            match = re.search(pattern, line)
            if match:
                return match

    def say(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def end(self, status=0):
        """Waits for the end and checks how it was."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        got = self.process.wait(timeout=DEADLINE_S)
        self.reader.join(DEADLINE_S)
        while not self.lines.empty():
            self.seen.append(self.lines.get() or "")
        assert got == status, f"exit status {got}:\n" + "\n".join(self.seen)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def wait_for_port(port):
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port}")


def run(*command, status=0, **kwargs):
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, **kwargs)
    assert result.returncode == status, f"{command}: {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout + result.stderr


def publish(port, topic, payload, *more):
    run("mosquitto_pub", "-h", HOST, "-p", str(port), "-t", topic, "-m", payload, "-q", "1", *more)


def retained(port, topic):
    return run("mosquitto_sub", "-h", HOST, "-p", str(port), "-t", topic, "-C", "1", "-W", "20").strip()


# --- embed_* -------------------------------------------------------------------------------------


def embed_minimal(executable):
    port = free_port()
    with Program([executable, f"mqtt://{HOST}:{port}"]) as p:
        wait_for_port(port)
        publish(port, "sensor/7/temperature", "21.5")
        p.wait_line(r"^sensor/7/temperature: 21\.5$")
        p.say("\n")
        p.end()
    with Program([executable, "http://nothing"]) as p:
        p.wait_line("no listener URL")
        p.end(1)


def embed_loop(executable):
    port = free_port()
    with Program([executable, f"mqtt://{HOST}:{port}"]) as p:
        wait_for_port(port)
        publish(port, "from/client", "hello", "-r")
        p.wait_line("^from/client: hello$")
        assert retained(port, "from/client") == "hello"
        p.say("from/host good morning\n")
        p.wait_line("^from/host: good morning$")
        publish(port, "to/client", "subscribed", "-r")  # what the subscriber gets first says that it is one
        with subprocess.Popen(["mosquitto_sub", "-h", HOST, "-p", str(port), "-t", "to/client", "-C", "2", "-W", "20"],
                              stdout=subprocess.PIPE, text=True) as sub:
            assert sub.stdout.readline() == "subscribed\n"
            p.say("to/client over there\n")
            assert sub.stdout.readline() == "over there\n"
            assert sub.wait(timeout=DEADLINE_S) == 0
        p.say("bad/+/topic x\n")
        p.wait_line("^not published: .*is no topic name")
        p.end()


def embed_requests(executable):
    port = free_port()
    with Program([executable, f"mqtt://{HOST}:{port}"]) as p:
        wait_for_port(port)
        for qos in ["0", "1", "2"]:
            answer = run("mosquitto_rr", "-V", "5", "-h", HOST, "-p", str(port), "-t", "service/sum", "-e", "answers/1", "-q", qos,
                         "-m", "1 2 39", "-D", "PUBLISH", "correlation-data", "request-" + qos, "-W", "20", "-F", "%D %C %p")
            assert answer.strip() == f"request-{qos} text/plain 42", answer
        publish(port, "service/sum", "1 2")  # nobody wants to know: must not stop the service
        many = [subprocess.Popen(["mosquitto_rr", "-V", "5", "-h", HOST, "-p", str(port), "-t", "service/sum", "-e", f"answers/{i}",
                                  "-q", "1", "-m", f"{i} {i}", "-W", "20"], stdout=subprocess.PIPE, text=True) for i in range(8)]
        for i, one in enumerate(many):
            out, _ = one.communicate(timeout=DEADLINE_S)
            assert out.strip() == str(2 * i), f"{i}: {out}"
        p.end()


# --- mqttbrokerd -----------------------------------------------------------------------------------


def daemon(executable, *options, **kwargs):
    return Program([executable, *options], **kwargs)


def port_of(p, name):
    return int(p.wait_line(rf"listening detail=\"{name} at .*\(port (\d+)\)").group(1))


def stop(p):
    p.process.send_signal(signal.SIGTERM)
    p.end()


def check_options(executable, folder):
    assert "SYNOPSIS" in run(executable, "--help")
    assert re.match(r"mqttbrokerd \d+\.\d+\.\d+\n$", run(executable, "--version"))
    assert "unknown option '--nonsense'" in run(executable, "--nonsense", status=2)
    assert "a value is missing after '-c'" in run(executable, "-c", status=2)
    assert "listener.default.url = mqtt://127.0.0.1:1883" in run(executable, "--print-config")
    run(executable, "--test-config")
    bad = os.path.join(folder, "bad.conf")
    with open(bad, "w", encoding="utf-8") as f:
        f.write("\nqueue: {\n  max_mesages = 1;\n};\n")
    for how in [["--test-config"], []]:
        out = run(executable, "-c", bad, *how, status=1)
        assert f"{bad}:3: unknown key 'queue.max_mesages'; did you mean 'queue.max_messages'?" in out, out
    out = run(executable, "--set", "threads=0", "--test-config", status=1)
    assert "threads = 0 is for programs that embed the broker" in out, out
    out = run(executable, "--set", "queue.max_messages=x", "--test-config", status=1)
    assert "queue.max_messages: 'x' is not a number" in out, out


def check_sources(executable, folder):
    good = os.path.join(folder, "good.conf")
    with open(good, "w", encoding="utf-8") as f:
        f.write("threads = 1;\nqueue: { max_messages = 5; max_bytes = \"1m\"; };\n")
    env = dict(os.environ, MQTTBROKER_QUEUE__MAX_MESSAGES="6", MQTTBROKER_THREADS="2")
    out = run(executable, "-c", good, "--set", "threads=3", "--print-config", env=env)
    assert "threads = 3  # set" in out, out
    assert "queue.max_messages = 6  # MQTTBROKER_QUEUE__MAX_MESSAGES" in out, out
    assert f"queue.max_bytes = 1m  # {good}:2" in out, out
    env["MQTTBROKER_QUEUE__MAX"] = "1"
    assert "MQTTBROKER_QUEUE__MAX: unknown key" in run(executable, "--test-config", status=1, env=env)


def check_first_line(executable):
    """Whether 1883 is free here or not."""
    with daemon(executable) as p:
        p.wait_line("^")
        assert "127.0.0.1:1883 for anonymous clients of this machine only; -p PORT" in p.seen[0], p.seen
        p.wait_line("started|start failed")
        p.process.send_signal(signal.SIGTERM)
        p.process.wait(timeout=DEADLINE_S)


def check_serves(executable):
    with daemon(executable, "-p", "0", "--set", "threads=2") as p:
        port = port_of(p, "default")
        publish(port, "a/b", "kept", "-r")
        assert retained(port, "a/+") == "kept"
        busy = run(executable, "-p", str(port), status=1)
        assert f"127.0.0.1:{port}" in busy and "bind" in busy and "in use" in busy, busy
        stop(p)
        assert any("stopped" in line for line in p.seen), p.seen


def check_json(executable):
    with daemon(executable, "-p", "0", "--set", "log.format=json", "--set", "threads=1") as p:
        p.wait_line(r'^\{"time":".*","level":"info","module":"broker","event":"started"')
        stop(p)


def check_reload(executable, folder):
    path = os.path.join(folder, "reload.conf")

    def write(text):
        with open(path, "w", encoding="utf-8") as f:
            f.write("threads = 1;\n" + text)

    write("listener: { one: { url = \"mqtt://127.0.0.1:0\"; }; };\n")
    with daemon(executable, "-c", path) as p:
        first = port_of(p, "one")
        p.wait_line("started")
        write("listener: { one: { url = \"mqtt://127.0.0.1:0\"; }; two: { url = \"mqtt://127.0.0.1:0\"; }; };\n")
        p.process.send_signal(signal.SIGHUP)
        second = port_of(p, "two")
        p.wait_line("configuration reloaded")
        publish(first, "t", "x")
        publish(second, "t", "x")
        write("listener: { two: { url = \"mqtt://127.0.0.1:0\"; }; };\nqueue: { max_messages = \"many\"; };\n")
        p.process.send_signal(signal.SIGHUP)
        p.wait_line(rf"{path}:3: queue.max_messages: 'many' is not a number")
        publish(first, "t", "x")
        write("listener: { two: { url = \"mqtt://127.0.0.1:0\"; }; };\ninterest: { slots = 2048; };\n")
        p.process.send_signal(signal.SIGHUP)
        p.wait_line("interest.slots needs a restart to change; nothing was changed")
        publish(first, "t", "x")
        stop(p)


def make_certificate(folder, name):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
        "/CN=" + name, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", os.path.join(folder, "key.pem"), "-out",
        os.path.join(folder, "cert.pem"))
    trusted = os.path.join(folder, name + ".pem")
    with open(os.path.join(folder, "cert.pem"), encoding="utf-8") as made, open(trusted, "w", encoding="utf-8") as kept:
        kept.write(made.read())
    return trusted


def check_tls_reload(executable, folder):
    """A renewed certificate is taken by SIGHUP; one that cannot be used leaves the old one in place."""
    old = make_certificate(folder, "old")
    path = os.path.join(folder, "tls.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write("threads = 2;\nlistener: { s: { url = \"mqtts://127.0.0.1:0\"; tls: {\n"
                f"cert = \"{folder}/cert.pem\"; key = \"{folder}/key.pem\"; }}; }}; }};\n")
    with daemon(executable, "-c", path) as p:
        port = port_of(p, "s")
        publish(port, "t", "x", "--cafile", old)
        new = make_certificate(folder, "new")
        p.process.send_signal(signal.SIGHUP)
        p.wait_line("configuration reloaded")
        publish(port, "t", "x", "--cafile", new)
        with open(os.path.join(folder, "key.pem"), "w", encoding="utf-8") as f:
            f.write("nonsense")
        p.process.send_signal(signal.SIGHUP)
        p.wait_line("configuration not reloaded.*key.pem")
        publish(port, "t", "x", "--cafile", new)
        stop(p)
    out = run(executable, "-c", path, status=1)
    assert "key.pem" in out, out


def check_systemd(executable, folder):
    path = os.path.join(folder, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, socket.socket() as listening:
        told.bind(path)
        told.settimeout(DEADLINE_S)
        listening.bind((HOST, 0))
        listening.listen()
        port = listening.getsockname()[1]
        env = dict(os.environ, NOTIFY_SOCKET=path, LISTEN_FDS="1", LISTEN_FDNAMES="front")
        command = ["sh", "-c", 'export LISTEN_PID=$$; exec 3<&"$0" && exec "$@"', str(listening.fileno()), executable,
                   "--set", "threads=1"]
        with Program(command, env=env, pass_fds=[listening.fileno()]) as p:
            assert told.recv(256) == b"READY=1"
            p.wait_line("listening detail=\"front at")
            publish(port, "t", "through the inherited socket")
            p.process.send_signal(signal.SIGHUP)
            assert told.recv(256).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert told.recv(256) == b"READY=1"
            publish(port, "t", "still there")
            p.process.send_signal(signal.SIGTERM)
            assert told.recv(256) == b"STOPPING=1"
            p.end()


def mqttbrokerd(executable):
    with tempfile.TemporaryDirectory() as folder:
        check_options(executable, folder)
        check_sources(executable, folder)
        check_first_line(executable)
        check_serves(executable)
        check_json(executable)
        check_reload(executable, folder)
        check_tls_reload(executable, folder)
        check_systemd(executable, folder)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
