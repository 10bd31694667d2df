"""What each engine may be given and what it came from: the parts of a manifest and card that people decide."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from radiolucent.errors import SetupError


@dataclass(frozen=True, kw_only=True)
class Scope:
    """One engine's scope, terms and known limits.

    Parameters
    ----------
    tables : the manifest's ``scope`` table.
    shortcuts : sentences for the card: what the network might use instead of the finding, and what was tried.
    """

    engine: str
    version: str
    study_rule: Literal["image", "largest-slice", "largest-slab"]
    slab_mm: float | None
    licence: str
    data: tuple[str, ...]
    terms: str
    intended: str
    splits: str
    shortcuts: tuple[str, ...]
    tables: dict[str, Any] = field(default_factory=dict)


SCOPES: dict[str, Scope] = {
    scope.engine: scope
    for scope in (
        Scope(
            engine="brain-mri",
            version="0.1.0",
            study_rule="largest-slab",
            slab_mm=15.0,
            licence="CC-BY-4.0",
            data=("Cheng 2017, brain tumor dataset, figshare 1512427: 2087 training and 314 validation slices",),
            terms="CC BY 4.0; weights are given on under the same terms",
            intended=(
                "Research: show where and how strongly a T1-weighted slice after contrast looks like glioma, "
                "meningioma or pituitary tumour, in a head that may hold one. Not for clinical use."
            ),
            splits=(
                "Contiguous blocks of image numbers with neighbours dropped between them, a proxy for patients: the "
                "set has no patient numbers, so a patient may still stand on both sides. Validation chose "
                "calibration, operating points and display scales, and was looked at when the schedule was lengthened; "
                "the weights are those after the last epoch, not the best ones seen."
            ),
            shortcuts=(
                "Every training image holds one tumour: absence is learned from cells outside the outlines, from heads "
                "in which one half was replaced by the mirror image of the other, and from synthetic heads. A second "
                "source of tumour-free images was left out on purpose: it teaches the source, not the tumour.",
                "Pituitary tumours always lie in the sella: place alone may carry the type. The mean-outline guess in "
                "the table shows how far place alone goes.",
            ),
            tables={
                "modalities": ["MR"],
                "body_parts": ["HEAD", "BRAIN"],
                "weighting": "T1",
                "contrast": True,
                "limits": [
                    "Knows three kinds of tumour; metastases, abscesses, lymphoma and all else are taken for one of "
                    "them or missed.",
                    "Learned from untreated tumours; cavities and scars after surgery or radiation were not in the "
                    "training data.",
                    "Adults; the ages in the training data are not known.",
                    "Pixel spacing is needed to see structures at the right size; without it the head is taken to be "
                    "195 mm long.",
                ],
            },
        ),
    )
}


def find_scope(engine: str) -> Scope:
    """The row of an engine.

    Raises
    ------
    SetupError
        If there is none.
    """
    if engine not in SCOPES:
        raise SetupError(f"no scope for {engine!r}; there is one for: {', '.join(sorted(SCOPES))}")
    return SCOPES[engine]
