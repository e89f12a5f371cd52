"""What is left of a document when its wrong parts are taken out.

Cross-checks run on the rest, so that one run reports the mistakes of both kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.errors import ConfigError, Problem
from gateway.located import Document
from gateway.validated import validate

M = TypeVar("M", bound=BaseModel)
_Path = tuple[str | int, ...]


class Remains(Generic[M]):
    """`model` of what is right (None when nothing usable is left) and the `problems` of what is not."""

    def __init__(self, document: Document, model: type[M], spare: Mapping[str, Any]) -> None:
        """`spare` stands in for top-level sections that had to go."""
        self._document = document
        self._data: Any = document.data
        self._gone: set[_Path] = set()
        self._kept: dict[_Path, list[int]] = {}
        self.problems: list[Problem] = []
        self.model: M | None = None
        try:
            self.model = validate(document, model)
        except ConfigError as e:
            self.problems += e.problems
            self.model = self._without_wrong_parts(model, spare)

    def problem(self, path: _Path, text: str, *, at_key: bool = False) -> Problem:
        """A problem at a path of `model`; its place is that of the file."""
        return self._document.problem(self._origin(path), text, at_key=at_key)

    def ids(self, *path: str) -> list[str]:
        """Ids in the file's lists at `path` (`floors`, `zones`), of right and wrong items."""
        items: list[Any] = [self._document.data]
        for key in path:
            lists = [item.get(key) for item in items if isinstance(item, dict)]
            items = [item for found in lists if isinstance(found, list) for item in found]
        return [item["id"] for item in items if isinstance(item, dict) and isinstance(item.get("id"), str)]

    def names(self, section: str) -> list[str]:
        """Keys of a section that maps names to settings, of right and wrong ones."""
        found = self._document.data.get(section)
        return [name for name in found if isinstance(name, str)] if isinstance(found, dict) else []

    def _without_wrong_parts(self, model: type[M], spare: Mapping[str, Any]) -> M | None:
        while True:
            self._kept.clear()
            self._data = dict(spare) | self._rest(self._document.data, (), ())
            try:
                return model.model_validate(self._data)
            except ValidationError as e:
                wrong = {self._part(self._origin(error["loc"])) for error in e.errors()} - self._gone
            if not wrong or () in wrong:
                return None
            self._gone |= wrong

    def _rest(self, value: Any, path: _Path, rest_path: _Path) -> Any:
        if isinstance(value, dict):
            return {
                k: self._rest(v, (*path, k), (*rest_path, k))
                for k, v in value.items()
                if (*path, k) not in self._gone
            }
        if isinstance(value, list):
            kept = [i for i in range(len(value)) if (*path, i) not in self._gone]
            self._kept[rest_path] = kept
            return [self._rest(value[i], (*path, i), (*rest_path, at)) for at, i in enumerate(kept)]
        return value

    def _origin(self, rest_path: _Path) -> _Path:
        """Where the file has what the rest has at this path; steps that are in neither stay as they are."""
        origin: list[str | int] = []
        walked: list[str | int] = []
        value = self._data
        for step in rest_path:
            if _has(value, step):
                kept = self._kept.get(tuple(walked))
                origin.append(kept[step] if kept is not None and isinstance(step, int) else step)
                walked.append(step)
                value = value[step]
            else:
                origin.append(step)
        return tuple(origin)

    def _part(self, path: _Path) -> _Path:
        """The smallest part around a mistake that can go: a key with its value, or one item of a list."""
        walked: list[str | int] = []
        part, value = 0, self._document.data
        for step in path:
            if not _has(value, step) or (*walked, step) in self._gone:
                continue
            walked.append(step)
            # A number in a list is never taken out alone: a corner of one coordinate would be a new mistake.
            if (
                isinstance(value, dict)
                or isinstance(value[step], dict)
                or all(isinstance(v, str) for v in value)
            ):
                part = len(walked)
            value = value[step]
        return tuple(walked[:part])


def _has(value: Any, step: str | int) -> bool:
    if isinstance(value, dict):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value)
