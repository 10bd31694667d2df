from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import UID

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import Localisation, Reading
from radiolucent.results.objects import EncodedObject, encode_reading
from radiolucent.results.secondary_capture import Picture

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

Make = Callable[..., "Case"]
AT = datetime(2026, 3, 4, 5, 6, 7)


def _encode(case: Case, **options: Any) -> dict[str, EncodedObject]:
    made = encode_reading(case.reading, case.stacks, case.pictures, made_at=AT, **options)
    assert len({item.name for item in made}) == len(made)
    return {item.name: item for item in made}


def _digest(item: EncodedObject) -> str:
    buffer = io.BytesIO()
    item.dataset.save_as(buffer, enforce_file_format=True)
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def test_a_reading_becomes_the_whole_set_of_objects(make_case: Make) -> None:
    assert list(_encode(make_case("mr"))) == [
        "glioma-parametric-map",
        "glioma-segmentation",
        "glioma-overlay-011",
        "glioma-overlay-012",
        "test-engine-presentation-state",
        "findings-report",
        "negatives-report",
        "key-objects",
    ]


def test_the_same_reading_gives_the_same_bytes_later_and_in_another_process(make_case: Make, cases: ModuleType) -> None:
    script = (
        "import datetime, hashlib, importlib.util, io, sys\n"
        f"spec = importlib.util.spec_from_file_location('cases', {cases.__file__!r})\n"
        "cases = importlib.util.module_from_spec(spec); sys.modules['cases'] = cases\n"
        "spec.loader.exec_module(cases)\n"
        "from radiolucent.results.objects import encode_reading\n"
        "for kind in ('mr', 'cr'):\n"
        "    case = cases.make_case(kind)\n"
        f"    for item in encode_reading(case.reading, case.stacks, case.pictures, made_at={AT!r}):\n"
        "        buffer = io.BytesIO(); item.dataset.save_as(buffer, enforce_file_format=True)\n"
        "        sys.stdout.write(item.name + ' ' + hashlib.sha256(buffer.getvalue()).hexdigest() + chr(10))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)

    made = [f"{name} {_digest(item)}" for kind in ("mr", "cr") for name, item in _encode(make_case(kind)).items()]
    assert done.stdout.splitlines() == made


def test_all_objects_join_the_study_and_none_joins_a_source_series(make_case: Make) -> None:
    case = make_case("ct")
    for item in _encode(case).values():
        assert item.dataset.StudyInstanceUID == case.reading.study_instance_uid
        assert item.dataset.PatientID == "PHANTOM-1"
        assert item.dataset.SeriesInstanceUID not in {stack.series_instance_uid for stack in case.stacks.values()}


def test_every_object_is_its_own_instance_in_a_series_of_its_own_kind(make_case: Make) -> None:
    made = [item.dataset for item in _encode(make_case("ct")).values()]

    assert len({item.SOPInstanceUID for item in made}) == len(made)
    kinds = {(item.SeriesInstanceUID, item.SOPClassUID) for item in made}
    assert len({series for series, _ in kinds}) == len(kinds)
    assert all(UID(item.SOPInstanceUID).is_valid and UID(item.SeriesInstanceUID).is_valid for item in made)


def test_a_later_revision_has_other_uids_throughout(make_case: Make) -> None:
    first, second = _encode(make_case("mr")), _encode(make_case("mr"), revision=2)

    assert first.keys() == second.keys()
    for name in first:
        assert first[name].dataset.SOPInstanceUID != second[name].dataset.SOPInstanceUID
        assert first[name].dataset.SeriesInstanceUID != second[name].dataset.SeriesInstanceUID


def test_map_and_segment_of_a_radiograph_share_one_private_space(make_case: Make) -> None:
    made = _encode(make_case("cr"))

    spaces = {made[f"pneumothorax-{kind}"].dataset.FrameOfReferenceUID for kind in ("parametric-map", "segmentation")}
    assert len(spaces) == 1


def test_the_key_objects_list_everything_else(make_case: Make) -> None:
    made = _encode(make_case("mr"))
    listed = {
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for item in made["key-objects"].dataset.ContentSequence
        if "ReferencedSOPSequence" in item
    }

    assert listed == {item.dataset.SOPInstanceUID for name, item in made.items() if name != "key-objects"}


@pytest.mark.parametrize(
    "localisation",
    [
        Localisation(status="empty"),
        Localisation(status="failed", reason="no"),
        Localisation(status="withheld", reason="no"),
    ],
)
def test_a_finding_without_focus_stays_in_the_report_without_map_and_segment(
    make_case: Make, cases: ModuleType, localisation: Localisation
) -> None:
    made = _encode(cases.with_localisation(make_case("mr"), localisation))

    assert list(made) == ["findings-report", "negatives-report", "key-objects"]


def test_two_engines_on_one_series_don_t_overwrite_each_other(make_case: Make) -> None:
    case = make_case("mr")
    other = replace(case.series, engine=replace(case.series.engine, name="other-engine", digest="cd" * 32))
    made = _encode(replace(case, reading=replace(case.reading, series=(case.series, other))))

    assert {"glioma-parametric-map", "glioma-parametric-map-2"} <= made.keys()
    uids = [item.dataset.SOPInstanceUID for item in made.values()]
    assert len(set(uids)) == len(uids)


def test_two_stacks_of_one_series_don_t_overwrite_each_other(make_case: Make) -> None:
    case = make_case("mr")
    stack, series = replace(case.stack, part=2), replace(case.series, part=2)
    made = encode_reading(
        replace(case.reading, series=(case.series, series)),
        {case.stack.key: case.stack, stack.key: stack},
        {},
        made_at=AT,
    )

    assert len({item.dataset.SOPInstanceUID for item in made}) == len(made)


def test_a_study_of_which_nothing_was_read_still_says_so(make_case: Make) -> None:
    case = make_case("mr")
    made = encode_reading(replace(case.reading, series=()), case.stacks, {}, made_at=AT)

    assert [item.name for item in made] == ["negatives-report", "key-objects"]


def test_nothing_at_all_gives_nothing(make_case: Make) -> None:
    assert encode_reading(Reading(study_instance_uid="1.2.3", series=()), {}, {}, made_at=AT) == ()


def test_images_of_another_study_are_refused(make_case: Make) -> None:
    case = make_case("mr")

    with pytest.raises(EncodingError, match="another study"):
        encode_reading(case.reading, make_case("ct").stacks, {}, made_at=AT)


def test_a_series_without_its_images_is_refused(make_case: Make) -> None:
    with pytest.raises(EncodingError, match="weren't handed over"):
        encode_reading(make_case("mr").reading, {}, {}, made_at=AT)


def test_a_stack_with_other_frames_is_refused(make_case: Make) -> None:
    case = make_case("mr")
    short = replace(case.stack, frames=case.stack.frames[:5], headers=case.stack.headers[:5])

    with pytest.raises(EncodingError, match="other frames"):
        encode_reading(case.reading, {short.key: short}, {}, made_at=AT)


@pytest.mark.parametrize("name", ["meningioma", "pituitary-tumour", "pneumothorax"])
def test_a_picture_of_what_was_not_located_is_refused(make_case: Make, name: str) -> None:
    case = make_case("mr")
    drawn = next(iter(case.pictures.values()))[0]
    picture = Picture(finding=name, frame=drawn.frame, pixels=drawn.pixels)

    with pytest.raises(EncodingError, match="isn't located"):
        encode_reading(case.reading, case.stacks, {case.stack.key: [picture]}, made_at=AT)


def test_the_encoders_are_loaded_only_when_something_is_encoded() -> None:
    script = "import sys, radiolucent.results.objects; sys.exit('highdicom' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0


@given(
    kind=st.sampled_from(["mr", "ct", "cr", "dx", "enhanced-mr"]),
    frames=st.integers(1, 6),
    rows=st.integers(8, 40),
    columns=st.integers(8, 40),
    spacing=st.tuples(st.floats(0.01, 5), st.floats(0.01, 5)),
    between=st.floats(0.1, 20),
    bare=st.booleans(),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_shape_and_spacing_is_encoded(
    cases: ModuleType,
    kind: str,
    frames: int,
    rows: int,
    columns: int,
    spacing: tuple[float, float],
    between: float,
    bare: bool,
) -> None:
    frames = 1 if kind in {"cr", "dx"} else frames
    case = cases.make_case(kind, shape=(frames, rows, columns), spacing_mm=spacing, slice_spacing_mm=between, bare=bare)

    made = _encode(case)

    assert {"findings-report", "negatives-report", "key-objects"} <= made.keys()
    for item in made.values():
        item.dataset.save_as(io.BytesIO(), enforce_file_format=True)
