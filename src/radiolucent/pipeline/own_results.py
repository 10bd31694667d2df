"""What this gateway made itself, so that it is known again when a PACS counts it, sends it or offers it back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pydicom

from radiolucent.imaging.header import BROKEN, text


@dataclass(frozen=True, kw_only=True)
class OwnResults:
    """SOP and Series Instance UIDs of the objects that were made of one study, in all its revisions."""

    instances: frozenset[str] = frozenset()
    series: frozenset[str] = frozenset()


def own_results(folder: Path, study_instance_uid: str) -> OwnResults:
    """The result objects of a study, from their files.

    Parameters
    ----------
    folder : of the store; results lie below ``readings/STUDY/REVISION``.
    """
    instances, series = set[str](), set[str]()
    for path in (folder / "readings" / study_instance_uid).glob("*/**/*.dcm"):
        try:
            header = pydicom.dcmread(path, specific_tags=["SOPInstanceUID", "SeriesInstanceUID"])
        except (FileNotFoundError, pydicom.errors.InvalidDicomError, *BROKEN):
            continue  # a folder that is being written: it is read when it is whole
        instances.add(text(header, "SOPInstanceUID"))
        series.add(text(header, "SeriesInstanceUID"))
    return OwnResults(instances=frozenset(instances), series=frozenset(series))
