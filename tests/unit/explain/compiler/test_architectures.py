"""Architectures of timm and MONAI compile to what the page says of them; each one's largest differences are printed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from bench.architectures import ARCHITECTURES, END, PAGE, START, compiled, line
from radiolucent.engines.runtime import load_engine

NEEDS = {"timm": "timm", "MONAI": "monai"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_compiles_to_the_evidence_that_full_autograd_gives(name: str, tmp_path: Path) -> None:
    architecture = ARCHITECTURES[name]
    package = NEEDS[architecture.library]
    if package == "timm":  # imported by the compiler, which does without torchvision
        pytest.importorskip("safetensors", reason="needs timm: pip install 'radiolucent[imports]'")
    else:
        pytest.importorskip(package, reason=f"needs {package}: pip install 'radiolucent[imports]'")
    result = compiled(architecture, tmp_path)
    sys.stdout.write(line(architecture, result) + "\n")
    depth = result.bundle.manifest.head.depth
    grid = (*([depth] if depth else []), *result.bundle.manifest.head.grid)
    assert (result.kind, grid) == (architecture.kind, architecture.grid)
    assert max(result.autograd, result.graph, result.completeness or 0) <= 1e-4
    assert (result.completeness is None) == (result.kind == "gradient")
    *_, height, width = architecture.sides
    images = np.random.default_rng(6).random((4, architecture.channels, height, width), dtype=np.float32)
    output = load_engine(result.bundle, threads=1).run(images)
    assert output.logits.shape == (4, 3)
    assert np.abs(output.evidence).max() > 1e-6


def test_the_page_has_a_row_for_every_architecture_within_the_limit() -> None:
    part = PAGE.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in part.splitlines() if row.startswith("| ")][1:]
    assert {(row[0], row[1], row[3]) for row in rows} == {
        (architecture.library, architecture.name, architecture.kind) for architecture in ARCHITECTURES.values()
    }
    assert len(rows) >= 12
    figures = [float(cell) for row in rows for cell in row[6:] if re.match(r"\d", cell)]
    assert max(figures) <= 1e-4
