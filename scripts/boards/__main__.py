"""Writes the boards in boards/ from the panels in this folder.

Usage: python3 scripts/boards            write the boards
       python3 scripts/boards --check    fail if a committed board differs

Needs nothing except Python 3.9.
"""

import json
import sys
from pathlib import Path

# Leaves no cache in the repository.
sys.dont_write_bytecode = True

import events
import signoz
import usage

BOARDS = {
    "grafana/usage.json": usage.board,
    "grafana/events.json": events.board,
    "signoz/claude-code.json": signoz.board,
}


def main(arguments):
    if arguments not in ([], ["--check"]):
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    folder = Path(__file__).resolve().parents[2] / "boards"
    different = []
    for name, board in BOARDS.items():
        path, text = folder / name, json.dumps(board(), indent=1, ensure_ascii=False) + "\n"
        if arguments == ["--check"]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                different.append(name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in different:
        print(f"boards: boards/{name} differs from what `python3 scripts/boards` writes", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
