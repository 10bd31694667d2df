"""Every finding that an engine may report: its name, its words, its codes and how far each code can be trusted.

Names are British English in kebab-case ASCII. A code is taken from a standard only where it is graded:

* ``A``: it stands in the code tables of PS3.16 (as pydicom 3.0.2 carries them), with the meaning given here;
* ``B``: several independent public sources agree on it, or it was checked against its registry;
* ``local``: nothing better than a guess was found, so the project's own scheme ``99RADIOLUCENT`` is used.

A local value is never used again for anything else. Site codes are all of grade A.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from radiolucent.errors import InvalidBundle

LOCAL_SCHEME = "99RADIOLUCENT"

Grade = Literal["A", "B", "local"]
Anatomy = Literal["brain", "chest", "bone", "head"]


@dataclass(frozen=True, kw_only=True)
class Code:
    """A coded concept as DICOM writes it (PS3.16 section 8.1).

    Parameters
    ----------
    value : Code Value, at most 16 characters.
    scheme : Coding Scheme Designator: ``SCT``, ``DCM``, ``LN``, ``RADLEX``, ``RADELEMENT`` or ``99RADIOLUCENT``.
    meaning : Code Meaning, at most 64 characters.

    Raises
    ------
    ValueError
        If a part is empty or longer than its value representation allows (PS3.5 6.2, SH and LO).
    """

    value: str
    scheme: str
    meaning: str

    def __post_init__(self) -> None:
        for part, text, longest in (
            ("value", self.value, 16),
            ("scheme", self.scheme, 16),
            ("meaning", self.meaning, 64),
        ):
            if not 0 < len(text) <= longest:
                raise ValueError(f"code {part} must have 1 to {longest} characters, not {text!r}")


@dataclass(frozen=True, kw_only=True)
class FindingType:
    """One kind of finding.

    Parameters
    ----------
    name : the key: what manifests, readings and files use.
    label : how a page or an overlay names it.
    noun : how it stands in a sentence without an article: "no *pleural effusion* above threshold".
    phrase : the same with an article where English wants one: "consistent with *a pleural effusion*".
    code : what the finding is; together with `site` it is unique.
    grade : of `code`; `radlex` and `cde`, where given, are of grade B.
    cde : the set of common data elements (ACR / RSNA RadElement) that describes it.
    site : where it is looked for (Finding Site).
    anatomy : which kind of study shows it.
    critical : it is told at once, and its heatmap is kept at full image resolution.
    """

    name: str
    label: str
    noun: str
    phrase: str
    code: Code
    grade: Grade
    site: Code
    anatomy: Anatomy
    radlex: Code | None = None
    cde: Code | None = None
    critical: bool = False


def _sct(value: str, meaning: str) -> Code:
    return Code(value=value, scheme="SCT", meaning=meaning)


def _dcm(value: str, meaning: str) -> Code:
    return Code(value=value, scheme="DCM", meaning=meaning)


BRAIN = _sct("12738006", "Brain")
MENINGES = _sct("1231004", "Meninges")
PITUITARY = _sct("56329008", "Pituitary")
BRAIN_VENTRICLE = _sct("35764002", "Brain ventricle")
SUBARACHNOID_SPACE = _sct("35951006", "Subarachnoid space")
DURA_MATER = _sct("18545000", "Dura mater")
LUNG = _sct("39607008", "Lung")
THORAX = _sct("51185008", "Thorax")
HEART = _sct("80891009", "Heart")
PLEURA = _sct("3120008", "Pleura")
MEDIASTINUM = _sct("72410000", "Mediastinum")
DIAPHRAGM = _sct("5798000", "Diaphragm")
RIB = _sct("113197003", "Rib")
BONE = _sct("272673000", "Bone")

_FRACTURE = _sct("125605004", "Fracture of bone")


def _row(
    name: str,
    noun: str,
    anatomy: Anatomy,
    site: Code,
    code: Code | str,
    grade: Grade = "local",
    *,
    radlex: str = "",
    cde: str = "",
    article: str = "",
    critical: bool = False,
) -> FindingType:
    label = noun[0].upper() + noun[1:]
    code = Code(value=code, scheme=LOCAL_SCHEME, meaning=label) if isinstance(code, str) else code
    return FindingType(
        name=name,
        label=label,
        noun=noun,
        phrase=f"{article} {noun}".strip(),
        code=code,
        grade=grade,
        site=site,
        anatomy=anatomy,
        radlex=Code(value=radlex, scheme="RADLEX", meaning=code.meaning) if radlex else None,
        cde=Code(value=cde, scheme="RADELEMENT", meaning=label) if cde else None,
        critical=critical,
    )


# fmt: off
_ROWS: tuple[FindingType, ...] = (
    # brain MRI
    _row("glioma", "glioma", "brain", BRAIN, "RL0101", article="a"),
    _row("meningioma", "meningioma", "brain", MENINGES, "RL0102", article="a"),
    _row("pituitary-tumour", "pituitary tumour", "brain", PITUITARY, "RL0103", article="a"),
    # chest
    _row("atelectasis", "atelectasis", "chest", LUNG, _sct("46621007", "Atelectasis"), "B", radlex="RID28493"),
    _row("cardiomegaly", "cardiomegaly", "chest", HEART, _sct("8186001", "Cardiomegaly"), "B"),
    _row("consolidation", "consolidation", "chest", LUNG,
         _sct("95436008", "Lung consolidation"), "B", radlex="RID43255"),
    _row("oedema", "pulmonary oedema", "chest", LUNG, _sct("19242006", "Pulmonary edema"), "A", radlex="RID4866"),
    _row("effusion", "pleural effusion", "chest", PLEURA,
         _sct("60046008", "Pleural effusion"), "A", radlex="RID34539", cde="RDES254", article="a"),
    _row("emphysema", "emphysema", "chest", LUNG, _sct("87433001", "Pulmonary emphysema"), "B", radlex="RID4799"),
    _row("fibrosis", "pulmonary fibrosis", "chest", LUNG, _sct("112674009", "Fibrosis"), "A"),
    _row("hernia", "diaphragmatic hernia", "chest", DIAPHRAGM, "RL0208", article="a"),
    _row("infiltration", "infiltrate", "chest", LUNG, _dcm("112121", "Infiltrate"), "A", article="an"),
    _row("mass", "lung mass", "chest", LUNG, _sct("4147007", "Mass"), "A", radlex="RID3874", article="a"),
    _row("nodule", "lung nodule", "chest", LUNG, _sct("27925004", "Nodule"), "A", radlex="RID50149", cde="RDES195",
         article="a"),
    _row("pleural-thickening", "pleural thickening", "chest", PLEURA, "RL0212"),
    _row("pneumonia", "pneumonia", "chest", LUNG, _sct("233604007", "Pneumonia"), "B", radlex="RID5350", cde="RDES76"),
    _row("pneumothorax", "pneumothorax", "chest", PLEURA,
         _sct("36118008", "Pneumothorax"), "A", radlex="RID5352", article="a"),
    _row("tension-pneumothorax", "tension pneumothorax", "chest", PLEURA, "RL0215", article="a", critical=True),
    _row("widened-mediastinum", "widened mediastinum", "chest", MEDIASTINUM, "RL0216", article="a", critical=True),
    _row("rib-fracture", "rib fracture", "chest", RIB, _FRACTURE, "B", article="a"),
    _row("support-device", "support device", "chest", THORAX, "RL0218", article="a"),
    _row("lung-lesion", "lung lesion", "chest", LUNG, "RL0219", article="a"),
    _row("lung-opacity", "lung opacity", "chest", LUNG, _dcm("112001", "Opacity"), "A", radlex="RID28530", article="a"),
    _row("enlarged-cardiomediastinum", "enlarged cardiomediastinum", "chest", MEDIASTINUM, "RL0221", article="an"),
    # head CT
    _row("epidural-haemorrhage", "epidural haemorrhage", "head", DURA_MATER, "RL0301", article="an", critical=True),
    _row("subdural-haemorrhage", "subdural haemorrhage", "head", DURA_MATER, "RL0302", article="a", critical=True),
    _row("subarachnoid-haemorrhage", "subarachnoid haemorrhage", "head", SUBARACHNOID_SPACE,
         _sct("21454007", "Subarachnoid hemorrhage"), "B", article="a", critical=True),
    _row("intraparenchymal-haemorrhage", "intraparenchymal haemorrhage", "head", BRAIN,
         _sct("274100004", "Cerebral hemorrhage"), "B", article="an", critical=True),
    _row("intraventricular-haemorrhage", "intraventricular haemorrhage", "head", BRAIN_VENTRICLE, "RL0305",
         article="an", critical=True),
    _row("mixed-haemorrhage", "mixed intracranial haemorrhage", "head", BRAIN, "RL0306", article="a", critical=True),
    _row("any-haemorrhage", "intracranial haemorrhage", "head", BRAIN,
         _sct("1386000", "Intracranial hemorrhage"), "B", article="an", critical=True),
    _row("acute-infarct", "acute infarct", "head", BRAIN, "RL0308", article="an", critical=True),
    _row("midline-shift", "midline shift", "head", BRAIN, "RL0309", critical=True),
    # bone
    _row("fracture", "fracture", "bone", BONE, _FRACTURE, "B", radlex="RID4650", article="a"),
    _row("hardware", "metal hardware", "bone", BONE, "RL0402"),
)
# fmt: on

FINDINGS: Mapping[str, FindingType] = MappingProxyType({row.name: row for row in _ROWS})

# torchxrayvision's 18 pathologies; its "Fracture" is any fracture on a chest film, so it isn't a rib fracture
TORCHXRAYVISION: Mapping[str, str] = MappingProxyType(
    {
        "Atelectasis": "atelectasis",
        "Consolidation": "consolidation",
        "Infiltration": "infiltration",
        "Pneumothorax": "pneumothorax",
        "Edema": "oedema",
        "Emphysema": "emphysema",
        "Fibrosis": "fibrosis",
        "Effusion": "effusion",
        "Pneumonia": "pneumonia",
        "Pleural_Thickening": "pleural-thickening",
        "Cardiomegaly": "cardiomegaly",
        "Nodule": "nodule",
        "Mass": "mass",
        "Hernia": "hernia",
        "Lung Lesion": "lung-lesion",
        "Fracture": "fracture",
        "Lung Opacity": "lung-opacity",
        "Enlarged Cardiomediastinum": "enlarged-cardiomediastinum",
    }
)

DIAGNOSTIC_IMAGING_REPORT = Code(value="18748-4", scheme="LN", meaning="Diagnostic Imaging Report")
_STUDY_CODES: Mapping[tuple[str, str], Code] = MappingProxyType(
    {
        ("MR", "brain"): Code(value="24590-2", scheme="LN", meaning="Brain MRI"),
        ("CT", "head"): Code(value="24725-4", scheme="LN", meaning="CT Head Report"),
        ("CT", "chest"): Code(value="24627-2", scheme="LN", meaning="CT Chest Report"),
    }
)


def finding_type(name: str) -> FindingType:
    """The row of the table with this name.

    >>> finding_type("pneumothorax").code
    Code(value='36118008', scheme='SCT', meaning='Pneumothorax')

    Raises
    ------
    InvalidBundle
        If the table has no such row: only an engine can bring in a name, so its maker must act.
    """
    try:
        return FINDINGS[name]
    except KeyError:
        raise InvalidBundle(
            f"finding {name!r} is not in the taxonomy; use one of {', '.join(FINDINGS)}, or add a row"
        ) from None


def study_code(modality: str, anatomy: str) -> Code:
    """LOINC code of a report on such a study, from PS3.16 CID 7000 and CID 646; the general one where there is none.

    >>> study_code("MR", "brain").value, study_code("DX", "bone").value
    ('24590-2', '18748-4')
    """
    return _STUDY_CODES.get((modality, anatomy), DIAGNOSTIC_IMAGING_REPORT)


def as_markdown() -> str:
    """The table as ``docs/findings.md`` holds it."""

    def written(code: Code | None) -> str:
        return f"`{code.value}` {code.scheme}, {code.meaning}" if code else "–"

    lines = [
        "# Findings",
        "",
        "Made by `python -m radiolucent.findings.taxonomy > docs/findings.md`; a test fails when it is out of date.",
        "",
        "Grades: **A** stands in the code tables of DICOM PS3.16 · **B** several independent public sources agree, or",
        "the registry was checked · **local** no code could be confirmed, so the project's own scheme",
        f"`{LOCAL_SCHEME}` is used. RadLex codes are of grade B, site codes of grade A. CDE is the set of common",
        "data elements of ACR / RSNA RadElement, where two public sources agree on it (grade B); it goes into FHIR.",
        "Sets that one source alone names (haemorrhage, rib fracture, support devices) are left out, and so is lung",
        "opacity, on which sources contradict each other. *Critical* findings are told at once and keep a heatmap at",
        "full image resolution.",
        "",
        "| name | label | study | code | grade | RadLex | CDE | site | critical |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in FINDINGS.values():
        radlex, cde = (f"`{other.value}`" if other else "–" for other in (row.radlex, row.cde))
        cells = [f"`{row.name}`", row.label, row.anatomy, written(row.code), row.grade, radlex, cde]
        cells += [f"`{row.site.value}` {row.site.meaning}", "yes" if row.critical else "–"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Names of torchxrayvision", "", "| theirs | ours |", "|---|---|"]
    lines += [f"| {theirs} | `{ours}` |" for theirs, ours in TORCHXRAYVISION.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
