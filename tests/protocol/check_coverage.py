#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails when a normative statement that a server can break is named by no test and by no reason.

A test names statements in its name: test_MQTT_3_1_4_3_... names MQTT-3.1.4-3, and a name may hold
several. Files test_v5_* speak of MQTT 5.0, test_v311_* of 3.1.1. normative/not_testable.tsv holds
what cannot be seen from outside, with the reason; an entry there that a test names after all is a
fault too.
"""

import ast
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
VERSIONS = {"5.0": ("mqtt5.tsv", "test_v5_*.py"), "3.1.1": ("mqtt311.tsv", "test_v311_*.py")}


def rows(path):
    """The tab-separated lines of a file, without comments."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


def spelled(statement):
    """MQTT-3.1.4-3 as it stands in the name of a test."""
    return re.sub(r"[-.]", "_", statement)


def test_names(pattern):
    """(name, docstring, file) of every test in the files that match."""
    for path in sorted(HERE.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield node.name, ast.get_docstring(node), path.name


def check(version, faults):
    table, pattern = VERSIONS[version]
    statements = {row[0]: row for row in rows(HERE / "normative" / table)}
    by_spelling = {spelled(one): one for one in statements}
    named = set()
    for name, docstring, file in test_names(pattern):
        if not docstring:
            faults.append(f"{file}: {name} has no docstring")
        for text in re.findall(r"MQTT_(?:\d+_)+\d+", name):
            if text not in by_spelling:
                faults.append(f"{file}: {name} names {text}, which MQTT {version} does not have")
            named.add(by_spelling.get(text))
    excused = {}
    for number, statement, reason in rows(HERE / "normative" / "not_testable.tsv"):
        if number == version:
            excused[statement] = reason
            if statement not in statements:
                faults.append(f"not_testable.tsv: MQTT {version} has no {statement}")
            elif statement in named:
                faults.append(f"not_testable.tsv: MQTT {version} {statement} is tested")
    needed = [one for one, row in statements.items() if row[2] != "client"]
    for one in needed:
        if one not in named and one not in excused:
            faults.append(f"MQTT {version} {one}: no test names it: {statements[one][1]}")
    print(
        f"MQTT {version}: {len(needed)} statements a server can break, {len(excused)} not testable"
    )


def main():
    faults = []
    for version in VERSIONS:
        check(version, faults)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
