"""docs/conformance.md says what the encoders do: classes, series numbers, codes, exceptions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.sr.coding import Code

from radiolucent.findings.taxonomy import LOCAL_SCHEME
from radiolucent.results import codes

TEXT = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("|")]
EVERY = {name: value for name, value in vars(codes).items() if isinstance(value, Code)}


@pytest.mark.parametrize("kind", ["mr", "cr"])
def test_every_object_has_its_row(written_case: Callable[..., tuple[list[Path], list[Path]]], kind: str) -> None:
    for path in written_case(kind)[1]:
        made = pydicom.dcmread(path)
        rows = [row for row in ROWS if f"`{made.SOPClassUID}`" in row]
        assert rows, made.SOPClassUID.name
        assert made.SOPClassUID.name in rows[0]
        assert f"| {made.Modality} | {made.SeriesNumber}" in rows[0]
        assert made.file_meta.TransferSyntaxUID.name in rows[0]


@pytest.mark.parametrize("code", EVERY.values(), ids=EVERY.keys())
def test_every_code_is_listed(code: Code) -> None:
    if code.scheme_designator == LOCAL_SCHEME:
        assert f"| `{code.value}` | {code.meaning} |" in ROWS
    else:
        assert code.value in TEXT
