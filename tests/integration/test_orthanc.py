"""Results go to a real archive over C-STORE and are found under the study they came from."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from radiolucent.imaging.loading import load
from radiolucent.results.objects import EncodedObject, encode_reading

if TYPE_CHECKING:
    from tests.integration.peers import Orthanc
    from tests.unit.results.cases import Case

pynetdicom = pytest.importorskip("pynetdicom")

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDIES: dict[str, dict[str, Any]] = {
    "mr": {"kind": "mr", "seed": 1},
    "ct": {"kind": "ct", "seed": 1},
    "cr": {"kind": "cr", "seed": 1},
    "dx": {"kind": "dx", "seed": 1},
    "bare ct": {"kind": "ct", "seed": 1, "bare": True},
    "non-ASCII name": {"kind": "cr", "seed": 1, "patient": "Müller^Zoë=山田^太郎"},
}
EACH = pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES.keys())


def _associate(server: Orthanc, classes: Sequence[str]) -> Any:
    ours = pynetdicom.AE(ae_title="RADIOLUCENT")
    for uid in dict.fromkeys(classes):
        ours.add_requested_context(uid, ExplicitVRLittleEndian)
    association = ours.associate("127.0.0.1", server.dicom_port, ae_title="ORTHANC")
    assert association.is_established
    return association


def _store(server: Orthanc, datasets: Sequence[Dataset]) -> list[int]:
    association = _associate(server, [dataset.SOPClassUID for dataset in datasets])
    try:
        return [int(association.send_c_store(dataset).Status) for dataset in datasets]
    finally:
        association.release()


def _find(server: Orthanc, **wanted: str) -> list[Dataset]:
    query = Dataset()
    for keyword, value in wanted.items():
        setattr(query, keyword, value)
    association = _associate(server, [STUDY_ROOT_FIND])
    try:
        answers = list(association.send_c_find(query, STUDY_ROOT_FIND))
    finally:
        association.release()
    assert answers[-1][0].Status == 0x0000
    return [found for status, found in answers if status.Status in (0xFF00, 0xFF01)]


def _sent(server: Orthanc, case: Case, cases: Any) -> tuple[EncodedObject, ...]:
    made = encode_reading(case.reading, case.stacks, case.pictures, made_at=cases.MADE_AT)
    for source in case.sources:
        cases.write_source(source, io.BytesIO())
    assert set(_store(server, case.sources)) == {0x0000}
    statuses = dict(zip([item.name for item in made], _store(server, [item.dataset for item in made]), strict=True))
    assert statuses == dict.fromkeys(statuses, 0x0000)
    return made


@EACH
def test_every_object_is_stored_and_found_under_the_original_study(
    orthanc: Orthanc, cases: Any, study: dict[str, Any]
) -> None:
    case = cases.make_case(**study)
    made = _sent(orthanc, case, cases)
    uid = case.reading.study_instance_uid

    assert len(orthanc.ask("/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": uid}})) == 1
    for item in made:
        found = _find(
            orthanc,
            QueryRetrieveLevel="IMAGE",
            StudyInstanceUID=uid,
            SeriesInstanceUID=item.dataset.SeriesInstanceUID,
            SOPInstanceUID=item.dataset.SOPInstanceUID,
            SOPClassUID="",
        )
        assert [one.SOPClassUID for one in found] == [item.dataset.SOPClassUID]


def test_the_series_are_listed_with_their_kind_and_a_warning(orthanc: Orthanc, cases: Any) -> None:
    case = cases.make_case("mr", seed=2)
    _sent(orthanc, case, cases)
    found = _find(
        orthanc,
        QueryRetrieveLevel="SERIES",
        StudyInstanceUID=case.reading.study_instance_uid,
        SeriesInstanceUID="",
        Modality="",
        SeriesDescription="",
    )

    assert sorted(one.Modality for one in found) == ["KO", "MR", "OT", "OT", "PR", "SEG", "SR"]
    assert all("AI" in one.SeriesDescription for one in found if one.Modality != "MR")


def test_a_map_comes_back_bit_for_bit(orthanc: Orthanc, cases: Any) -> None:
    case = cases.make_case("ct", seed=2)
    made = _sent(orthanc, case, cases)[0].dataset
    instance = orthanc.ask("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": made.SOPInstanceUID}})

    back = pydicom.dcmread(io.BytesIO(orthanc.ask(f"/instances/{instance[0]}/file")))

    assert back.FloatPixelData == made.FloatPixelData
    assert np.frombuffer(back.FloatPixelData, "<f4").max() == 6.0


def test_a_colour_capture_can_be_rendered_by_the_archive(orthanc: Orthanc, cases: Any) -> None:
    case = cases.make_case("cr", seed=2)
    made = next(item.dataset for item in _sent(orthanc, case, cases) if "overlay" in item.name)
    instance = orthanc.ask("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": made.SOPInstanceUID}})

    assert orthanc.ask(f"/instances/{instance[0]}/preview").startswith(b"\x89PNG")


def test_sending_a_reading_again_makes_no_second_object(orthanc: Orthanc, cases: Any) -> None:
    case = cases.make_case("dx", seed=2)
    query = {"Level": "Instance", "Query": {"StudyInstanceUID": case.reading.study_instance_uid}}

    _sent(orthanc, case, cases)
    once = orthanc.ask("/tools/find", query)
    _sent(orthanc, case, cases)

    assert sorted(orthanc.ask("/tools/find", query)) == sorted(once)


def test_results_join_a_real_study(orthanc: Orthanc, cases: Any) -> None:
    data = os.environ.get("RADIOLUCENT_DATA")
    if not data:
        pytest.skip("needs real images: set RADIOLUCENT_DATA to the folder that holds dicom-samples")
    folder = Path(data) / "dicom-samples" / "brain-mr-t1post" / "01" / "19960813"
    study = load(folder).studies[0]
    stack = study.stacks[0]
    reading = cases.read_by_hand(stack, (256, 256), "glioma")
    made = encode_reading(reading, {stack.key: stack}, {}, made_at=cases.MADE_AT)
    sources = [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]

    assert set(_store(orthanc, [*sources, *(item.dataset for item in made)])) == {0x0000}
    found = orthanc.ask(
        "/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": study.study_instance_uid}, "Expand": True}
    )
    assert len(found) == 1
    assert len(found[0]["Series"]) == 1 + len({item.dataset.SeriesInstanceUID for item in made})
    assert len(orthanc.ask("/tools/find", {"Level": "Patient", "Query": {"PatientID": stack.header.PatientID}})) == 1
