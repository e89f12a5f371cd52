"""The command line: `gateway VERB`. Results go to standard output, everything else to standard error.

Exit codes: 0 fine, 1 problems found, 2 usage; `run` with a bad configuration 78 (EX_CONFIG of sysexits.h).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from gateway import __version__, logs
from gateway.cli_consent import consent
from gateway.cli_outbox import outbox
from gateway.cli_simulate import simulate
from gateway.cli_words import (
    EXIT_CONFIG,
    EXIT_PROBLEMS,
    Directory,
    NewFile,
    ReadableFile,
    in_language,
    problems_exit,
    stand,
)
from gateway.translation.language import Language

_log = click.option(
    "--log", "log_form", type=click.Choice(logs.FORMS), default="text", show_default=True,
    help="json: one object a line. Under systemd text has the journal's priorities.",
)  # fmt: skip


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from gateway.core.form import core_form

        click.echo(f"gateway {__version__}, core: {core_form()}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
              help="Show the version, and which core runs, and exit.")  # fmt: skip
def main() -> None:
    """The presence gateway: BLE and vehicle signals in, consented presence events out."""


@main.command()
@click.option("--config", "directory", type=Directory, required=True, help="Directory of the YAML files.")
@click.option("--clock", metavar="START,RATE", help="Simulated time, e.g. 2025-12-22T08:00:00Z,20.")
@_log
@problems_exit(EXIT_CONFIG)
def run(directory: Path, clock: str | None, log_form: logs.Form) -> None:
    """Run the daemon until SIGTERM or SIGINT.

    Example: gateway run --config /etc/gateway
    """
    from gateway import assembly, daemon, lastmap
    from gateway.review.secrets import require

    pipeline_clock = _clock(clock)
    logs.begin(log_form)
    configuration = lastmap.read_or_last(directory, logging.getLogger("gateway.map").error)
    if configuration.own is not None:
        require(configuration.own)
    keys = assembly.keys_of(configuration.settings)
    assembled = assembly.assemble(configuration, keys)
    asyncio.run(daemon.run(assembled, configuration, pipeline_clock))


@main.command()
@problems_exit(EXIT_PROBLEMS)
def demo() -> None:
    """Show the whole path: a simulated store and car park, a real broker, the real daemon.

    Needs no radio, no broker and no root. Example: gateway demo
    """
    from gateway.demo import demo as show

    sys.exit(asyncio.run(show(sys.stdout)))


@main.command()
@click.argument("directory", type=Directory, default=Path())
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@in_language
@problems_exit(EXIT_PROBLEMS)
def check(directory: Path, as_json: bool, language: Language) -> None:
    """Check every file of a configuration and name all problems in one run.

    A problem keeps the gateway from starting; a warning does not, and exits with 0.
    Example: gateway check config/store
    """
    gc.disable()  # nothing that so short a life makes is garbage before its end; it saves a seventh
    try:
        from gateway.verbs import check as session

        tell = partial(click.echo, err=True)
        fine = session.check(directory, as_json=as_json, language=language, say=click.echo, tell=tell)
    finally:
        gc.enable()
    sys.exit(0 if fine else EXIT_PROBLEMS)


@main.command()
@click.option("--config", "directory", type=Directory, required=True, help="Directory of the YAML files.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@in_language
@problems_exit(EXIT_PROBLEMS)
def reload(directory: Path, as_json: bool, language: Language) -> None:
    """Have the running gateway take over its map, keys, deny-list and consent file.

    A map with problems changes nothing; stays in zones that did not change go on. As SIGHUP, but answers.
    Example: gateway reload --config /etc/gateway
    """
    from gateway.verbs import reload as session

    done = session.reload(
        directory, as_json=as_json, language=language, say=click.echo, tell=partial(click.echo, err=True)
    )
    sys.exit(0 if done else EXIT_PROBLEMS)


@main.command()
@click.argument("subject")
@click.option("--config", "directory", type=Directory, required=True, help="Directory of the YAML files.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@problems_exit(EXIT_PROBLEMS)
def why(subject: str, directory: Path, as_json: bool) -> None:
    """Why the running gateway says what it says of one subject now, and who may know.

    Of an earlier moment: `gateway replay --explain`. It is noted in the audit log.
    Example: gateway why card-1234 --config /etc/gateway
    """
    from gateway.verbs import why as session

    session.why(subject, directory, as_json=as_json, say=click.echo)


@main.command()
@click.option("--out", "folder", type=Directory, help="Write the schema files here; default: print them.")
def schema(folder: Path | None) -> None:
    """The JSON Schemas of the YAML files, for completion in an editor.

    Example: gateway schema --out config/schema
    """
    from gateway.verbs.schema import every_schema

    for name, text in every_schema().items():
        if folder is None:
            click.echo(text)
        else:
            (folder / name).write_text(text)


@main.command()
@click.option("--config", "directory", type=Directory, required=True, help="Directory of the YAML files.")
@click.option("--out", type=NewFile, required=True, help="New file, .jsonl or .jsonl.gz, mode 0600.")
@click.option(
    "--survey", metavar="ID", multiple=True, help="Record this device instead of the enrolled ones."
)
@click.option("--max-mb", type=click.IntRange(1), default=256, show_default=True)
@click.option("--max-hours", type=click.FloatRange(0, min_open=True), default=24.0, show_default=True)
@click.option(
    "--rolling", is_flag=True, help="Drop the oldest instead of ending when full or over the hours."
)
@problems_exit(EXIT_PROBLEMS)
def record(  # noqa: PLR0917 - click passes them by name
    directory: Path, out: Path, survey: tuple[str, ...], max_mb: int, max_hours: float, rolling: bool
) -> None:
    """Record what is heard of enrolled devices, and of nobody else, until stopped or full.

    With --rolling the last hours are always there, for `replay --against` before a change; started again, it
    goes on with the same file.
    Example: gateway record --config /etc/gateway --out monday.jsonl.gz
    """
    from gateway.verbs import record as session

    logs.begin()
    limits = session.Limits(max_bytes=max_mb << 20, max_s=max_hours * 3600, rolling=rolling)
    lines = asyncio.run(session.record(directory, out, survey, limits))
    click.echo(f"{out}: {lines} lines", err=True)


@main.command()
@click.argument("recording", type=ReadableFile)
@click.option("--config", "directory", type=Directory, help="Default: `config` beside the recording.")
@click.option("--stage", type=click.Choice(["presence", "release"]), help="What to print; default release.")
@click.option("--all-devices", is_flag=True, help="Every device is a subject; stops before consent.")
@click.option("--device-class", type=click.Choice(["phone", "store_tag"]), help="Instead of the map's.")
@click.option("--speed", default="max", show_default=True, help="A factor of real time, or max.")
@click.option("--tail", "tail_s", type=click.FloatRange(0), default=300.0, show_default=True,
              help="Seconds that timers run on at the end.")  # fmt: skip
@click.option("--reorder", type=click.Choice(["hold"]),
              help="hold: wait 30 s for late fixes and decide in the order of their times.")  # fmt: skip
@click.option("--out", type=NewFile, help="Write here instead of standard output.")
@click.option("--against", type=Directory, help="Print what differs from a run with this configuration.")
@click.option("--explain", metavar="SUBJECT", help="Tell the story of each event of this subject.")
@click.option("--at", metavar="TIME", help="With --explain: the state at such a time, as 09:30:00.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, with --against or --explain.")
@click.option("--publish", metavar="HOST:PORT", help="Put the signals on this broker instead (loopback).")
@problems_exit(EXIT_PROBLEMS)
def replay(recording: Path, directory: Path | None, **options: Any) -> None:
    """Run a recording through the real pipeline: signals in, events out.

    With --against: which events a change adds, removes or moves, before it goes live. With --explain: why
    one subject was said to be somewhere, and to whom.
    Example: gateway replay monday.jsonl.gz --config new --against /etc/gateway --stage presence
    """
    from gateway.verbs import replay as session

    directory = directory or recording.parent / "config"
    if not directory.is_dir():
        raise click.UsageError(f"no configuration: {directory} is not there; give --config DIR")
    try:
        wanted = session.Wanted(**options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    session.replay(recording, directory, wanted)


@main.command("calibrate")
@click.option(
    "--recording", type=ReadableFile, help="A walk with labels; without: you are guided through one."
)
@click.option("--config", "directory", type=Directory, required=True, help="Directory of the map.")
@click.option("--device-class", type=click.Choice(["phone", "store_tag"]), help="Instead of the map's.")
@click.option(
    "--device", metavar="ID", help="Identity of the device carried; without: the loudest (--recording: all)."
)
@stand
@click.option("--follow", type=ReadableFile, help="Hear by a recording that is being written.")
@click.option("--write", is_flag=True, help="Write calibration.yaml beside the map.")
@click.option("--plan", type=NewFile, help="Draw the walk on the map, .svg.")
@problems_exit(EXIT_PROBLEMS)
def calibrate_verb(
    recording: Path | None,
    directory: Path,
    device_class: str | None,
    write: bool,
    plan: Path | None,
    **wishes: Any,
) -> None:
    """Learn what each zone sounds like, and say how well zones are told apart.

    Without --recording you are guided: stand a minute in each zone that you are named. Hears by the brokers
    and adapters of gateway.yaml, as `run` does. Example: gateway calibrate --config /etc/gateway --write
    """
    from gateway.verbs import calibrate as session
    from gateway.verbs.guide import Wishes

    wanted = session.Wanted(directory, device_class, write, plan)
    if recording is not None:
        if wishes["follow"] is not None:
            raise click.UsageError(
                "--follow is for the guided walk, --recording for one that has been walked"
            )
        session.from_recording(recording, wanted, click.echo, wishes["device"])
    else:
        session.guided(wanted, Wishes(**wishes), click.echo)


@main.command()
@click.option(
    "--config", "directory", type=Directory, help="Tell what is known from what is not, use its keys."
)
@click.option("--seconds", type=click.FloatRange(0, 3600, min_open=True), default=10.0, show_default=True)
@click.option("--adapter", metavar="ADDRESS", help="Address of the adapter; default: the first one powered.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one a device.")
@problems_exit(EXIT_PROBLEMS)
def scan(directory: Path | None, seconds: float, adapter: str | None, as_json: bool) -> None:
    """Show what this machine's radio hears now, and YAML to place what is unknown on the map.

    Addresses are masked, nothing is stored. Example: gateway scan --config /etc/gateway --seconds 30
    """
    from gateway.verbs import scan as session

    wanted = session.Wanted(directory, adapter, seconds, as_json)
    asyncio.run(session.scan(wanted, click.echo, lambda text: click.echo(text, err=True)))


@main.command("map")
@click.argument("directory", type=Directory, default=Path())
@click.option("--out", type=NewFile, help="New file, .svg; default: standard output.")
@click.option("--lang", type=click.Choice(["en", "de"]), default="en", show_default=True)
@problems_exit(EXIT_PROBLEMS)
def map_verb(directory: Path, out: Path | None, lang: str) -> None:
    """Draw the map: floors in metres, and what lies outside as outlines in metres apart.

    Needs site.yaml only. Example: gateway map config/store --out plan.svg
    """
    from gateway.verbs.map import draw

    draw(directory, out, lang, click.echo)


main.add_command(simulate)
main.add_command(consent)
main.add_command(outbox)


@main.command()
@click.option("--fences", type=click.IntRange(1, 100_000), default=2000, show_default=True)
@click.option("--fixes", type=click.IntRange(1, 10_000_000), default=20_000, show_default=True)
@problems_exit(EXIT_PROBLEMS)
def bench(fences: int, fixes: int) -> None:
    """Measure the core against plain Python: ratios of CPU time in one run, contenders in turn.

    Example: gateway bench
    """
    from gateway.verbs.bench import bench as measure

    measure(fences, fixes, click.echo)


@main.group()
def profiles() -> None:
    """The firmware profiles: how bytes and payloads are read."""


_own_profiles = click.option(
    "--config",
    "directory",
    type=Directory,
    help="A configuration whose own profiles (DIR/profiles) count too.",
)


@profiles.command("list")
@_own_profiles
@problems_exit(EXIT_PROBLEMS)
def profiles_list(directory: Path | None) -> None:
    """Name every profile, the topics it is heard on, and what could not be verified.

    Example: gateway profiles list
    """
    from gateway.profiles import profiles_of

    loaded = profiles_of(directory)
    for name in loaded.names:
        click.echo(f"{name:22} {' '.join(loaded.topics(name, None)) or 'BLE'}")
        if states := [topic.filter(None) for reader in loaded.states([name]) for topic in reader.topics]:
            click.echo(f"{'':22} receivers' state: {' '.join(states)}")
        if doubt := loaded.doubt(name):
            click.echo(f"{'':22} not verified: {doubt}")


@profiles.command("test")
@_own_profiles
@problems_exit(EXIT_PROBLEMS)
def profiles_test(directory: Path | None) -> None:
    """Run the vectors that every profile carries from its vendor's document.

    Example: gateway profiles test --config /etc/gateway
    """
    from gateway.profiles import profiles_of

    results = profiles_of(directory).test()
    wrong = [result for result in results if not result.passed]
    for result in wrong:
        click.echo(str(result), err=True)
    click.echo(f"{len(results) - len(wrong)} of {len(results)} vectors pass")
    sys.exit(EXIT_PROBLEMS if wrong else 0)


def _clock(text: str | None) -> Any:
    from gateway.clock import PipelineClock, parse_clock

    if text is None:
        return PipelineClock()
    try:
        return parse_clock(text)
    except ValueError as error:
        raise click.UsageError(f"--clock: {error}") from None
