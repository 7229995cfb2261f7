#!/usr/bin/env python3
"""Renders what a command prints on a terminal of its own, or what a file holds that tmux captured, as an SVG that follows
the reader's colour scheme."""

import argparse
import fcntl
import html
import os
import pty
import re
import struct
import sys
import termios

# Sizes in pixels.
CHARACTER, LINE, MARGIN, BAR = 8.4, 19, 18, 34

# Class, colour on a light background, colour on a dark one.
COLOURS = {
    "31": ("red", "#cf222e", "#ff7b72"),
    "32": ("green", "#1a7f37", "#3fb950"),
    "33": ("yellow", "#9a6700", "#d29922"),
    "34": ("blue", "#0969da", "#58a6ff"),
    "35": ("magenta", "#8250df", "#bc8cff"),
    "36": ("cyan", "#1b7c83", "#39c5cf"),
    "90": ("grey", "#6e7781", "#8b949e"),
}


def run(command, columns):
    """The command's output on a terminal with this many columns."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(columns), LINES="60")
        os.environ.pop("NO_COLOR", None)
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
    output = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        output += piece
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"{command[0]} failed with {os.waitstatus_to_exitcode(status)}: {output.decode(errors='replace')}")
    return output.decode().replace("\r\n", "\n").rstrip("\n").split("\n")


def spans(line, classes):
    """The line as pairs of text and classes. The classes at its beginning become those at its end."""
    found = []
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if not part.startswith("\x1b["):
            if part:
                found.append((part, " ".join(classes)))
            continue
        for code in part[2:-1].split(";"):
            if code in ("", "0"):
                classes.clear()
            elif code == "1":
                classes.append("bold")
            elif code == "2":
                classes.append("dim")
            elif code == "7":
                classes.append("reversed")
            elif code == "39":
                classes[:] = [name for name in classes if name not in [colour[0] for colour in COLOURS.values()]]
            elif code in COLOURS:
                classes.append(COLOURS[code][0])
    return found


def style(scheme):
    """The colours of a scheme: 1 for light, 2 for dark."""
    background, text, bar = (("#ffffff", "#1f2328", "#d0d7de"), ("#0d1117", "#e6edf3", "#30363d"))[scheme - 1]
    rules = [f".back{{fill:{background};stroke:{bar}}}text{{fill:{text}}}.dim{{opacity:.65}}.title{{opacity:.65}}"]
    rules += [f".bar{{fill:{text};opacity:.9}}"]
    rules += [f".{colour[0]}{{fill:{colour[scheme]}}}" for colour in COLOURS.values()]
    # The last, since it stands for the colour as well.
    rules.append(f".reversed{{fill:{background}}}")
    return "".join(rules)


def svg(lines, columns, title):
    """The picture of these lines."""
    width = round(columns * CHARACTER + 2 * MARGIN)
    height = round(len(lines) * LINE + BAR + MARGIN)
    font = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{html.escape(title)}">',
        f"<style>text{{font:14px {font};white-space:pre}}.bold{{font-weight:600}}{style(1)}"
        f"@media(prefers-color-scheme:dark){{{style(2)}}}</style>",
        f'<rect class="back" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>',
        f'<text class="title" x="{width / 2}" y="22" text-anchor="middle">{html.escape(title)}</text>',
    ]
    state = []
    for number, line in enumerate(lines):
        column, pieces = 0, []
        for text, classes in spans(line, state):
            if "reversed" in classes:
                place = f'x="{MARGIN + column * CHARACTER:.1f}" y="{BAR + number * LINE}"'
                parts.append(f'<rect class="bar" {place} width="{len(text) * CHARACTER:.1f}" height="{LINE}"/>')
            if text.strip():
                name = f' class="{classes}"' if classes else ""
                length = f' textLength="{len(text) * CHARACTER:.1f}"'
                pieces.append(f'<tspan x="{MARGIN + column * CHARACTER:.1f}"{length}{name}>{html.escape(text)}</tspan>')
            column += len(text)
        if pieces:
            parts.append(f'<text y="{BAR + (number + 1) * LINE - 5}">{"".join(pieces)}</text>')
    return "\n".join(parts) + "\n</svg>\n"


def main():
    """Reads the options and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--title", default="")
    parser.add_argument("--output", required=True)
    parser.add_argument("--input", help="what tmux captured, instead of a command")
    parser.add_argument("command", nargs="*")
    options = parser.parse_args()
    if options.input:
        with open(options.input, encoding="utf-8") as file:
            lines = file.read().rstrip("\n").split("\n")
    else:
        lines = run(options.command, options.columns)
    with open(options.output, "w", encoding="utf-8") as file:
        file.write(svg(lines, options.columns, options.title))


main()
