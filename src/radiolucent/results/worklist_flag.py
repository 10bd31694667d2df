"""The flag that makes an urgent study stand out in a list: a short text, and a capture whose series carries it.

Only what is urgent is flagged. A study without a flag is no study without a finding.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset

from radiolucent.findings.hierarchy import ranked
from radiolucent.findings.phrases import phrases
from radiolucent.findings.reading import NOT_FOR_CLINICAL_USE, Reading
from radiolucent.findings.urgency import level_number
from radiolucent.imaging.study import Stack
from radiolucent.results.provenance import MANUFACTURER, Provenance, equipment, refusing, seal
from radiolucent.results.source import CHARACTER_SET, copy_body_part, identity

SERIES_NUMBER: Final = 9200
LEAST_URGENT: Final = 2
"""Levels 1 and 2 are flagged, as they alert (`findings/tables/alerts.toml`)."""
_LONGEST: Final = 64  # Series Description, LO (PS3.5 6.2)
_SIZE: Final = (512, 512)
_COLOUR: Final = (255, 196, 0)


def flag_text(reading: Reading, *, language: str = "en", least_urgent: int = LEAST_URGENT) -> str:
    """One line on the most urgent finding, at most 64 characters; empty where nothing is urgent enough."""
    words = phrases(language)
    for entry in ranked(reading):
        level = level_number(entry.finding.urgency)
        if entry.finding.urgency is not None and level <= least_urgent:
            return f"AI {level} {words.urgency[str(level)]}: {words.name(entry.finding.name)}"[:_LONGEST]
    return ""


def encode_flag(reading: Reading, stack: Stack, provenance: Provenance, *, language: str = "en") -> Dataset | None:
    """A capture that says the flag, in a series named after it, for a PACS whose list shows series descriptions.

    Parameters
    ----------
    stack : any stack of the study that was read: it says whose study it is.

    Returns
    -------
    The object, or None where nothing is urgent.

    Raises
    ------
    EncodingError
        If the library refuses the object.
    """
    from highdicom.sc import SCImage

    text = flag_text(reading, language=language)
    if not text:
        return None
    who = identity(stack)
    who.SOPClassUID, who.SOPInstanceUID = stack.frames[0].sop_class_uid, stack.frames[0].sop_instance_uid
    engine = next(entry.series.engine for entry in ranked(reading))
    with refusing("the flag"):
        made = SCImage.from_ref_dataset(
            ref_dataset=who,
            pixel_array=_drawn(text, phrases(language).disclaimer),
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=("L", "P"),  # replaced below: the library takes no empty value
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            series_description=text,
            specific_character_set=CHARACTER_SET,
            **provenance.place("worklist-flag", engine.digest, series_number=SERIES_NUMBER),
            **equipment(engine),
        )
    made.ConversionType = "WSD"
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.SecondaryCaptureDeviceManufacturer = MANUFACTURER
    made.BurnedInAnnotation = "NO"  # the text names no patient
    made.DerivationDescription = NOT_FOR_CLINICAL_USE
    made.PatientOrientation = []
    copy_body_part(made, stack)
    return seal(made, provenance, stack)


def _drawn(text: str, disclaimer: str) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """uint8 ``(512, 512, 3)``: the text on black."""
    picture = Image.new("RGB", _SIZE)
    canvas = ImageDraw.Draw(picture)
    top = 24
    for words, size, colour in ((text, 36, _COLOUR), (disclaimer, 20, (220, 220, 220))):
        font = ImageFont.load_default(size)
        line = ""
        for word in [*words.split(), ""]:
            longer = f"{line} {word}".strip()
            if word and canvas.textlength(longer, font=font) <= _SIZE[1] - 48:
                line = longer
                continue
            canvas.text((24, top), line, fill=colour, font=font)
            top, line = top + round(size * 1.3), word
        top += 24
    return np.asarray(picture)
