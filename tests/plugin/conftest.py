# SPDX-License-Identifier: MIT
"""Fixtures of the plugin tests: brokers with plugins, and clients of ../protocol at them."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "protocol"))
pytest.register_assert_rewrite("client", "broker")

from broker import Bench, Broker  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--brokerd", help="the mqttbrokerd to test")
    parser.addoption("--threads", default="1", help="its number of workers")
    parser.addoption("--plugin-folder", help="the folder of the test plugins")
    parser.addoption("--samples", help="the folder of the sample plugins")


class Brokers:
    """brokers(**settings): a bench at a broker of its own; brokers.judge(...): with the test plugin,
    whose keys are given without their prefix."""

    def __init__(self, config, folder):
        self.program = config.getoption("--brokerd")
        self.threads = config.getoption("--threads")
        self.plugins = config.getoption("--plugin-folder")
        self.samples = config.getoption("--samples")
        self.folder, self.benches = folder, []

    def __call__(self, settings, version=5):
        log = self.folder / f"broker{len(self.benches)}.log"
        broker = Broker(self.program, {"threads": self.threads, **settings}, log).start()
        self.benches.append(Bench(broker, version))
        return self.benches[-1]

    def plugin(self, name):
        return os.path.join(self.plugins, name + ".so")

    def judge(self, settings=None, **keys):
        ours = {f"plugin.judge.{key}": value for key, value in keys.items()}
        path = {"plugin.judge.path": self.plugin("plugin_judge")}
        return self({**path, **ours, **(settings or {})})

    def stop(self):
        for bench in self.benches:
            bench.close()
            status = bench.broker.stop()
            assert status == 0, f"{bench.broker.command()} ended with {status}:\n{bench.broker.log()}"


@pytest.fixture
def brokers(request, tmp_path):
    made = Brokers(request.config, tmp_path)
    yield made
    made.stop()
