"""What belongs together: Key Object Selection that lists every object made from one reading."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import NOT_FOR_CLINICAL_USE
from radiolucent.imaging.study import Stack
from radiolucent.results.codes import OF_INTEREST
from radiolucent.results.provenance import MANUFACTURER, Provenance, refusing, seal
from radiolucent.results.source import CHARACTER_SET, identity

SERIES_NUMBER = 9501


def encode_key_objects(
    objects: Sequence[Dataset], stack: Stack, provenance: Provenance, *, engines: Sequence[str] = ()
) -> Dataset:
    """List finished objects in a Key Object Selection Document (PS3.3 A.35.4, TID 2010).

    Parameters
    ----------
    objects : what to list, in order.
    stack : any stack of the study: it says whose study it is.
    engines : bundle digests of the engines, part of the UIDs.

    Raises
    ------
    EncodingError
        If there is nothing to list, or an object belongs to another study.
    """
    from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument

    if not objects:
        raise EncodingError("a key object selection needs at least one object")
    if any(made.StudyInstanceUID != provenance.study_instance_uid for made in objects):
        raise EncodingError("a key object selection can't list objects of another study")
    who = identity(stack)
    with refusing("the key object selection"):
        evidence = [_reference(made, who) for made in objects]
        content = KeyObjectSelection(
            document_title=OF_INTEREST,
            referenced_objects=evidence,
            description=f"AI results, preliminary. {NOT_FOR_CLINICAL_USE}",
        )
        made = KeyObjectSelectionDocument(
            evidence=evidence,
            content=content,
            manufacturer=MANUFACTURER,
            series_description="AI results, key objects",
            specific_character_set=CHARACTER_SET,
            **provenance.place("key-objects", *engines, series_number=SERIES_NUMBER),
        )
    return seal(made, provenance, stack)


def _reference(made: Dataset, who: Dataset) -> Dataset:
    item = Dataset()
    item.update({element.tag: element for element in who})
    for keyword in ("SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID", "Rows", "Columns"):
        if keyword in made:
            item[keyword] = made[keyword]
    return item
