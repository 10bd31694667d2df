"""A bundle released without intervals gets them: its own calibration, fitted again on its cases drawn anew by group.

``python -m radiolucent.training.respread BUNDLE OUT VERSION --data DIR``: the weights stay.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from radiolucent.engines.bundle import Bundle, load_bundle, sign
from radiolucent.engines.runtime import load_twin
from radiolucent.errors import OutputExists, SetupError
from radiolucent.training.calibrate import fit_scaling, spread_of_scaling
from radiolucent.training.datasets import build_pack
from radiolucent.training.measuring import predict
from radiolucent.training.pack import Pack
from radiolucent.training.recipe import EngineRecipe
from radiolucent.training.recipes import find_recipe
from radiolucent.training.release import with_emptied, with_shown

SAME = 0.05
"""Largest difference of slope or intercept, as part of the stored one's size, that still tells of the same cases."""


def spreads(bundle: Bundle, recipe: EngineRecipe, validation: Pack) -> dict[str, dict[str, float | int]]:
    """Finding -> the table ``spread`` of its entry in ``calibration.json``.

    Raises
    ------
    SetupError
        If the cases give another calibration than the stored one: then they aren't those that it was made from.
    """
    cases = with_emptied(with_shown(validation, recipe))
    logits, _ = predict(load_twin(bundle), cases, recipe.size)
    tables = {}
    for name, entry in bundle.calibration.findings.items() if bundle.calibration else ():
        index = recipe.reported.findings.index(name)
        known = np.isfinite(cases.labels[:, index])
        scores, truth = logits[known, index], cases.labels[known, index] > 0.5
        again = fit_scaling(scores, truth)
        for what, was, now in (
            ("slope", entry.slope, again.slope),
            ("intercept", entry.intercept, again.intercept),
        ):
            if abs(was - now) > SAME * max(1.0, abs(was)):
                raise SetupError(
                    f"{bundle.label} {name}: these cases give {what} {now:.3f}, the bundle has {was:.3f}: "
                    "give the folders that it was calibrated on"
                )
        spread = spread_of_scaling(scores, truth, cases.group[known])
        if spread is not None:
            tables[name] = spread.table
    return tables


def respread(
    bundle: Bundle, out: Path, version: str, *, data: list[Path], report: Callable[[int, int], None] | None = None
) -> Path:
    """Write the bundle to `out` with the spread of its calibration, found on the folders it was calibrated on.

    Raises
    ------
    OutputExists
        If `out` is there already.
    SetupError
        If there is no recipe of that name, or the folders hold other cases than it was calibrated on.
    InvalidBundle
        If `version` has another form than ``1.2.3``.
    """
    if out.exists():
        raise OutputExists(f"{out} exists already: choose another folder or remove it")
    recipe = find_recipe(bundle.manifest.name)
    return rewritten(bundle, out, version, spreads(bundle, recipe, build_pack(recipe, data, report, split="val")))


def rewritten(bundle: Bundle, out: Path, version: str, tables: Mapping[str, Mapping[str, float | int]]) -> Path:
    """The same weights as a new version whose calibration has these spreads, by finding.

    Raises
    ------
    InvalidBundle
        If `version` has another form than ``1.2.3``, or a table is no covariance.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".respread-") as name:
        folder = Path(name) / out.name
        shutil.copytree(bundle.path, folder)
        calibration = _read(folder / "calibration.json")
        for finding, table in tables.items():
            calibration["findings"][finding]["spread"] = dict(table)
        _write(folder / "calibration.json", calibration)
        old, new = bundle.label, f"{bundle.manifest.name}@{version}"
        _replace(folder / "manifest.toml", f'version = "{bundle.manifest.version}"', f'version = "{version}"')
        _replace(folder / "card.md", old, new)
        if bundle.operating_points is not None:
            points = _read(folder / "operating_points.json")
            points["engine"] = new
            _write(folder / "operating_points.json", points)
        sign(folder)
        load_bundle(folder)
        shutil.move(folder, out)
    return out


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, and write the bundle."""
    parser = argparse.ArgumentParser(prog="python -m radiolucent.training.respread", description=__doc__)
    parser.add_argument("bundle", type=Path, help="folder of the released bundle")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("version", help="of the new bundle, e.g. 0.1.2")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder that it was calibrated on")
    chosen = parser.parse_args(arguments)
    respread(load_bundle(chosen.bundle), chosen.out, chosen.version, data=chosen.data)
    sys.stdout.write(f"{chosen.out}\n")


def _read(path: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return table


def _write(path: Path, table: dict[str, Any]) -> None:
    path.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _replace(path: Path, old: str, new: str) -> None:
    """The first place where `old` stands."""
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")


if __name__ == "__main__":
    main()
