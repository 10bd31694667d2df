from __future__ import annotations

from typing import Any

import pytest
from pydicom.sr import _concepts_dict
from pydicom.sr.coding import Code

from radiolucent.findings.taxonomy import FINDINGS, LOCAL_SCHEME
from radiolucent.results import codes

CONCEPTS: dict[str, dict[str, Any]] = _concepts_dict.concepts
EVERY = {name: value for name, value in vars(codes).items() if isinstance(value, Code)}
STANDARD = {name: code for name, code in EVERY.items() if code.scheme_designator != LOCAL_SCHEME}
LOCAL = {name: code for name, code in EVERY.items() if code.scheme_designator == LOCAL_SCHEME}


@pytest.mark.parametrize("code", STANDARD.values(), ids=STANDARD.keys())
def test_a_standard_code_stands_in_ps316_with_this_meaning(code: Code) -> None:
    meanings = [entry[code.value][0] for entry in CONCEPTS[code.scheme_designator].values() if code.value in entry]

    assert code.meaning in meanings


@pytest.mark.parametrize("modality", ["CT", "MR", "CR", "DX"])
def test_the_procedure_is_from_context_group_100(modality: str) -> None:
    code = codes.procedure(modality)

    assert any(100 in entry[code.value][1] for entry in CONCEPTS["LN"].values() if code.value in entry)


@pytest.mark.parametrize("code", LOCAL.values(), ids=LOCAL.keys())
def test_a_local_code_fits_its_value_representation(code: Code) -> None:
    assert len(code.value) <= 16
    assert len(code.meaning) <= 64


def test_a_local_code_means_one_thing_only() -> None:
    ours = [code.value for code in LOCAL.values()]
    findings = [kind.code.value for kind in FINDINGS.values() if kind.code.scheme == LOCAL_SCHEME]

    assert len(set(ours)) == len(ours)
    assert not set(ours) & set(findings)


def test_a_findings_code_keeps_its_three_parts() -> None:
    kind = FINDINGS["pneumothorax"]

    assert codes.sr_code(kind.code) == Code("36118008", "SCT", "Pneumothorax")
