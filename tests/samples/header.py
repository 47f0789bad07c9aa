# SPDX-License-Identifier: MIT
"""header.py API_DIR CC CXX: the public headers, each alone, in C99, C11, C17 and C++17, at the strictest level without a warning."""
import os
import subprocess
import sys
import tempfile

GCC = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wundef", "-Wcast-qual", "-Wcast-align",
       "-Wpadded", "-Wwrite-strings", "-Wswitch-enum", "-Wredundant-decls", "-Wdouble-promotion", "-Wformat=2"]
GCC_C = ["-Wstrict-prototypes", "-Wmissing-prototypes", "-Wold-style-definition", "-Wbad-function-cast", "-Wc++-compat"]
GCC_CXX = ["-Wold-style-cast", "-Wuseless-cast", "-Wzero-as-null-pointer-constant", "-Wextra-semi"]
CLANG = ["-Weverything", "-Wno-unknown-warning-option", "-Wno-unsafe-buffer-usage", "-Wno-declaration-after-statement",
         "-Wno-pre-c11-compat", "-Wno-documentation", "-Wno-documentation-unknown-command"]
CLANG_CXX = ["-Wno-c++98-compat", "-Wno-c++98-compat-pedantic"]


def is_clang(compiler):
    return "clang" in subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout


def warnings(compiler, cxx):
    if is_clang(compiler):
        return CLANG + (CLANG_CXX if cxx else [])
    return GCC + (GCC_CXX if cxx else GCC_C)


def main():
    api, cc, cxx = sys.argv[1:4]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for header in sorted(h for h in os.listdir(api) if h.endswith(".h")):
            for standard in ["c99", "c11", "c17", "c++17"]:
                is_cxx = "++" in standard
                source = os.path.join(folder, "include." + ("cc" if is_cxx else "c"))
                with open(source, "w", encoding="utf-8") as f:
                    f.write(f"#include <{header}>\n#include <{header}>\nint main({'' if is_cxx else 'void'})\n{{\n    return 0;\n}}\n")
                compiler = cxx if is_cxx else cc
                command = [compiler, "-std=" + standard, "-Werror", "-fsyntax-only", "-I", api, *warnings(compiler, is_cxx), source]
                result = subprocess.run(command, capture_output=True, text=True, timeout=60)
                if result.returncode != 0:
                    bad += 1
                    print(f"{header} as {standard}:\n{result.stderr}")
    sys.exit(1 if bad else 0)


main()
