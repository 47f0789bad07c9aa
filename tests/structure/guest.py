# SPDX-License-Identifier: MIT
"""A library is a guest in its host's process: what it may not call. Memory comes from the host's allocator, so
malloc and its relatives appear in base/alloc.c alone."""
import re
import subprocess
import sys

import tree

NEVER = {
    "exit", "_exit", "quick_exit", "abort", "atexit", "signal", "sigaction", "sigprocmask", "chdir", "fork",
    "vfork", "system", "popen", "umask", "setlocale", "setenv", "putenv", "printf", "puts", "putchar", "perror",
    "stdout", "stderr", "stdin", "strtok", "rand", "srand", "localtime", "gmtime", "asctime", "ctime",
    "setuid", "setgid", "sleep", "usleep", "nanosleep",
}
MEMORY = {"malloc", "calloc", "realloc", "free", "strdup", "strndup", "asprintf", "vasprintf",
          "getline", "reallocarray", "posix_memalign", "aligned_alloc"}
MAY_ALLOCATE = {"alloc.c.o"}


def undefined(archive):
    """(object, symbol) of what each object needs from outside."""
    current = ""
    for line in tree.output("nm", "--undefined-only", archive).splitlines():
        if line.endswith(":") and " " not in line:
            current = line[:-1]
        match = re.match(r"^\s+[Uw] (\w+)", line)
        if match:
            yield current, re.sub(r"^__(\w+)_chk$", r"\1", match.group(1))


wrong = []
looked_at = 0
for obj, name in undefined(sys.argv[1]):
    looked_at += 1
    if name in NEVER:
        wrong.append(f"{obj}: {name}: not in a host's process")
    if name in MEMORY and obj not in MAY_ALLOCATE:
        wrong.append(f"{obj}: {name}: memory comes from struct alloc")
tree.finish(wrong, looked_at)
