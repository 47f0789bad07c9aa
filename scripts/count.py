# SPDX-License-Identifier: MIT
"""Counts what scripts/test has run: the entries of its JUnit files, a pytest run inside an entry by its own closing
line, and a step that did not come to its tests as one failure. Prints "N passed, N failed"; answers 1 on a failure."""
import glob
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

folder = sys.argv[1]
PYTEST = re.compile(r"^(?:=+ )?((?:\d+ \w+(?:, )?)+) in [\d.]+s", re.M)


def pytest_counts(output):
    """(passed, failed) of the last closing line of pytest in there, or None."""
    lines = PYTEST.findall(output)
    if not lines:
        return None
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", lines[-1])}
    return counts.get("passed", 0), sum(counts.get(w, 0) for w in ("failed", "error", "errors"))


assert pytest_counts("..\n3 passed, 1 failed in 0.5s\n") == (3, 1)
assert pytest_counts("[  PASSED  ] 3 tests.") is None

passed = failed = 0
broken = []
for path in sorted(glob.glob(os.path.join(folder, "*.xml"))):
    preset = os.path.basename(path)[:-len(".xml")]
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        status = case.get("status")
        if status in ("disabled", "notrun") and case.find("skipped") is not None:
            continue
        good = status == "run"
        counts = pytest_counts(case.findtext("system-out") or "")
        if counts:
            passed += counts[0]
            failed += max(counts[1], 0 if good else 1)
        else:
            passed += good
            failed += not good
        if not good:
            broken.append(f"{preset}: {case.get('name')}")
try:
    with open(os.path.join(folder, "broken"), encoding="utf-8") as f:
        for line in f:
            failed += 1
            broken.append(line.strip())
except FileNotFoundError:
    pass
for b in broken:
    print("FAILED", b)
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or passed == 0 else 0)
