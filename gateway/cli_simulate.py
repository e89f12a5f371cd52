"""`gateway simulate …`: recordings of simulated scenes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gateway.cli_words import EXIT_PROBLEMS, Directory, NewFile, problems_exit, stand


@click.group()
def simulate() -> None:
    """Write a recording of a simulated scene on a map."""


def _scene(verb: Callable[..., None]) -> Callable[..., None]:
    """The options that every scene has."""
    for option in (
        click.option("--minutes", type=click.FloatRange(0, min_open=True), default=30.0, show_default=True),
        click.option("--seed", default=1, show_default=True),
        click.option("--out", type=NewFile, required=True, help="The recording, .jsonl or .jsonl.gz."),
        click.option("--config", "directory", type=Directory, required=True, help="Directory of the map."),
    ):
        verb = option(verb)
    return verb


@simulate.command("store")
@_scene
@click.option("--walk", type=NewFile, help="Write the calibration walk of the same store as well.")
@stand
@click.option(
    "--foreign", type=click.IntRange(0), default=8, show_default=True, help="Phones that nobody enrolled."
)
@click.option("--outside", type=click.IntRange(0), default=0, help="People who walk past beside the store.")
@click.option(
    "--drift",
    "drift_db",
    type=click.FloatRange(0),
    default=0.0,
    help="Spread in dB of the receivers' levels since the walk.",
)
@click.option("--dead", multiple=True, metavar="RECEIVER", help="Hears nothing in the second half.")
@click.option("--will", is_flag=True, help="Dead receivers say so, by their last will.")
@problems_exit(EXIT_PROBLEMS)
def simulate_store(directory: Path, out: Path, **options: Any) -> None:
    """Shoppers between the shelves, with labels that say where they stand, and what goes wrong in a store.

    Example: gateway simulate store --config config/store --out monday.jsonl.gz --walk walk.jsonl.gz
    """
    from gateway.sim.store import Trouble
    from gateway.verbs import simulate as session

    trouble = Trouble(*(options.pop(name) for name in ("outside", "drift_db", "dead", "will")))
    if trouble.will and not trouble.dead:
        raise click.UsageError("--will is of receivers that die: name them with --dead")
    session.write_store(directory, out, trouble=trouble, **options)


@simulate.command("demo")
@_scene
@problems_exit(EXIT_PROBLEMS)
def simulate_demo(directory: Path, out: Path, seed: int, minutes: float) -> None:
    """The shop and the cars of `gateway demo`.

    Example: gateway simulate demo --config config/demo --out demo.jsonl.gz
    """
    from gateway.verbs import simulate as session

    session.write("demo", directory, out, seed=seed, duration_s=minutes * 60)


@simulate.command("drives")
@_scene
@click.option("--truth", type=NewFile, help="What each car really did at each fence, as JSON Lines.")
@click.option("--every", "every_s", default=90.0, show_default=True, help="Seconds between two cars.")
@click.option("--interval", "interval_s", type=click.FloatRange(0.1), multiple=True, default=(1.0,),
              help="Seconds between two fixes, 1 if not given; several: each car has one.")  # fmt: skip
@click.option("--late", type=click.FloatRange(0, 1), default=0.0, help="Share of fixes that come late.")
@problems_exit(EXIT_PROBLEMS)
def simulate_drives(directory: Path, out: Path, **options: Any) -> None:
    """Cars that visit, stop briefly, drive by, crawl past or wait at a red light, with their truth.

    Example: gateway simulate drives --config config/store --out cars.jsonl.gz --truth truth.jsonl
    """
    from gateway.verbs import simulate as session

    session.write_drives(directory, out, **options)
