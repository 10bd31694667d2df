"""The hand-made studies of the unit tests, encoded and written, for validators that aren't ours."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from radiolucent.results.objects import encode_reading


def _load_cases() -> ModuleType:
    name, path = "radiolucent_result_cases", Path(__file__).parents[1] / "unit" / "results" / "cases.py"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def cases() -> ModuleType:
    return _load_cases()


@pytest.fixture(scope="session")
def written_case(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[list[Path], list[Path]]]:
    """Make a case and write it: (source files, result files)."""
    made: dict[str, tuple[list[Path], list[Path]]] = {}

    def write(kind: str, **options: Any) -> tuple[list[Path], list[Path]]:
        key = repr((kind, sorted(options.items())))
        if key not in made:
            cases, folder = _load_cases(), tmp_path_factory.mktemp(kind)
            case = cases.make_case(kind, **options)
            sources, results = [], []
            for index, source in enumerate(case.sources):
                sources.append(folder / f"source-{index}.dcm")
                cases.write_source(source, sources[-1])
            for item in encode_reading(case.reading, case.stacks, case.pictures, made_at=cases.MADE_AT):
                results.append(folder / f"{item.name}.dcm")
                item.dataset.save_as(results[-1], enforce_file_format=True)
            made[key] = (sources, results)
        return made[key]

    return write
