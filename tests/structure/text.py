# SPDX-License-Identifier: MIT
"""Every source file says its licence; nothing is left to do; no path of one machine."""
import os
import re

import tree

ENDINGS = tree.C_ENDINGS + (".py", ".js", ".sh", ".cmake", ".map", ".cfg", ".conf", ".toml")
NAMES = {"CMakeLists.txt", ".clang-format", ".gitignore"}
LATER = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
HOME = re.compile(r"(?<![\w.])/(work|home|root)/\w")


def is_source(name, text):
    return name.endswith(ENDINGS) or os.path.basename(name) in NAMES or text.startswith("#!")


def problems(name, text):
    if "SPDX-License-Identifier: MIT" not in "\n".join(text.splitlines()[:3]):
        yield f"{name}: no SPDX line at the top"
    if LATER.search(text):
        yield f"{name}: {LATER.search(text).group(0)}"
    if HOME.search(text):
        yield f"{name}: an absolute path: {HOME.search(text).group(0)}"
    if text and not text.endswith("\n"):
        yield f"{name}: no newline at the end"


assert len(list(problems("x.c", "int x; /* TO" "DO */"))) == 3

wrong = []
looked_at = 0
for f in tree.files():
    text = tree.read(f)
    if is_source(f, text):
        looked_at += 1
        wrong += problems(f, text)
tree.finish(wrong, looked_at)
