# SPDX-License-Identifier: MIT
"""same_output.py FILE PROGRAM...: fails unless the program prints exactly what the file contains."""
import difflib
import subprocess
import sys

path, command = sys.argv[1], sys.argv[2:]
made = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
with open(path, encoding="utf-8") as f:
    kept = f.read()
if made != kept:
    sys.stdout.writelines(difflib.unified_diff(kept.splitlines(True), made.splitlines(True), path, "made from the table"))
    print(f"\n{path} is stale: write the output of {command[0].rsplit('/', 1)[-1]} there.")
    sys.exit(1)
