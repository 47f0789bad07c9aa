# SPDX-License-Identifier: MIT
"""Measures our broker beside mosquitto (as Debian configures it, and with set_tcp_nodelay) and, where it can, nats-server, and
prints one table. scripts/bench runs this and explains its options.

The brokers of one round run one after the other, each freshly started. Before and after each run the load tool calibrates
the machine; a round in which that differs by more than 30 % is discarded and tried again. Ratios are of one round; the table
has their median. A broker that loses, repeats or disorders messages has no figures; if it is ours, the bench fails.
"""
import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time

from scenarios import SCENARIOS
from servers import BrokerError, Mosquitto, MosquittoNoDelay, Nats, Ours

DRIFT = 1.3
ATTEMPTS = 3  # per round, until one is not disturbed
RUN_DEADLINE_S = 180
FAULTS = ("lost", "duplicates", "disordered", "foreign", "refused", "protocol_errors", "disconnected",
          "failed_connects", "stalls", "dead")


class Fault(Exception):
    """A run that proves something wrong, whatever its figures."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def figure(result, name):
    """None where the run has no such figure."""
    for part in name.split("."):
        result = result.get(part) if isinstance(result, dict) else None
    return result


# --- running ------------------------------------------------------------------------------------

def brokers_for(scenario, options):
    brokers = {"ours": lambda: Ours(options.broker, options.set, scenario.queue_all)}
    if options.mosquitto:
        for kind in (Mosquitto, MosquittoNoDelay):
            brokers[kind.name] = lambda kind=kind: kind(options.mosquitto, scenario.queue_all)
    if options.nats and scenario.nats:
        brokers["nats"] = lambda: Nats(options.nats)
    return brokers


def run_load(scenario, broker, options):
    words = scenario.load.split()
    command = [options.load, words[0], "--port", str(broker.port), "--broker-pid", str(broker.process.pid)]
    if scenario.seconds:
        seconds = 1.0 if options.quick else scenario.seconds
        command += ["--seconds", str(seconds), "--warmup", str(min(0.5, seconds / 2))]
    try:
        run = subprocess.run(command + words[1:], capture_output=True, text=True, timeout=RUN_DEADLINE_S)
    except subprocess.TimeoutExpired:
        raise Fault("the load did not end") from None
    if run.returncode != 0:
        raise Fault(run.stderr.strip() or f"the load answered {run.returncode}")
    result = json.loads(run.stdout)
    wrong = [f"{name} {result[name]}" for name in FAULTS if result.get(name)]
    if wrong:
        raise Fault(", ".join(wrong + [run.stderr.strip()]).rstrip(", "))
    return result


def run_once(scenario, make, options):
    broker = make()
    try:
        broker.start()
        result = run_load(scenario, broker, options)
        broker.stop()
        return result
    except BrokerError as problem:
        raise Fault(str(problem)) from None
    finally:
        broker.kill()


def is_disturbed(results):
    """Whether the machine was not the same in all runs of the round."""
    times = [r[k] for r in results.values() for k in ("calibration_before_us", "calibration_after_us")]
    return bool(times) and max(times) > DRIFT * min(times)


def run_round(scenario, first, options, faults):
    """The results by broker; another one begins each time. One with a fault has none."""
    brokers = brokers_for(scenario, options)
    names = list(brokers)
    names = names[first % len(names):] + names[:first % len(names)]
    results = {}
    for name in names:
        try:
            results[name] = run_once(scenario, brokers[name], options)
        except Fault as problem:
            faults.append({"scenario": scenario.name, "broker": name, "what": str(problem)})
            say(f"  {scenario.name}: {name}: {problem}")
    return results


def measure(scenario, options, faults):
    rounds, discarded = [], 0
    for number in range(options.rounds):
        for attempt in range(1 if options.quick else ATTEMPTS):
            results = run_round(scenario, number + attempt, options, faults)
            if options.keep_disturbed or not is_disturbed(results):
                rounds.append(results)
                break
            discarded += 1
    return {"scenario": scenario.name, "rounds": rounds, "discarded": discarded}


# --- the table ----------------------------------------------------------------------------------

def value_of(rounds, broker, wanted):
    values = [figure(r[broker], wanted.figure) for r in rounds if broker in r]
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def ratio_of(rounds, wanted, peer):
    """How many times better ours is, in the same round; None where one has no figure, or it is nothing."""
    ratios = []
    for r in rounds:
        ours, theirs = (figure(r.get(name, {}), wanted.figure) for name in ("ours", peer))
        if ours and theirs and ours > 0 and theirs > 0:
            ratios.append(ours / theirs if wanted.more_is_better else theirs / ours)
    return statistics.median(ratios) if ratios else None


def table_row(wanted, rounds):
    row = {"measure": wanted.title, "target": wanted.target, "target_nodelay": wanted.target_nodelay}
    row["ours"] = value_of(rounds, "ours", wanted)
    for peer in ("mosquitto", "nodelay", "nats"):
        row[peer] = value_of(rounds, peer, wanted)
        row["ratio_to_" + peer] = ratio_of(rounds, wanted, peer)
    pairs = ((row["ratio_to_mosquitto"], wanted.target), (row["ratio_to_nodelay"], wanted.target_nodelay))
    pairs = [(ratio, target) for ratio, target in pairs if target is not None]
    if not pairs:
        row["met"] = "-"
    elif any(ratio is None for ratio, _target in pairs):
        row["met"] = "?"
    else:
        row["met"] = "yes" if all(ratio >= target for ratio, target in pairs) else "NO"
    return row


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def times(value):
    return "-" if value is None else f"{value:.2f}x"


COLUMNS = (("scenario", 18), ("measure", 24), ("ours", 12), ("mosquitto", 12), ("ratio", 9), ("target", 8),
           ("nodelay", 12), ("ratio", 9), ("target", 8), ("met", 4), ("nats", 12), ("ratio", 9))


def print_line(cells):
    text = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, (_name, w)) in enumerate(zip(cells, COLUMNS))]
    print(" ".join(text).rstrip())


def print_table(measured):
    print("A ratio is how many times better our broker is in the same round; `nodelay` is mosquitto with set_tcp_nodelay.\n")
    print_line([name for name, _width in COLUMNS])
    for m in measured:
        for i, row in enumerate(m["table"]):
            print_line([m["scenario"] if i == 0 else "", row["measure"], number(row["ours"]),
                        number(row["mosquitto"]), times(row["ratio_to_mosquitto"]), times(row["target"]),
                        number(row["nodelay"]), times(row["ratio_to_nodelay"]), times(row["target_nodelay"]),
                        row["met"], number(row["nats"]), times(row["ratio_to_nats"])])


def print_rest(measured, faults):
    discarded = sum(m["discarded"] for m in measured)
    empty = [m["scenario"] for m in measured if not m["rounds"]]
    met = [row["met"] for m in measured for row in m["table"]]
    print(f"\n{met.count('yes')} targets met, {met.count('NO')} missed, {met.count('?')} without figures; {discarded} rounds "
          f"discarded because the machine's calibration drifted by more than {DRIFT - 1:.0%}")
    if empty:
        print("no undisturbed round: " + ", ".join(empty))
    for fault in faults:
        print(f"FAULT {fault['scenario']}: {fault['broker']}: {fault['what']}")


# --- the command --------------------------------------------------------------------------------

def machine():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            cpus = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    except OSError:
        cpus = []
    return {"date": time.strftime("%Y-%m-%d %H:%M:%S %z"), "kernel": platform.release(), "cpus": os.cpu_count(),
            "cpu": cpus[0] if cpus else platform.machine(), "load_average": os.getloadavg()}


def read_options(argv):
    p = argparse.ArgumentParser(prog="scripts/bench", formatter_class=argparse.RawDescriptionHelpFormatter,
                                description=__doc__, epilog="scenarios: " + " ".join(s.name for s in SCENARIOS))
    p.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="only these; all without any")
    p.add_argument("--quick", action="store_true", help="few scenarios, one short round: about a minute")
    p.add_argument("--rounds", type=int, help="rounds per scenario (3; quick: 1)")
    p.add_argument("--json", metavar="FILE", help="write all results to this file")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of our broker")
    p.add_argument("--gate", action="store_true", help="fail when a target is missed or has no figures, too")
    p.add_argument("--keep-disturbed", action="store_true", help="use all rounds, however the machine was")
    p.add_argument("--no-nats", action="store_true", help="leave nats-server out")
    p.add_argument("--load", required=True, help=argparse.SUPPRESS)
    p.add_argument("--broker", required=True, help=argparse.SUPPRESS)
    options = p.parse_args(argv)
    unknown = set(options.scenarios) - {s.name for s in SCENARIOS}
    if unknown:
        p.error("no such scenario: " + ", ".join(sorted(unknown)))
    options.rounds = options.rounds or (1 if options.quick else 3)
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    options.mosquitto = shutil.which("mosquitto", path=path)
    options.nats = None if options.no_nats or options.quick else shutil.which("nats-server", path=path)
    if not options.mosquitto:
        p.error("no mosquitto")
    return options


def chosen(options):
    if options.scenarios:
        return [s for s in SCENARIOS if s.name in options.scenarios]
    return [s for s in SCENARIOS if s.is_quick or not options.quick]


def verdict(measured, faults, options):
    if any(fault["broker"] == "ours" for fault in faults):
        return 1
    met = {row["met"] for m in measured for row in m["table"]}
    return 3 if options.gate and met & {"NO", "?"} else 0


def main(argv):
    options = read_options(argv)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # brokers and load inherit it
    measured, faults = [], []
    for scenario in chosen(options):
        say(f"{scenario.name}: {scenario.load}")
        m = measure(scenario, options, faults)
        m["table"] = [table_row(wanted, m["rounds"]) for wanted in scenario.measures]
        measured.append(m)
    about = machine()
    print(", ".join(f"{k} {v}" for k, v in about.items()))
    print_table(measured)
    print_rest(measured, faults)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump({"machine": about, "scenarios": measured, "faults": faults}, f, indent=1)
            f.write("\n")
    return verdict(measured, faults, options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
