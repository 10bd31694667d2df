"""Which engine reads which study and where its results go: rules as data, checked before anything is received."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from radiolucent.errors import SetupError
from radiolucent.store.records import StudyRecord

PRIOR: Final = "prior"
"""Source of a study that was fetched to compare another one with."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One rule. A study takes the first route whose every condition it meets; an empty condition is always met.

    Parameters
    ----------
    modalities : the study has a series of one of these.
    body_parts : Body Part Examined of one of its series is one of these, in capitals.
    calling_ae_titles, descriptions : patterns with ``*`` and ``?``; capitals don't matter.
    engines : names of the engines that are asked; empty asks all that are installed.
    destinations : names of the destinations of its results; empty sends them nowhere.
    read : False keeps such studies without reading them.
    """

    name: str
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    calling_ae_titles: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    read: bool = True

    def takes(self, study: StudyRecord) -> bool:
        """Whether a study meets every condition."""
        return (
            _has_one(study.modalities, self.modalities)
            and _has_one(study.body_parts, self.body_parts)
            and _fits(study.calling_ae, self.calling_ae_titles)
            and _fits(study.description, self.descriptions)
        )


def choose_route(study: StudyRecord, routes: Sequence[Route]) -> Route | None:
    """The first route that takes a study, or None.

    A study that was fetched as a prior is read as its route says, but nothing of it is sent anywhere: those who get
    results have known of it for long.
    """
    route = next((route for route in routes if route.takes(study)), None)
    if route is not None and study.source_kind == PRIOR:
        return replace(route, destinations=())
    return route


def check_routes(routes: Sequence[Route], *, engines: Iterable[str], destinations: Iterable[str]) -> None:
    """Say at start what would go wrong with the first study.

    Parameters
    ----------
    engines : names and ``name@version`` of those installed. destinations : names of those configured.

    Raises
    ------
    SetupError
        If there is no route, two have the same name, or one names an engine or a destination that isn't there.
    """
    known_engines, known_destinations = sorted(set(engines)), sorted(set(destinations))
    if not routes:
        raise SetupError("there is no route, so no study would be read: add [[routes]] to the settings")
    twice = [name for name, count in Counter(route.name for route in routes).items() if count > 1]
    if twice:
        raise SetupError(f"two routes are named {twice[0]!r}: give each its own name")
    for route in routes:
        for name in route.engines:
            if name not in known_engines:
                raise SetupError(f"route {route.name!r}: no engine {name!r}; installed: {_said(known_engines)}")
        for name in route.destinations:
            if name not in known_destinations:
                raise SetupError(f"route {route.name!r}: no destination {name!r}; there: {_said(known_destinations)}")
        if not route.read and (route.engines or route.destinations):
            raise SetupError(f"route {route.name!r}: what isn't read (read = false) has no engines and destinations")


def _has_one(values: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or bool({value.upper() for value in values.split("\\")} & {word.upper() for word in wanted})


def _fits(value: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(value.upper(), pattern.upper()) for pattern in patterns)


def _said(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
