from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.results.key_objects import encode_key_objects
from radiolucent.results.parametric_map import encode_parametric_map
from radiolucent.results.presentation_state import encode_presentation_states
from radiolucent.results.provenance import Provenance

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

Make = Callable[..., "Case"]
Write = Callable[[Dataset], Dataset]
Provenances = Callable[..., Provenance]


def _objects(case: Case, provenance: Provenance) -> list[Dataset]:
    made = encode_parametric_map(case.finding, case.series, case.stack, provenance)
    return [made, *encode_presentation_states(case.series, case.stack, provenance)]


def test_it_lists_images_as_images_and_documents_as_composites(
    make_case: Make, written: Write, provenance_of: Provenances
) -> None:
    case = make_case("mr")
    objects = _objects(case, provenance_of(case))
    read = written(encode_key_objects(objects, case.stack, provenance_of(case)))
    listed = [item for item in read.ContentSequence if "ReferencedSOPSequence" in item]

    assert [item.ValueType for item in listed] == ["IMAGE", "COMPOSITE"]
    assert [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in listed] == [
        made.SOPInstanceUID for made in objects
    ]
    assert read.ContentTemplateSequence[0].TemplateIdentifier == "2010"
    assert read.ConceptNameCodeSequence[0].CodeValue == "113000"


def test_it_says_preliminary_and_not_for_clinical_use(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    made = encode_key_objects(_objects(case, provenance_of(case)), case.stack, provenance_of(case))
    words = [item.TextValue for item in made.ContentSequence if item.ValueType == "TEXT"]

    assert len(words) == 1
    assert words[0].startswith("AI results, preliminary. Not for clinical use.")


def test_an_empty_list_is_refused(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")

    with pytest.raises(EncodingError, match="at least one object"):
        encode_key_objects([], case.stack, provenance_of(case))


def test_an_object_of_another_study_is_refused(make_case: Make, provenance_of: Provenances) -> None:
    case, other = make_case("mr"), make_case("ct")

    with pytest.raises(EncodingError, match="another study"):
        encode_key_objects(_objects(other, provenance_of(other)), case.stack, provenance_of(case))


def test_what_the_library_refuses_is_an_encoding_error(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    wrong = Dataset()
    wrong.StudyInstanceUID = case.reading.study_instance_uid

    with pytest.raises(EncodingError, match=r"the key object selection can't be written"):
        encode_key_objects([wrong], case.stack, provenance_of(case))
