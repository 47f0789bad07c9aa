# SPDX-License-Identifier: MIT
"""Options and fixtures of the protocol tests; README.md explains the suite."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

sys.path.insert(0, os.path.dirname(__file__))
pytest.register_assert_rewrite("client", "broker")

from broker import Bench, Broker  # noqa: E402


def pytest_addoption(parser):
    parser.addoption(
        "--brokerd", default=os.environ.get("MQB_BROKERD"), help="the mqttbrokerd to test"
    )
    parser.addoption("--threads", default="1", help="its number of workers")


def pytest_configure(config):
    config.addinivalue_line("markers", "timed: waits for time to pass; all timed tests run at once")


class Brokers:
    """The brokers of this run, one for each set of settings, started when first asked for."""

    def __init__(self, program, threads, folder):
        self.program, self.threads, self.folder = program, threads, folder
        self.running = {}
        self.lock = threading.Lock()

    def get(self, **settings):
        key = tuple(sorted(settings.items()))
        with self.lock:
            if key not in self.running:
                log = self.folder / f"broker{len(self.running)}.log"
                broker = Broker(self.program, {"threads": self.threads, **settings}, log)
                self.running[key] = broker.start()
        assert self.running[key].is_running(), f"the broker died:\n{self.running[key].log()}"
        return self.running[key]

    def stop(self):
        ends = [(broker.stop(), broker) for broker in self.running.values()]
        for status, broker in ends:
            assert status == 0, f"{broker.command()} ended with {status}:\n{broker.log()}"


@pytest.fixture(scope="session")
def brokers(request, tmp_path_factory):
    program = request.config.getoption("--brokerd")
    assert program, "no broker to test: give --brokerd=PATH or MQB_BROKERD"
    threads = request.config.getoption("--threads")
    made = Brokers(program, threads, tmp_path_factory.mktemp("brokers"))
    yield made
    made.stop()


VERSIONS = {"v5": 5, "v311": 4, "v31": 3}


def _bench_fixture(version):
    @pytest.fixture
    def bench(brokers):
        made = Bench(brokers.get(), version)
        yield made
        made.close()
        assert made.broker.is_running(), f"the broker died:\n{made.broker.log()}"

    return bench


v5 = _bench_fixture(5)
v311 = _bench_fixture(4)
v31 = _bench_fixture(3)


class Configured:
    """configured(version, **settings): a bench at a broker with these settings."""

    def __init__(self, brokers):
        self.brokers, self.benches = brokers, []

    def __call__(self, version, **settings):
        self.benches.append(Bench(self.brokers.get(**settings), version))
        return self.benches[-1]

    def close(self):
        for bench in self.benches:
            bench.close()


@pytest.fixture
def configured(brokers):
    made = Configured(brokers)
    yield made
    made.close()


def timed(function):
    """Marks a test that waits for time to pass: all of them that were selected run at once, in
    threads."""

    @pytest.mark.timed
    def test(timed_results):
        timed_results[function].result(timeout=60)

    test.__name__ = function.__name__
    test.__doc__ = function.__doc__
    test.timed_function = function
    return test


def run_timed(function, brokers):
    """Calls a timed test with what its arguments are named after."""
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    made = [
        Configured(brokers) if name == "configured" else Bench(brokers.get(), VERSIONS[name])
        for name in names
    ]
    try:
        function(*made)
    finally:
        for one in made:
            one.close()


@pytest.fixture(scope="session")
def timed_results(request, brokers):
    functions = [
        item.function.timed_function
        for item in request.session.items
        if hasattr(item.function, "timed_function")
    ]
    with ThreadPoolExecutor(max_workers=max(1, len(functions))) as pool:
        yield {one: pool.submit(run_timed, one, brokers) for one in functions}
