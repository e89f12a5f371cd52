"""The verbs of `gateway outbox`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click

from gateway.cli_words import EXIT_PROBLEMS, Directory, problems_exit

_config = click.option(
    "--config", "directory", type=Directory, required=True, help="Directory of the YAML files."
)


@click.group()
def outbox() -> None:
    """What waits to be delivered, and to whom."""


@outbox.command()
@_config
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@problems_exit(EXIT_PROBLEMS)
def status(directory: Path, as_json: bool) -> None:
    """How much waits for each recipient, for how long, and whether its link is up.

    Asks the running gateway, or opens the store itself where none runs.
    Example: gateway outbox status --config /etc/gateway
    """
    from gateway.verbs import outbox as session

    session.status(directory, as_json=as_json, say=click.echo)


@outbox.command()
@_config
@click.option("--recipient", "recipients", multiple=True, help="Only this one; default: all of gateway.yaml.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0), default=60.0, show_default=True,
              help="Seconds.")  # fmt: skip
@problems_exit(EXIT_PROBLEMS)
def drain(directory: Path, recipients: tuple[str, ...], timeout_s: float) -> None:
    """Wait until all that is queued now has left and is acknowledged, as before a card is changed.

    The gateway goes on meanwhile; what happens later is not waited for. Exits with 1 when something still
    waits at the end of the time. Example: gateway outbox drain --config /etc/gateway --timeout 300
    """
    from gateway.verbs import outbox as session

    tell = partial(click.echo, err=True)
    done = session.drain(directory, recipients, timeout_s, say=click.echo, tell=tell)
    sys.exit(0 if done else EXIT_PROBLEMS)
