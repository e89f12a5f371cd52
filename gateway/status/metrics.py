"""The metrics of one gateway in the text form of Prometheus. Labels come from the configuration and code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.status.health import unready
from gateway.status.vitals import Lookout, Vitals

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

HELP: Final[dict[str, str]] = {
    "gateway_build_info": "1; the version, and whether the core is compiled.",
    "gateway_start_time_seconds": "When the process began, Unix seconds.",
    "gateway_ready": "1 while it can do its work, as /readyz says.",
    "gateway_outcomes_total": "What was counted, by room and outcome.",
    "gateway_batches_total": "Batches taken through the pipeline; stands still while nothing gets through.",
    "gateway_link_up": "1 while a source or sink is connected.",
    "gateway_receiver_alive": "0 for a receiver that is taken to be dead.",
    "gateway_receiver_last_heard_timestamp_seconds": "When a receiver heard anything last, pipeline time.",
    "gateway_lane_signals": "Signals that wait for the pipeline.",
    "gateway_outbox_queued_events": "Events on disk that a recipient has not acknowledged.",
    "gateway_outbox_uncommitted_transactions": "Transactions that are not on disk yet.",
    "gateway_outbox_writable": "0 while the disk refuses to be written.",
    "gateway_consent_confirmed": "0 while nothing personal may leave; the label says why.",
    "gateway_consent_subjects": "Subjects enrolled.",
    "gateway_config_last_reload_successful": "0 after a reload that changed nothing because of a mistake.",
    "gateway_config_last_reload_timestamp_seconds": "When the configuration was read again, pipeline time.",
    "gateway_calibration_accuracy_ratio": "Expected share of seconds in which a zone beats its likest.",
    "gateway_calibration_outdated": "1 when the map has changed since the walk.",
}
"""Every metric of this program; those of the process (process_…) come from prometheus-client."""


def exposition(lookout: Lookout, vitals: Vitals) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Families(lookout, vitals))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, lookout: Lookout, vitals: Vitals) -> None:
        self._lookout = lookout
        self._vitals = vitals

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        v, lookout = self._vitals, self._lookout
        build = {"version": lookout.version, "core": lookout.core_form}
        yield _gauge("gateway_build_info", {tuple(build.values()): 1.0}, tuple(build))
        yield _gauge("gateway_start_time_seconds", {(): lookout.started_s})
        yield _gauge("gateway_ready", {(): float(not unready(v))})
        yield _outcomes(lookout.counted())
        batches = CounterMetricFamily("gateway_batches", HELP["gateway_batches_total"])
        batches.add_metric([], v.batches)
        yield batches
        yield _gauge("gateway_link_up", {(n,): float(state == "up") for n, state, _ in v.links}, ("link",))
        yield from _receivers(v)
        yield _gauge("gateway_lane_signals", {(n,): float(k) for n, k in v.lanes.items()}, ("lane",))
        queued: dict[tuple[str, ...], float] = {(n,): float(k) for n, k in v.queued.items()}
        yield _gauge("gateway_outbox_queued_events", queued, ("recipient",))
        yield _gauge("gateway_outbox_uncommitted_transactions", {(): float(v.uncommitted)})
        yield _gauge("gateway_outbox_writable", {(): float(v.is_disk_usable)})
        yield _gauge(
            "gateway_consent_confirmed", {(v.doubt or "confirmed",): float(not v.doubt)}, ("reason",)
        )
        yield _gauge("gateway_consent_subjects", {(): float(v.enrolled)})
        yield from _configuration(v)


def _receivers(v: Vitals) -> Iterator[Metric]:
    alive: dict[tuple[str, ...], float] = {(r.id,): float(not r.is_dead) for r in v.receivers}
    heard: dict[tuple[str, ...], float] = {(r.id,): r.heard_s for r in v.receivers if r.heard_s is not None}
    yield _gauge("gateway_receiver_alive", alive, ("receiver",))
    yield _gauge("gateway_receiver_last_heard_timestamp_seconds", heard, ("receiver",))


def _configuration(v: Vitals) -> Iterator[Metric]:
    yield _gauge("gateway_config_last_reload_successful", {(): float(not v.reload.has_failed)})
    yield _gauge("gateway_config_last_reload_timestamp_seconds", {(): v.reload.at_s})
    if v.accuracy is not None:
        yield _gauge("gateway_calibration_accuracy_ratio", {(): v.accuracy.mean})
        yield _gauge("gateway_calibration_outdated", {(): float(v.accuracy.is_outdated)})


def _gauge(name: str, values: Mapping[tuple[str, ...], float], labels: tuple[str, ...] = ()) -> Metric:
    family = GaugeMetricFamily(name, HELP[name], labels=labels)
    for found, value in values.items():
        family.add_metric(found, value)
    return family


def _outcomes(counted: dict[str, dict[str, int]]) -> Metric:
    family = CounterMetricFamily(
        "gateway_outcomes", HELP["gateway_outcomes_total"], labels=("room", "outcome")
    )
    for room, outcomes in counted.items():
        for outcome, n in outcomes.items():
            family.add_metric((room, outcome), n)
    return family
