from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import EngineRef
from radiolucent.imaging.study import Stack
from radiolucent.results.codes import NOT_READ, PROBABILITY
from radiolucent.results.provenance import Provenance, algorithm, equipment, refusing, seal

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

    from tests.unit.results.cases import Case

ENGINE = EngineRef(name="test-engine", version="1.2.3", digest="ab" * 32)
PROVENANCE = Provenance(made_at=datetime(2026, 3, 4, 5, 6, 7, 890000), study_instance_uid="1.2.3")


def _object(*codes: Code) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.SOPInstanceUID = "1.2.3.4"
    made.InstanceCreationDate, made.InstanceCreationTime, made.ContentDate = "19990101", "010101", "19990101"
    made.ContentSequence, made.ContributingEquipmentSequence = [], [Dataset()]
    made.ContributingEquipmentSequence[0].ContributionDateTime = "19990101010101"
    for code in codes:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
        made.ContentSequence.append(item)
    return made


@pytest.fixture
def stack(make_case: Callable[..., Case]) -> Stack:
    return make_case("dx").stack


def test_every_clock_reading_becomes_the_given_moment(stack: Stack) -> None:
    made = seal(_object(), PROVENANCE, stack)

    assert (made.InstanceCreationDate, made.InstanceCreationTime) == ("20260304", "050607.890000")
    assert made.ContentDate == "20260304"
    assert made.ContributingEquipmentSequence[0].ContributionDateTime == "20260304050607.890000"
    assert "ContentTime" not in made  # what the object's module lacks isn't added


def test_random_dimension_uids_become_functions_of_the_instance(stack: Stack) -> None:
    made = _object()
    made.DimensionOrganizationSequence, made.DimensionIndexSequence = [Dataset()], [Dataset(), Dataset()]

    uids = {
        item.DimensionOrganizationUID
        for item in [*seal(made, PROVENANCE, stack).DimensionOrganizationSequence, *made.DimensionIndexSequence]
    }
    again = seal(made, PROVENANCE, stack).DimensionOrganizationSequence[0].DimensionOrganizationUID

    assert uids == {again}


def test_the_local_coding_scheme_is_named_only_where_it_is_used(stack: Stack) -> None:
    assert "CodingSchemeIdentificationSequence" not in seal(_object(PROBABILITY), PROVENANCE, stack)

    local = seal(_object(PROBABILITY, NOT_READ), PROVENANCE, stack)

    assert local.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99RADIOLUCENT"


def test_uids_follow_from_study_revision_and_parts() -> None:
    later = Provenance(made_at=PROVENANCE.made_at, study_instance_uid="1.2.3", revision=2)
    elsewhere = Provenance(made_at=PROVENANCE.made_at, study_instance_uid="1.2.4")
    tomorrow = Provenance(made_at=datetime(2026, 3, 5), study_instance_uid="1.2.3")

    assert PROVENANCE.uid("a", "b") == tomorrow.uid("a", "b")
    assert len({one.uid("a", "b") for one in (PROVENANCE, later, elsewhere)} | {PROVENANCE.uid("b", "a")}) == 4


def test_instances_of_one_kind_share_their_series() -> None:
    one = PROVENANCE.place("map", "series", series_number=7)
    two = PROVENANCE.place("map", "series", series_number=7, instance_number=2)

    assert one["series_instance_uid"] == two["series_instance_uid"]
    assert one["sop_instance_uid"] != two["sop_instance_uid"]


def test_the_engine_its_version_and_its_digest_are_named() -> None:
    made, who = equipment(ENGINE), algorithm(ENGINE, "grad-cam")[0]

    assert made["manufacturer_model_name"] == "test-engine"
    assert "test-engine@1.2.3" in made["software_versions"]
    assert made["device_serial_number"] == ENGINE.digest
    assert (who.AlgorithmName, who.AlgorithmVersion) == ("test-engine", "1.2.3")
    assert ENGINE.digest in who.AlgorithmParameters
    assert who.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"


@pytest.mark.parametrize("complaint", [AttributeError, IndexError, KeyError, TypeError, ValueError])
def test_a_librarys_complaint_becomes_an_encoding_error_that_names_the_object(complaint: type[Exception]) -> None:
    with pytest.raises(EncodingError, match="the thing can't be written as a valid object"), refusing("the thing"):
        raise complaint("no")


def test_an_unexpected_fault_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), refusing("the thing"):
        raise ZeroDivisionError
