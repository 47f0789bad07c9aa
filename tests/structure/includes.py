# SPDX-License-Identifier: MIT
"""No #include points upward; the pure layers see the C standard library alone; plugins and samples see only api/."""
import re

import tree

BELOW = {
    "base": ["base"],
    "mqtt": ["base", "mqtt"],
    "engine": ["base", "mqtt", "engine"],
    "plugin": ["base", "mqtt", "engine", "plugin"],
    "io": ["base", "mqtt", "engine", "io"],
    "broker": ["base", "mqtt", "engine", "plugin", "io", "broker"],
}
API = {"mqttbroker.h", "mqttbroker_plugin.h"}
SEES_API = {"engine", "plugin", "io", "broker"}
PURE = {"mqtt", "engine"}
C_STANDARD = {"assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h", "stdalign.h", "stdarg.h",
              "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def core_problem(layer, quote, name):
    """Why core/LAYER may not include NAME; None when it may."""
    first = name.split("/")[0]
    if quote == '"':
        if name in API:
            return "write <" + name + ">"
        if "/" not in name or first not in BELOW:
            return "includes are written relative to core/"
        return None if first in BELOW[layer] else f"points upward, from {layer} to {first}"
    if name in API:
        return None if layer in SEES_API else f"{layer} does not know the public API"
    if layer in PURE and name not in C_STANDARD:
        return f"{layer} is pure: no system header"
    return None


def outside_problem(quote, name):
    """For plugins and samples: their own folder, api/, the system."""
    if quote == '"' and (name.split("/")[0] in BELOW or ".." in name):
        return "reaches into the library"
    return None


def problem(file, quote, name):
    parts = file.split("/")
    if parts[0] == "core":
        return core_problem(parts[1], quote, name)
    if parts[0] == "api":
        return None if quote == "<" or name in API else "an installed header includes no other"
    return outside_problem(quote, name)


assert core_problem("mqtt", '"', "engine/engine.h")
assert core_problem("base", "<", "mqttbroker.h")
assert core_problem("engine", "<", "uv.h")
assert core_problem("io", '"', "plugin/host.h")
assert not core_problem("broker", '"', "io/loop.h")
assert outside_problem('"', "base/list.h")

wrong = []
looked_at = 0
for f in tree.c_files("core", "api", "plugins", "samples"):
    for quote, name in INCLUDE.findall(tree.read(f)):
        looked_at += 1
        why = problem(f, quote, name)
        if why:
            wrong.append(f"{f}: {name}: {why}")
tree.finish(wrong, looked_at)
