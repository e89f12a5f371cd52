"""The command line described from itself, for docs/cli.md."""

from __future__ import annotations

from collections.abc import Iterator

import click

from gateway.cli import main

HEAD = """\
# Command line

Results go to standard output, everything else to standard error. `python -m gateway` does the same.

| exit code | meaning |
|---|---|
| 0 | fine |
| 1 | problems found |
| 2 | usage |
| 78 | `run` with a bad configuration |
"""


def command_reference() -> str:
    """Markdown: every verb with its help, in the order of the alphabet."""
    return HEAD + "".join(f"\n## {path}\n\n```\n{text}\n```\n" for path, text in _verbs(main, "gateway"))


def _verbs(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
    names = main.context_settings["help_option_names"]  # whatever a parse has cached before
    context = click.Context(
        command, info_name=path, terminal_width=100, max_content_width=100, help_option_names=names
    )
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _verbs(command.commands[name], f"{path} {name}")
    else:
        yield path, command.get_help(context)
