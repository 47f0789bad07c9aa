# SPDX-License-Identifier: MIT
"""Fixtures of the interoperability suite: one broker for a run, clients that are cleaned up, names nobody else uses."""
import itertools
import os

import pytest

import client as clients
from broker import Broker


def pytest_addoption(parser):
    parser.addoption("--library", help="only this client library")


def pytest_generate_tests(metafunc):
    if "library" in metafunc.fixturenames:
        only = metafunc.config.getoption("--library")
        every = clients.libraries()
        chosen = [every[only]] if only else list(every.values())
        metafunc.parametrize("library", chosen, ids=lambda library: library.name)


@pytest.fixture(scope="session")
def broker():
    executable = os.environ.get("MQB_BROKER")
    assert executable, "MQB_BROKER names the broker's executable (ctest sets it)"
    b = Broker(executable).start()
    yield b
    try:
        b.stop()
    finally:
        b.kill()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows what the broker said."""
    report = (yield).get_result()
    b = item.funcargs.get("broker")
    if report.failed and b and b.process:
        report.sections.append(("broker", b.log_end(40)))


numbers = itertools.count(1)


@pytest.fixture
def name(request):
    """A word for this test alone, for topics and client ids."""
    return f"t{next(numbers)}x{os.getpid()}"


@pytest.fixture
def connect(broker, library, version, name):
    """connect(id_suffix, **options): a client that ends with the test."""
    absent = library.missing()
    assert not absent, f"{absent} not there: run scripts/deps"
    opened = []

    def open_client(suffix, **options):
        c = clients.Client(library, broker, version, name + suffix, **options)
        opened.append(c)
        return c

    yield open_client
    for c in opened:
        c.kill()
