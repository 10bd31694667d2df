"""Cases by name, and objects that went through a file, for the tests of the encoders."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from radiolucent.results.provenance import Provenance

if TYPE_CHECKING:
    from tests.unit.results.cases import Case


def _load_cases() -> ModuleType:
    name = "radiolucent_result_cases"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("cases.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def cases() -> ModuleType:
    return _load_cases()


@pytest.fixture(scope="session")
def make_case(cases: ModuleType) -> Callable[..., Case]:
    made: dict[str, Any] = {}

    def make(kind: str = "mr", **options: Any) -> Any:
        key = repr((kind, sorted(options.items())))
        if key not in made:
            made[key] = cases.make_case(kind, **options)
        return made[key]

    return make


@pytest.fixture(scope="session")
def written() -> Callable[[Dataset], Dataset]:
    """Write an object as a file and read it back."""

    def write(dataset: Dataset) -> Dataset:
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        return pydicom.dcmread(io.BytesIO(buffer.getvalue()))

    return write


@pytest.fixture(scope="session")
def provenance_of(cases: ModuleType) -> Callable[..., Provenance]:
    def make(case: Case, revision: int = 1) -> Provenance:
        return Provenance(made_at=cases.MADE_AT, study_instance_uid=case.reading.study_instance_uid, revision=revision)

    return make
