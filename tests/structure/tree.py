# SPDX-License-Identifier: MIT
"""The files of the tree, what binutils say of an archive, and how a structure test ends."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
C_ENDINGS = (".c", ".h", ".cc", ".hpp", ".cpp")


def files():
    """Tracked files, relative to the root; without git (a release archive) all that are not built."""
    try:
        out = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
        names = out.stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = []
        for folder, inner, found in os.walk(ROOT):
            inner[:] = [d for d in inner if d not in ("build", "__pycache__") and d[0] != "."]
            names += [os.path.relpath(os.path.join(folder, f), ROOT) for f in found]
    return sorted(n for n in names if n and os.path.isfile(os.path.join(ROOT, n)))


def c_files(*folders):
    return [f for f in files() if f.endswith(C_ENDINGS) and
            (not folders or f.split("/")[0] in folders)]


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as f:
        return f.read()


def output(*command):
    run = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, LC_ALL="C"))
    if run.returncode != 0:
        sys.exit(run.stderr)
    return run.stdout


def archive_symbols(archive):
    """(object, symbol, type letter of nm) of every symbol in an archive."""
    current = ""
    for line in output("nm", archive).splitlines():
        if line.endswith(":") and " " not in line:
            current = line[:-1]
        match = re.match(r"^[0-9a-f ]{16} (\S) (\S+)$", line)
        if match:
            yield current, match.group(2), match.group(1)


def finish(problems, looked_at):
    """A test that has looked at nothing has not passed."""
    for p in problems:
        print(p)
    print(f"{looked_at} looked at, {len(problems)} wrong")
    sys.exit(1 if problems or looked_at == 0 else 0)
