# SPDX-License-Identifier: MIT
"""Installs into a folder of its own, then builds and runs a small host against what is there: by pkg-config and by
find_package, with the shared and the static library, in C and in C++, with every warning an error."""
import os
import shlex
import subprocess
import sys
import tempfile

import tree

build, cc, cxx = sys.argv[1:4]

PROGRAM = """#include <mqttbroker.h>
#include <stddef.h>
int main(void)
{
    return mqb_version() != 0 && mqb_strerror(0) != NULL ? 0 : 1;
}
"""
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
C_FLAGS = ["-std=c11", "-Wconversion", "-Wstrict-prototypes", *WARNINGS]
CXX_FLAGS = ["-std=c++17", "-Wconversion", "-Wold-style-cast", "-x", "c++", *WARNINGS]
PROJECT = """cmake_minimum_required(VERSION 3.25)
project(host C)
find_package(mqttbroker REQUIRED)
add_executable(shared host.c)
target_link_libraries(shared PRIVATE mqttbroker::mqttbroker)
add_executable(static host.c)
target_link_libraries(static PRIVATE mqttbroker::static)
"""
wrong = []
done = 0


def step(what, *command, **env):
    """Runs a command; its failure is one line of the report and its output."""
    global done
    done += 1
    run = subprocess.run(command, capture_output=True, text=True, timeout=100,
                         env=dict(os.environ, **env))
    if run.returncode != 0:
        wrong.append(f"{what}: {shlex.join(command)}\n{run.stdout}{run.stderr}")
    return run.stdout if run.returncode == 0 else None


def found(folder, name):
    return next((f for f, _, names in os.walk(folder) if name in names), folder)


def by_pkg_config(work, prefix, source):
    env = {"PKG_CONFIG_PATH": found(prefix, "mqttbroker.pc")}
    lib = found(prefix, "libmqttbroker.so")
    flags = shlex.split(step("pkg-config", "pkg-config", "--cflags", "--libs", "mqttbroker", **env) or "")
    static = shlex.split(
        step("pkg-config", "pkg-config", "--cflags", "--libs", "--static", "mqttbroker", **env) or "")
    static = [os.path.join(lib, "libmqttbroker.a") if f == "-lmqttbroker" else f for f in static]
    for name, compiler, own, libs in (("c", cc, C_FLAGS, flags), ("c-static", cc, C_FLAGS, static),
                                      ("cpp", cxx, CXX_FLAGS, flags)):
        program = os.path.join(work, name)
        tail = ["-x", "none", *libs] if own is CXX_FLAGS else libs
        if step(name, compiler, *own, source, *tail, "-o", program) is not None:
            step(name, program, LD_LIBRARY_PATH="" if name == "c-static" else lib)


def by_find_package(work, prefix):
    out = os.path.join(work, "build")
    with open(os.path.join(work, "CMakeLists.txt"), "w") as f:
        f.write(PROJECT)
    if step("configure", "cmake", "-S", work, "-B", out, "-G", "Ninja", f"-DCMAKE_C_COMPILER={cc}",
            f"-DCMAKE_PREFIX_PATH={prefix}") is not None and \
            step("build", "cmake", "--build", out) is not None:
        step("run", os.path.join(out, "shared"))
        step("run", os.path.join(out, "static"))


with tempfile.TemporaryDirectory() as work:
    prefix = os.path.join(work, "prefix")
    source = os.path.join(work, "host.c")
    with open(source, "w") as f:
        f.write(PROGRAM)
    if step("install", "cmake", "--install", build, "--prefix", prefix) is not None:
        by_pkg_config(work, prefix, source)
        by_find_package(work, prefix)
tree.finish(wrong, done)
