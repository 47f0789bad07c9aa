# SPDX-License-Identifier: MIT
"""No writable data in the library: no section that is both allocated and writable, but what the loader alone
relocates, and each thread's last error."""
import re
import sys

import tree

archive = sys.argv[1]
ALLOWED_THREAD_LOCAL = {"last_error"}

# Index, name, type, address, offset, size, entry size, flags.
SECTION = re.compile(r"^\s*\[\s*\d+\]\s+(\S+)\s+\S+\s+[0-9a-f]+\s+[0-9a-f]+\s+([0-9a-f]+)\s+"
                     r"[0-9a-f]+\s+([A-Za-z]*)\s")


def is_writable(name, flags):
    return "W" in flags and "A" in flags and "T" not in flags and \
        not name.startswith(".data.rel.ro")


assert is_writable(".bss", "WA") and is_writable(".data.x", "WA")
assert not is_writable(".data.rel.ro.local", "WA") and not is_writable(".rodata", "A")

wrong = []
looked_at = 0
file = ""
for line in tree.output("readelf", "-S", "-W", archive).splitlines():
    if line.startswith("File: "):
        file = line[6:]
    match = SECTION.match(line)
    if match:
        looked_at += 1
        name, size, flags = match.group(1), int(match.group(2), 16), match.group(3)
        if size > 0 and is_writable(name, flags):
            wrong.append(f"{file}: {size} bytes in {name}")
for line in tree.output("readelf", "-s", "-W", archive).splitlines():
    fields = line.split()
    if len(fields) == 8 and fields[3] == "TLS" and fields[7] not in ALLOWED_THREAD_LOCAL:
        wrong.append(f"{fields[7]}: a thread-local variable")
if wrong:
    wrong += [f"  a candidate: {obj}: {name}" for obj, name, kind in tree.archive_symbols(archive)
              if kind in "BbDdSsCV"]
tree.finish(wrong, looked_at)
