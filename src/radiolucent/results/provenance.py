"""Who made a result, when and under which UID, so that the same reading gives the same bytes again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID

from radiolucent import __version__
from radiolucent.errors import EncodingError
from radiolucent.findings.reading import EngineRef, SeriesReading
from radiolucent.findings.taxonomy import LOCAL_SCHEME
from radiolucent.imaging.study import Stack
from radiolucent.imaging.uids import derived_uid
from radiolucent.results.source import name_people

if TYPE_CHECKING:
    from highdicom import AlgorithmIdentificationSequence

MANUFACTURER: Final = "radiolucent"
IMPLEMENTATION_CLASS_UID: Final = derived_uid("radiolucent", "implementation-class")
_DATES: Final = (
    "InstanceCreationDate",
    "ContentDate",
    "PresentationCreationDate",
    "DateOfSecondaryCapture",
    "SeriesDate",
)
_TIMES: Final = (
    "InstanceCreationTime",
    "ContentTime",
    "PresentationCreationTime",
    "TimeOfSecondaryCapture",
    "SeriesTime",
)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What all objects of one reading share.

    Parameters
    ----------
    made_at : content date and time, local time of the site; written as given.
    study_instance_uid : the study that the objects join.
    revision : 1 for the first reading of a study by an engine; a later revision gets UIDs of its own.
    """

    made_at: datetime
    study_instance_uid: str
    revision: int = 1

    def uid(self, *parts: str) -> str:
        """A UID that follows from the study, the revision and `parts` (series, engine digest, finding, kind)."""
        return derived_uid(self.study_instance_uid, *parts, str(self.revision))

    def tracking_uid(self, finding: str, series: SeriesReading, part: str = "") -> str:
        """The same finding has the same Tracking UID in every object; `part` tells its regions apart."""
        return self.uid("tracking", series.key, series.engine.digest, finding, part)

    def place(self, kind: str, *parts: str, series_number: int, instance_number: int = 1) -> dict[str, Any]:
        """Series and instance arguments that every highdicom object takes; one series per kind and `parts`."""
        return {
            "series_instance_uid": self.uid("series", kind, *parts),
            "series_number": series_number,
            "sop_instance_uid": self.uid("instance", kind, *parts, str(instance_number)),
            "instance_number": instance_number,
        }


def equipment(engine: EngineRef) -> dict[str, Any]:
    """Equipment arguments of highdicom: this software and the engine whose result it is."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": engine.name[:64],
        "software_versions": [f"radiolucent {__version__}", engine.label[:64]],
        "device_serial_number": engine.digest[:64] or "none",
    }


def algorithm(engine: EngineRef, method: str) -> AlgorithmIdentificationSequence:
    """Algorithm Identification (PS3.3 table 10-19): family AI, engine, version, bundle digest, method."""
    from highdicom import AlgorithmIdentificationSequence

    from radiolucent.results.codes import AI

    return AlgorithmIdentificationSequence(
        name=engine.name,
        family=AI,
        version=engine.version,
        source=MANUFACTURER,
        parameters={"bundle-sha256": engine.digest, "method": method},
    )


def seal(dataset: Dataset, provenance: Provenance, stack: Stack) -> Dataset:
    """Replace what a library took from the clock or from chance, and name the people and the software.

    highdicom stamps the present time and random dimension organization UIDs; both become functions of the inputs.
    """
    date, time = provenance.made_at.strftime("%Y%m%d"), provenance.made_at.strftime("%H%M%S.%f")
    dataset.SeriesDate, dataset.SeriesTime = date, time
    for keywords, moment in ((_DATES, date), (_TIMES, time)):
        for keyword in keywords:
            if keyword in dataset:
                setattr(dataset, keyword, moment)
    for equipment in dataset.get("ContributingEquipmentSequence", []):
        equipment.ContributionDateTime = date + time
    for item in dataset.get("ContributingEquipmentSequence", []):  # the library names itself, with the present time
        item.ContributionDateTime = date + time
    name_people(dataset, stack)
    _name_dimensions(dataset)
    if _uses_local_codes(dataset):
        dataset.CodingSchemeIdentificationSequence = [_local_scheme()]
    dataset.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    dataset.file_meta.ImplementationVersionName = f"RADIOLUCENT_{__version__}"[:16]
    return dataset


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn a library's complaint about one object into an `EncodingError` that names the object."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise EncodingError(f"{what} can't be written as a valid object: {error}") from error


def _name_dimensions(dataset: Dataset) -> None:
    if "DimensionOrganizationSequence" not in dataset:
        return
    uid = derived_uid("dimension-organization", dataset.SOPInstanceUID)
    dataset.DimensionOrganizationSequence[0].DimensionOrganizationUID = uid
    for item in dataset.DimensionIndexSequence:
        item.DimensionOrganizationUID = uid


def _uses_local_codes(dataset: Dataset) -> bool:
    for element in dataset:
        if element.keyword == "CodingSchemeDesignator" and element.value == LOCAL_SCHEME:
            return True
        if element.VR == "SQ" and any(_uses_local_codes(item) for item in element.value):
            return True
    return False


def _local_scheme() -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator = LOCAL_SCHEME
    item.CodingSchemeName = "radiolucent findings and results"
    item.CodingSchemeResponsibleOrganization = MANUFACTURER
    return item
