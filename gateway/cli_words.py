"""What the verbs of the command line share: exit codes, kinds of arguments, and how an error is said."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click

from gateway.errors import ConfigError, GatewayError
from gateway.translation.language import Language, language_of

EXIT_PROBLEMS = 1
EXIT_CONFIG = 78

Directory = click.Path(exists=True, file_okay=False, path_type=Path)
ReadableFile = click.Path(exists=True, dir_okay=False, path_type=Path)
NewFile = click.Path(dir_okay=False, path_type=Path)

stand = click.option(
    "--stand",
    "stand_s",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    help="Seconds to stand in each zone of the walk.",
)


def _language(_: click.Context, __: click.Parameter, given: str | None) -> Language:
    return "de" if given == "de" else "en" if given else language_of(os.environ)


in_language = click.option(
    "--lang",
    "language",
    type=click.Choice(["en", "de"]),
    callback=_language,
    help="Default: as LC_ALL, LC_MESSAGES or LANG have it, else English.",
)


def fail(error: GatewayError, code: int) -> NoReturn:
    """Say what is wrong as an operator can use it, and leave."""
    if isinstance(error, ConfigError):
        for problem in error.problems:
            click.echo(problem.with_caret(), err=True)
        n = len(error.problems)
        click.echo(f"{n} problem{'s' if n != 1 else ''} found", err=True)
    else:
        click.echo(f"gateway: {error}", err=True)
    sys.exit(code)


def problems_exit(code: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Errors of this program become a message and `code`; all others are bugs and keep their traceback."""

    def decorate(verb: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(verb)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return verb(*args, **kwargs)
            except ConfigError as error:
                fail(error, code)
            except GatewayError as error:
                fail(error, EXIT_PROBLEMS)
            except BrokenPipeError:  # the reader of our output has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

        return guarded

    return decorate
