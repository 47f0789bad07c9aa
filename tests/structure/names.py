# SPDX-License-Identifier: MIT
"""Whatever can be linked is called mqb_ (public) or mqbx_ (internal)."""
import sys

import tree

wrong = []
looked_at = 0
for obj, name, kind in tree.archive_symbols(sys.argv[1]):
    if kind.isupper() and kind not in "U":
        looked_at += 1
        if not name.startswith(("mqb_", "mqbx_")):
            wrong.append(f"{obj}: {name}")
tree.finish(wrong, looked_at)
