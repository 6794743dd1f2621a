"""Help texts: what a verb does, an example that works, its flags."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

from penstock.cli.flags import Flag, flags_of
from penstock.core.settings import Settings


def help_text(
    usage: str, summary: str, examples: Sequence[str], settings: type[Settings], positional: Sequence[str] = ()
) -> str:
    """A page of help as plain text, as wide as the terminal."""
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    lines = [f"usage: {usage}", "", *textwrap.wrap(summary, width), "", "examples:"]
    lines += [f"  {example}" for example in examples]
    groups: dict[str, list[Flag]] = {}
    for flag in flags_of(settings):
        if flag.path[0] not in positional:
            groups.setdefault(flag.path[0] if len(flag.path) > 1 else "", []).append(flag)
    for group, flags in groups.items():
        lines += ["", f"{group or 'flags'}:"]
        for flag in flags:
            lines += _entry(flag, width)
    return "\n".join(lines)


def _entry(flag: Flag, width: int) -> list[str]:
    head = f"  {flag.text} {flag.metavar}".rstrip()
    said = flag.help + (f" (default: {flag.default})" if flag.default else "")
    wrapped = textwrap.wrap(said, max(width - 32, 30)) or [""]
    if len(head) > 30:
        return [head, *(" " * 32 + line for line in wrapped)]
    return [f"{head:<32}{wrapped[0]}", *(" " * 32 + line for line in wrapped[1:])]
