"""What the administration set and readings follow: thresholds over those of a file, and findings used for less."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import replace

from radiolucent.engines.bundle import Bundle
from radiolucent.findings.operating_points import EnginePoints, OperatingPoints
from radiolucent.findings.profile import default_profile, narrowed
from radiolucent.pipeline.read_study import Options, engine_ref
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Store

NO_POINTS = OperatingPoints(site="this site")


def kept_points(store: Store) -> tuple[OperatingPoints, str]:
    """The thresholds that the administration set, and the text that they are kept as."""
    with store.read() as work:
        text = Site(work).thresholds()
    return OperatingPoints.model_validate(tomllib.loads(text)) if text else NO_POINTS, text


def in_use(points: OperatingPoints, bundles: Sequence[Bundle]) -> OperatingPoints:
    """Those that are bound to an engine that runs. Those of another version are never taken over, and stop nothing."""
    running = {engine_ref(bundle).name: engine_ref(bundle) for bundle in bundles}

    def holds(entry: EnginePoints) -> bool:
        engine = running.get(entry.name)
        return engine is not None and engine.version == entry.version and entry.digest in ("", engine.digest)

    return OperatingPoints(site=points.site, engines=tuple(entry for entry in points.engines if holds(entry)))


def kept_rules(store: Store) -> str:
    """All that the administration set and readings follow, as a text: by it a worker sees that something changed."""
    with store.read() as work:
        site = Site(work)
        return f"{site.thresholds()}\n{json.dumps(site.profile_uses(), sort_keys=True)}"


def with_kept_rules(options: Options, store: Store, bundles: Sequence[Bundle]) -> Options:
    """The options, with what the administration set: thresholds, and findings that are used for less."""
    with store.read() as work:
        uses = Site(work).profile_uses()
    profile = narrowed(options.profile or default_profile(), uses)
    return replace(with_kept_points(options, store, bundles), profile=profile)


def with_kept_points(options: Options, store: Store, bundles: Sequence[Bundle]) -> Options:
    """The options, with what the administration set in place of the file's entries for the same engines."""
    kept = in_use(kept_points(store)[0], bundles)
    if not kept.engines:
        return options
    named = {entry.name for entry in kept.engines}
    of_file = options.operating_points or NO_POINTS
    others = tuple(entry for entry in of_file.engines if entry.name not in named)
    return replace(options, operating_points=OperatingPoints(site=of_file.site, engines=(*others, *kept.engines)))
