"""What an engine's router takes real films for: ``python -m bench.sites``, films that it never learned from.

Chest films are real films of a site that the router knows from synthetic ones alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from radiolucent.engines.preprocess import prepare
from radiolucent.engines.registry import find_bundle, installed_bundles
from radiolucent.engines.runtime import load_engine
from radiolucent.errors import NotItsSite
from radiolucent.evaluate.layouts import read_pixels, read_rows
from radiolucent.pipeline.anatomy import check_site

FOLDERS = ("bone-fracatlas", "chest-nih")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sites", description=__doc__)
    parser.add_argument("--engine", default="bone")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if "RADIOLUCENT_DATA" not in os.environ:
        parser.error("set RADIOLUCENT_DATA to the folder of real images")
    data = Path(os.environ["RADIOLUCENT_DATA"])
    results = [measure(arguments.engine, data / name) for name in FOLDERS]
    if arguments.json:
        print(json.dumps(results, indent=1))
        return 0
    print("| films | n | refused | taken for |\n|---|---|---|---|")
    for one in results:
        taken = ", ".join(f"{name} {count}" for name, count in one["taken_for"].items())
        print(f"| {one['films']} | {one['n']} | {one['refused']} | {taken} |")
    return 0


def measure(engine: str, folder: Path) -> dict[str, Any]:
    """Sites of a folder's validation films, whatever their header would say: n, how many are refused, and taken for."""
    bundle = find_bundle(engine, installed_bundles())
    runner = load_engine(bundle, threads=1)
    rows = [row for row in read_rows(folder) if row.split == "val"]
    likeliest: Counter[str] = Counter()
    refused = 0
    for done, row in enumerate(rows):
        print(f"\r{folder.name}: {done} of {len(rows)}", end="", file=sys.stderr, flush=True)
        batch, _ = prepare(read_pixels(row.path)[None], row.spacing_mm, bundle.manifest.input)
        sites = runner.run(batch).sites
        if sites is None:
            raise SystemExit(f"{bundle.label} tells no sites: choose another --engine")
        likeliest[bundle.manifest.sites[int(sites[0].argmax())].name] += 1
        try:
            check_site(sites, bundle.manifest)
        except NotItsSite:
            refused += 1
    print(file=sys.stderr)
    return {
        "films": f"{folder.name}, validation",
        "n": len(rows),
        "refused": refused,
        "taken_for": dict(likeliest.most_common()),
    }


if __name__ == "__main__":
    raise SystemExit(main())
