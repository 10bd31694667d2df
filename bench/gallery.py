"""The failure gallery of docs/explanations.md, phantoms alone: ``python -m bench.gallery docs/images/failures.png``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.cases import phantom_cases
from bench.gate import finding_of, shuffled
from bench.shortcut import NetworkEngine, marked, shortcut_engine
from radiolucent.engines.registry import find_bundle, installed_bundles
from radiolucent.engines.runtime import Engine, load_engine
from radiolucent.evaluate.explanation_release import ReleaseCase
from radiolucent.explain.overlay import overlay, png
from radiolucent.findings.reading import Localisation
from radiolucent.imaging.heatmap import Heatmap

WIDTH = 480
TAUGHT = 6


def main(path: Path) -> int:
    """Four panels: the right map, the marker, shuffled weights, and a finding that is absent with its map stretched."""
    import torch

    torch.set_num_threads(1)
    bundle = find_bundle("brain-mri", installed_bundles())
    (case, *_), lessons = phantom_cases(1), [one.image for one in phantom_cases(TAUGHT, seed=10_000)]
    shortcut, learned = shortcut_engine(bundle, lessons, [case.image])
    print(learned.words)
    engine = load_engine(bundle, threads=1)
    token = replace(case, image=marked(case.image, bundle.manifest.finding_names.index(case.finding)))
    panels = [
        _panel(engine, case, "as it should be"),
        _panel(shortcut, token, "learned a marker: held back"),
        _panel(NetworkEngine(bundle, shuffled(bundle)), case, "weights shuffled: no focus"),
        _stretched(engine, case),
    ]
    height = max(panel.shape[0] for panel in panels)
    rows = [np.pad(panel, ((0, height - panel.shape[0]), (0, 0), (0, 0))) for panel in panels]
    path.write_bytes(png(np.concatenate([np.concatenate(rows[:2], axis=1), np.concatenate(rows[2:], axis=1)])))
    return 0


def _panel(engine: Engine, case: ReleaseCase, words: str) -> NDArray[np.uint8]:
    finding = finding_of(case, engine, engine.run(case.image[None]))
    return _drawn(case, finding.heatmap, finding.localisation, words)


def _stretched(engine: Engine, case: ReleaseCase) -> NDArray[np.uint8]:
    """A finding that isn't there, its map drawn from its own least to its own largest value, as other tools do."""
    names = engine.bundle.manifest.finding_names
    other = next(name for name in names if name != case.finding)
    values = engine.run(case.image[None]).evidence[:, names.index(other)]
    stretched = (values - values.min()) / np.ptp(values)
    heatmap = Heatmap(evidence=np.ascontiguousarray(stretched), record=case.record, display_scale=1.0)
    return _drawn(case, heatmap, None, f"absent {other}, stretched")


def _drawn(case: ReleaseCase, heatmap: Heatmap, where: Localisation | None, words: str) -> NDArray[np.uint8]:
    grey = (np.clip((case.image[0] + 1) / 2.8, 0, 1) * 255).astype(np.uint8)
    return overlay(
        grey, heatmap, 0, where, finding_label=words, engine_label="phantom", method="evidence", maximum_width=WIDTH
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
