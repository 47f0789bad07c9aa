# SPDX-License-Identifier: MIT
"""Functions of at most 70 lines, files of at most 800, in all that is installed or loaded."""
import tree

FUNCTION_LINES = 70
FILE_LINES = 800


def functions(text):
    """(first line, lines) of every function body: the formatter puts its braces into the first column."""
    start = None
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            yield start, number - start - 1
            start = None


assert list(functions("int f(void)\n{\n    a();\n    b();\n}\n")) == [(2, 2)]

wrong = []
looked_at = 0
for f in tree.c_files("core", "plugins", "samples"):
    text = tree.read(f)
    if text.count("\n") > FILE_LINES:
        wrong.append(f"{f}: {text.count(chr(10))} lines")
    for line, length in functions(text):
        looked_at += 1
        if length > FUNCTION_LINES:
            wrong.append(f"{f}:{line}: a function of {length} lines")
tree.finish(wrong, looked_at)
