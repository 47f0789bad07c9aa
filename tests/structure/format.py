# SPDX-License-Identifier: MIT
"""All C and C++ files are as clang-format leaves them."""
import os
import re
import subprocess

import tree

names = tree.c_files()
paths = [os.path.join(tree.ROOT, n) for n in names]
run = subprocess.run(["clang-format", "--dry-run", "-Werror", *paths], capture_output=True,
                     text=True, cwd=tree.ROOT)
differing = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", run.stderr, re.M)))
wrong = [os.path.relpath(d, tree.ROOT) + ": run clang-format -i" for d in differing]
if run.returncode != 0 and not wrong:
    wrong = [run.stderr]
tree.finish(wrong, len(names))
