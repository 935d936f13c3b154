"""The interpreter of one page: runs one block per line of standard input, in one namespace.

Each line is a JSON object with `source` and `name`; the answer is a line with the traceback, or an empty string.
"""

from __future__ import annotations

import json
import os
import sys
import traceback


def main() -> None:
    """Run blocks until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what blocks print must not mix with the answers
    sys.path[0] = ""  # as in an interactive interpreter
    namespace: dict[str, object] = {"__name__": "__main__"}
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line), namespace)), file=answers, flush=True)


def run(block: dict[str, str], namespace: dict[str, object]) -> str:
    """Execute a block and give its traceback, if there is one."""
    try:
        exec(compile(block["source"], block["name"], "exec"), namespace)  # noqa: S102 - the page's own code
    except BaseException:
        return traceback.format_exc()
    return ""


if __name__ == "__main__":
    main()
