"""The verbs of `gateway consent`, and how their answers read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from gateway.cli_words import EXIT_PROBLEMS, Directory, NewFile, problems_exit

if TYPE_CHECKING:
    from gateway.audit import Proof

_config = click.option(
    "--config", "directory", type=Directory, required=True, help="Directory of the YAML files."
)
_subject = click.argument("subject", callback=lambda _context, _argument, text: _readable(text))
_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")


@click.group()
def consent() -> None:
    """One subject's rights on this machine: see, export, withdraw, erase; and the audit log.

    Speaks to the running gateway, or opens the store itself where none runs.
    """


@consent.command()
@_subject
@_config
@_as_json
@problems_exit(EXIT_PROBLEMS)
def show(subject: str, directory: Path, as_json: bool) -> None:
    """Everything that is held of a subject, and who may know what.

    Example: gateway consent show card-1234 --config /etc/gateway
    """
    from gateway.verbs.consent import Consents

    held = Consents(directory).show(subject)
    click.echo(_json(held) if as_json else _story(held))


@consent.command()
@_subject
@_config
@click.option("--out", type=NewFile, help="New file, mode 0600; default: standard output.")
@problems_exit(EXIT_PROBLEMS)
def export(subject: str, directory: Path, out: Path | None) -> None:
    """The same, with queued events and recorded lines themselves, as JSON (GDPR article 20).

    Example: gateway consent export card-1234 --config /etc/gateway --out card-1234.json
    """
    from gateway.errors import GatewayError
    from gateway.verbs.consent import Consents

    text = _json(Consents(directory).export(subject))
    if out is None:
        click.echo(text)
        return
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise GatewayError(f"{out}: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")


@consent.command()
@_subject
@_config
@_as_json
@problems_exit(EXIT_PROBLEMS)
def withdraw(subject: str, directory: Path, as_json: bool) -> None:
    """Withdraw all consents of a subject, here and at once.

    Holds until a later consent comes in a higher version of the record.
    Example: gateway consent withdraw card-1234 --config /etc/gateway
    """
    from gateway.verbs.consent import Consents

    _report("withdrawn", Consents(directory).withdraw(subject), as_json)


@consent.command()
@_subject
@_config
@_as_json
@problems_exit(EXIT_PROBLEMS)
def erase(subject: str, directory: Path, as_json: bool) -> None:
    """Erase a subject: records, queue, open stays, recordings; says what went.

    An HMAC of the reference and the version stay for 90 days, so that an old grant cannot come back.
    Example: gateway consent erase card-1234 --config /etc/gateway
    """
    from gateway.verbs.consent import Consents

    _report("erased", Consents(directory).erase(subject), as_json)


@consent.command()
@_subject
@_config
@click.option("--purpose", "purposes", multiple=True, required=True, help="As in gateway.yaml, dpv:…")
@click.option("--recipient", "recipients", multiple=True, required=True, help="As in gateway.yaml.")
@click.option("--zone", "zones", multiple=True, help="Only in this zone; default: in all.")
@click.option("--identity", "identities", multiple=True, help="Of a device: ibeacon:…, vehicle:…")
@click.option("--until", "valid_until", help="RFC 3339 with its zone; default: until withdrawn.")
@click.option("--notice", help="Which notice the subject was shown.")
@problems_exit(EXIT_PROBLEMS)
def grant(subject: str, directory: Path, **wanted: Any) -> None:
    """Write a consent that was given just now into the local consent file.

    Example: gateway consent grant card-1234 --config /etc/gateway --purpose dpv:PersonalisedBenefits
    --recipient platform --identity vehicle:anna/golf --notice "desk, 2026-11"
    """
    from gateway.consent.ledger import Grant
    from gateway.verbs.consent import Consents

    wanted["zones"] = wanted["zones"] or None
    said = Consents(directory).grant(subject, Grant(**wanted))
    click.echo(f"{subject}: granted, record id {said['record_id']}")


@consent.command()
@_config
@click.option("--verify", is_flag=True, help="Check every line against the chain and its seal.")
@click.option("--witness", metavar="DIGEST", help="A head noted earlier, which must still be in the log.")
@click.option("--subject", help="The lines about this subject.")
@problems_exit(EXIT_PROBLEMS)
def audit(directory: Path, verify: bool, witness: str | None, subject: str | None) -> None:
    """Check the audit log, or read what it says of one subject.

    Example: gateway consent audit --verify --config /etc/gateway
    """
    from gateway.verbs.consent import Consents

    consents = Consents(directory)
    for line in consents.audit_of(subject) if subject else ():
        click.echo(_json(line, indent=0))
    if verify or witness or not subject:
        proof = consents.verify_audit(witness)
        for problem in proof.problems:
            click.echo(str(problem), err=True)
        click.echo(_proven(proof))
        sys.exit(EXIT_PROBLEMS if proof.problems else 0)


def _readable(subject: str) -> str:
    from gateway.consent.records import MAX_REFERENCE, is_reference

    if not subject.isprintable() or not is_reference(subject):
        raise click.BadParameter(f"a reference has 1 to {MAX_REFERENCE} printable characters")
    return subject


def _json(value: Any, indent: int = 2) -> str:
    encoded = msgspec.json.encode(value)
    return msgspec.json.format(encoded, indent=indent).decode() if indent else encoded.decode()


def _proven(proof: Proof) -> str:
    if proof.since_s is None or proof.until_s is None or proof.head is None:
        return "the audit log is empty"
    from gateway.consent.screen import rfc3339

    span = f"{rfc3339(proof.since_s)} to {rfc3339(proof.until_s)}"
    verdict = f"{len(proof.problems)} problems" if proof.problems else "as they were written, none is missing"
    return f"{proof.lines} lines from line {proof.first}, {span}: {verdict}; head {proof.head.digest}"


def _report(done: str, report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(_json(report))
        return
    removed = ", ".join(f"{n} {_WORDS[where]}" for where, n in report["removed"].items() if n)
    click.echo(f"{done}; removed: {removed or 'nothing was held'}")
    if "file" in report:
        click.echo("the consent file says so too" if report["file"] else "the consent file did not know them")
    left = {where: n for where, n in report["left"].items() if n}
    if left:
        click.echo("left: " + ", ".join(f"{n} {_WORDS[where]}" for where, n in left.items()), err=True)


_WORDS = {
    "records": "record",
    "in_memory": "devices in memory",
    "open_stays": "open stays",
    "queued": "queued events",
    "recording_lines": "lines of recordings",
}


def _story(held: dict[str, Any]) -> str:
    """For somebody who stands at a service desk."""
    record, bar = held["record"], held["bar"]
    lines = [f"{held['subject']}, {held['at']}"]
    if record is None:
        lines.append("  not enrolled on this machine")
    else:
        lines.append(f"  enrolled, record version {record['version']}: {', '.join(record['identities'])}")
        for entry in record["consents"]:
            zones = entry["zones"] if isinstance(entry["zones"], str) else ", ".join(entry["zones"])
            until = f" until {entry['valid_until']}" if "valid_until" in entry else ""
            lines.append(
                f"  {entry['record_id']}: {entry['status']} {entry['event_time']}{until}, "
                f"{', '.join(entry['purposes'])} to {', '.join(entry['recipients'])}, zones: {zones}"
            )
    if bar is not None:
        what = "erased" if bar["erased_version"] else "withdrawn here"
        lines.append(f"  {what}: consents of before are dead")
    for decision in held["decisions"]:
        permitted = decision["permitted_zones"]
        verdict = f"in {', '.join(permitted)}" if permitted else f"no: {', '.join(decision['denied'])}"
        lines.append(f"  {decision['recipient']} for {decision['purpose']}: {verdict}")
    queued = ", ".join(f"{n} for {name}" for name, n in held["queued"].items())
    recorded = ", ".join(f"{n} lines in {path}" for path, n in held["recordings"].items())
    stays = ", ".join(f"{stay['zone']} ({stay['phase']})" for stay in held["open_stays"])
    lines += [
        f"  in memory: {', '.join(held['in_memory']) or 'nothing'}",
        f"  open stays: {stays or 'none'}",
        f"  queued events: {queued or 'none'}",
        f"  recordings: {recorded or 'none'}",
        f"  audit log: {len(held['audit'])} lines",
    ]
    return "\n".join(lines)
