# SPDX-License-Identifier: MIT
"""libmqttbroker.so exports exactly what api/mqttbroker.h declares with MQB_API, and lacks nothing of its own."""
import os
import re
import sys

import tree

HEADER = "api/mqttbroker.h"
if not os.path.exists(os.path.join(tree.ROOT, HEADER)):
    print("no public header yet")
    sys.exit(77)


def declared(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"^\s*#(?:.*\\\n)*.*$", " ", text, flags=re.M)
    return {re.search(r"\b(mqb_\w+)\s*\(", d).group(1)
            for d in re.findall(r"\bMQB_API\b([^;]*);", text)}


assert declared("MQB_API const char *mqb_a(int (*fn)(void)); int mqb_b(void);") == {"mqb_a"}

wanted = declared(tree.read(HEADER))
found = set()
missing_inside = []
for line in tree.output("nm", "-D", sys.argv[1]).splitlines():
    fields = line.split()
    name = fields[-1].split("@")[0]
    if fields[-2] == "U" or fields[-2] == "w":
        if name.startswith(("mqb_", "mqbx_")):
            missing_inside.append(f"{name}: used and not defined")
    elif fields[-2] != "A":
        found.add(name)
wrong = [f"{n}: declared and not exported" for n in sorted(wanted - found)]
wrong += [f"{n}: exported and not declared" for n in sorted(found - wanted)]
tree.finish(wrong + missing_inside, len(found))
