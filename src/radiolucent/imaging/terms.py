"""The words and codes that headers use for body part, view, contrast and MR weighting, as tables.

Codes: PS3.16 CID 4031 (anatomic regions), CID 4010 (views). Names: PS3.16 Annex L (Body Part Examined), PS3.3 C.8.1.3,
C.8.11.5 (View Position). Words in descriptions follow no standard: a row is there because scanners and
hospitals write it so (English, with some German, French, Italian and Spanish).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

View = Literal["PA", "AP", "FRONTAL", "LATERAL", "OBLIQUE", "AXIAL", ""]
Weighting = Literal["T1", "T2", "PD", "FLAIR", "T2*", "DWI"]


@dataclass(frozen=True, kw_only=True)
class BodyPart:
    """One body part.

    Parameters
    ----------
    name : this project's word for it.
    codes : SNOMED CT codes that mean it or a part of it.
    terms : values of Body Part Examined (upper case, without spaces).
    words : regular expression for whole words in descriptions (upper case).
    within : the larger part that says the same less exactly, or empty.
    """

    name: str
    codes: tuple[str, ...]
    terms: tuple[str, ...]
    words: str
    within: str = ""


BODY_PARTS: Final = (
    BodyPart(
        name="head",
        codes=("69536005", "12738006", "89546000", "42575006", "56329008", "91397008", "2095001", "363654007"),
        terms=(
            "HEAD",
            "BRAIN",
            "SKULL",
            "CRANIUM",
            "CEREBRUM",
            "NEURO",
            "PITUITARY",
            "SELLA",
            "ORBIT",
            "FACE",
            "SINUS",
        ),
        words=r"HEAD|BRAIN|SKULL|CRANI\w*|NEURO\w*|CEREBR\w*|PITUITARY|SELLA\w*|KOPF|SCH[AÄ]E?DEL|HIRN|CRANE|CERVEAU"
        r"|TESTA|ENCEF\w*|CABEZA|CRANEO|STROKE|IAC",
    ),
    BodyPart(
        name="neck", codes=("45048000", "4596009"), terms=("NECK", "LARYNX"), words=r"NECK|HALS|COU|COLLO|CUELLO|LARYNX"
    ),
    BodyPart(
        name="cervical-spine",
        codes=("122494005",),
        terms=("CSPINE", "CERVICALSPINE"),
        words=r"C[- ]?SPINE|CERVICAL|HWS",
        within="spine",
    ),
    BodyPart(
        name="thoracic-spine",
        codes=("122495006",),
        terms=("TSPINE", "THORACICSPINE"),
        words=r"T[- ]?SPINE|THORACIC SPINE|BWS|DORSAL SPINE",
        within="spine",
    ),
    BodyPart(
        name="lumbar-spine",
        codes=("122496007", "1217253001"),
        terms=("LSPINE", "LUMBARSPINE", "LSSPINE", "LUMBOSACRALSPINE"),
        words=r"L[- ]?SPINE|LS[- ]?SPINE|LUMBAR|LUMBO\w*|LWS",
        within="spine",
    ),
    BodyPart(
        name="spine",
        codes=("421060004", "54735007", "64688005", "2748008"),
        terms=("SPINE", "SSPINE", "SACRUM", "COCCYX", "TLSPINE", "CTSPINE"),
        words=r"SPINE|SPINAL|SACRUM|COCCYX|VERTEBRA\w*|WIRBELS\w*|RACHIS|COLONNA|COLUMNA",
    ),
    BodyPart(
        name="chest",
        codes=("816094009", "51185008", "39607008", "113197003", "72410000", "56873002", "86598002"),
        terms=("CHEST", "THORAX", "LUNG", "LUNGS", "RIB", "RIBS", "STERNUM", "MEDIASTINUM"),
        words=r"CHEST|THORAX|THORACIC|LUNGS?|CXR|RIBS?|STERNUM|MEDIASTIN\w*|PULMONARY|TORACE|TORAX|POUMONS?",
    ),
    BodyPart(name="heart", codes=("80891009",), terms=("HEART", "CARDIAC"), words=r"HEART|CARDIAC|CORONARY|HERZ|COEUR"),
    BodyPart(name="breast", codes=("76752008",), terms=("BREAST",), words=r"BREAST|MAMM\w*"),
    BodyPart(
        name="abdomen",
        codes=("818981001", "113345001", "15776009", "28231008", "69695003", "71854001"),
        terms=("ABDOMEN", "LIVER", "PANCREAS", "KIDNEY", "KUB", "COLON", "STOMACH", "GALLBLADDER"),
        words=r"ABDOM\w*|LIVER|PANCREAS|KIDNEYS?|RENAL|KUB|BAUCH|OBERBAUCH|LEBER|FOIE|ADDOME",
    ),
    BodyPart(
        name="hip",
        codes=("29836001", "24136001"),
        terms=("HIP", "HIPS", "HIPJOINT"),
        words=r"HIPS?|H[UÜ]E?FTE\w*|HANCHE|ANCA|CADERA",
        within="pelvis",
    ),
    BodyPart(
        name="pelvis",
        codes=("816092008", "12921003", "39723000", "22356005"),
        terms=("PELVIS", "SIJOINT", "PROSTATE", "BLADDER"),
        words=r"PELVI[SC]\w*|BECKEN|BASSIN|BACINO|SACROILIAC|PROSTATE",
    ),
    BodyPart(
        name="shoulder",
        codes=("16982005", "79601000", "51299004", "85856004"),
        terms=("SHOULDER", "CLAVICLE", "SCAPULA", "ACJOINT"),
        words=r"SHOULDERS?|CLAVIC\w*|SCAPULA|SCHULTER|EPAULE|SPALLA|HOMBRO",
        within="upper-limb",
    ),
    BodyPart(
        name="upper-arm",
        codes=("40983000", "85050009"),
        terms=("ARM", "UPPERARM", "HUMERUS"),
        words=r"HUMERUS|UPPER ARM|OBERARM",
        within="upper-limb",
    ),
    BodyPart(
        name="elbow",
        codes=("16953009",),
        terms=("ELBOW", "ELBOWJOINT"),
        words=r"ELBOWS?|ELLENBOGEN|COUDE|GOMITO|CODO",
        within="upper-limb",
    ),
    BodyPart(
        name="forearm",
        codes=("14975008",),
        terms=("FOREARM", "RADIUS", "ULNA"),
        words=r"FOREARM|RADIUS|ULNA|UNTERARM",
        within="upper-limb",
    ),
    BodyPart(
        name="wrist",
        codes=("74670003",),
        terms=("WRIST", "WRISTJOINT"),
        words=r"WRISTS?|SCAPHOID|HANDGELENK|POIGNET|POLSO",
        within="upper-limb",
    ),
    BodyPart(
        name="hand",
        codes=("85562004", "7569003", "76505004"),
        terms=("HAND", "FINGER", "THUMB"),
        words=r"HANDS?|FINGERS?|THUMBS?|MAIN|MANO",
        within="upper-limb",
    ),
    BodyPart(
        name="upper-limb",
        codes=("53120007",),
        terms=("UPPERLIMB", "UPPEREXTREMITY"),
        words=r"UPPER (?:LIMB|EXTREMITY)",
        within="extremity",
    ),
    BodyPart(
        name="thigh",
        codes=("68367000", "71341001"),
        terms=("THIGH", "FEMUR", "UPPERLEG"),
        words=r"THIGH|FEMUR|OBERSCHENKEL",
        within="lower-limb",
    ),
    BodyPart(
        name="knee",
        codes=("72696002", "64234005"),
        terms=("KNEE", "PATELLA"),
        words=r"KNEES?|PATELLA|KNIE|GENOU|GINOCCHIO|RODILLA",
        within="lower-limb",
    ),
    BodyPart(
        name="lower-leg",
        codes=("30021000", "87342007", "12611008"),
        terms=("LOWERLEG", "TIBIA", "FIBULA", "TIBFIB", "TIBIAFIBULA", "CALF", "LEG"),
        words=r"LOWER LEG|TIBIA|FIBULA|TIB[ /-]?FIB|UNTERSCHENKEL|LEGS?",
        within="lower-limb",
    ),
    BodyPart(
        name="ankle",
        codes=("70258002",),
        terms=("ANKLE", "ANKLEJOINT"),
        words=r"ANKLES?|OSG|SPRUNGGELENK|CHEVILLE|CAVIGLIA|TOBILLO",
        within="lower-limb",
    ),
    BodyPart(
        name="foot",
        codes=("56459004", "80144004", "29707007", "27949001"),
        terms=("FOOT", "TOE", "CALCANEUS", "HEEL"),
        words=r"FOOT|FEET|TOES?|CALCANE\w*|HEEL|FUSS|PIED|PIEDE",
        within="lower-limb",
    ),
    BodyPart(
        name="lower-limb",
        codes=("61685007",),
        terms=("LOWERLIMB", "LOWEREXTREMITY"),
        words=r"LOWER (?:LIMB|EXTREMITY)",
        within="extremity",
    ),
    BodyPart(name="extremity", codes=("66019005",), terms=("EXTREMITY", "LIMB"), words=r"EXTREMIT\w*|LIMBS?"),
    BodyPart(name="whole-body", codes=("38266002",), terms=("WHOLEBODY", "ENTIREBODY"), words=r"WHOLE[- ]?BODY"),
)
BODY_PART: Final = {part.name: part for part in BODY_PARTS}

VIEW_POSITIONS: Final[dict[str, View]] = {
    "PA": "PA",
    "AP": "AP",
    "LL": "LATERAL",
    "RL": "LATERAL",
    "LLD": "AP",  # decubitus: the patient lies on the side, the beam still goes front to back or back to front
    "RLD": "AP",
    "LLO": "OBLIQUE",
    "RLO": "OBLIQUE",
    "LAT": "LATERAL",
    "LATERAL": "LATERAL",
    "LPO": "OBLIQUE",
    "RPO": "OBLIQUE",
    "LAO": "OBLIQUE",
    "RAO": "OBLIQUE",
    "OBL": "OBLIQUE",
    "OBLIQUE": "OBLIQUE",
    "AXIAL": "AXIAL",
    "FRONTAL": "FRONTAL",
}

VIEW_CODES: Final[dict[str, View]] = {
    "272479007": "PA",
    "399348003": "AP",
    "399033003": "FRONTAL",
    "399067008": "LATERAL",
    "399198007": "LATERAL",
    "399173006": "LATERAL",
    "399260004": "LATERAL",
    "399352003": "LATERAL",
    "399182000": "OBLIQUE",
    "399236003": "OBLIQUE",
    "399184004": "OBLIQUE",
    "399038007": "OBLIQUE",
    "399135007": "OBLIQUE",
    "399356000": "OBLIQUE",
    "399006002": "OBLIQUE",
    "399312000": "OBLIQUE",
    "399059000": "OBLIQUE",
    "260426006": "OBLIQUE",
    "260427002": "OBLIQUE",
    "399061009": "AXIAL",
}

VIEW_WORDS: Final[tuple[tuple[str, View], ...]] = (
    (r"OBL\w*", "OBLIQUE"),
    (r"LAT|LATERAL\w*|SEITLICH|PROFIL|L-?L", "LATERAL"),
    (r"PA|P\.A\.", "PA"),
    (r"AP|A\.P\.", "AP"),
    (r"FRONTAL|FACE", "FRONTAL"),
    (r"AXIAL|AXILLARY|AXIOLATERAL|SUNRISE|SKYLINE", "AXIAL"),
)

PORTABLE_WORDS: Final = r"PORTABLE|PORT|BEDSIDE|MOBILE|BETTAUFNAHME|AU LIT|A LETTO|SEMI[- ]?ERECT"
PORTABLE_MODELS: Final = r"MOBILETT\w*|MOBILEDIAGNOST\w*|MOBILEDART\w*|DRX[- ]?REVOLUTION|AMX[- ]?\d*|OPTIMA XR2\d\d\w*"
"""Product names of mobile X-ray units (Siemens, Philips, Shimadzu, Carestream, GE)."""

WITHOUT_CONTRAST: Final = (
    r"WITHOUT|W/O|WO|NON[- ]?CON\w*|NONCON\w*|UNENHANCED|NATIVE?|PLAIN|PRE|PRE[- ]?CONTRAST|PRE[- ]?GAD\w*|NCCT|NECT|C-"
    r"|SANS (?:INJ\w*|IV)|OHNE KM|SENZA|NO CONTRAST|SIN CONTRASTE"
)
WITH_CONTRAST: Final = (
    r"\+ ?C|C ?\+|E ?\+ ?\d?|\+ ?GAD\w*|POST(?![- ]?OP)|POST[- ]?(?:CONTRAST|GAD\w*|GD|CON)|GAD\w*|\+?GD|CE|CECT"
    r"|ENHANCED|W/ ?(?:CON\w*|GAD\w*|C)|WITH (?:CONTRAST|GAD\w*|IV|C)|CONTRAST|MIT KM|KM|INJ|CTA|CTPA|DCE|OMNISCAN"
    r"|GADOVIST|DOTAREM|MAGNEVIST|MULTIHANCE|ARTERIAL|VENOUS|PORTAL"
)
NO_AGENT: Final = frozenset(
    {"NONE", "NO", "N", "0", "WITHOUT", "W/O", "NO CONTRAST", "NIL", "N/A", "NA", "-", "NON", "NULL"}
)
"""What people type into Contrast/Bolus Agent when there was none (the standard wants it empty then)."""

# PS3.3 C.8.13.3.1.1, Acquisition Contrast
ACQUISITION_CONTRASTS: Final[dict[str, Weighting]] = {
    "T1": "T1",
    "T2": "T2",
    "T2_STAR": "T2*",
    "PROTON_DENSITY": "PD",
    "FLUID_ATTENUATED": "FLAIR",
    "DIFFUSION": "DWI",
}

# in order: the first that fits names the weighting ("T1 FLAIR" is T1-weighted; "T2 FLAIR" is FLAIR)
WEIGHTING_WORDS: Final[tuple[tuple[str, Weighting], ...]] = (
    (r"DWI|ADC|DIFF\w*|EP2D_DIFF|TRACEW?", "DWI"),
    (r"T2 ?\*|T2[- _]?STAR|SWI|SWAN|VEN_BOLD|HEMO|GRE T2|MEDIC", "T2*"),
    (r"T1[- _]?FLAIR|T1 ?W?|T1W\w*|MP[- ]?RAGE|SPGR|BRAVO|T1_\w+|VIBE|FLASH3D", "T1"),
    (r"FLAIR\w*|DARK[- ]?FLUID|TIRM|T2[- _]?FLAIR", "FLAIR"),
    (r"T2 ?W?|T2W\w*|T2_\w+|HASTE|SSFSE|CISS|FIESTA", "T2"),
    (r"PD|PDW|PD_\w+|PROTON ?DENSITY|RHO|DP", "PD"),
)


def words(pattern: str) -> re.Pattern[str]:
    """A pattern that finds whole words only; underscores and signs part words, letters and digits don't.

    >>> bool(words("PRE").search("AX PRE")), bool(words("PRE").search("PRESS"))
    (True, False)
    """
    return re.compile(rf"(?<![A-Z0-9])(?:{pattern})(?![A-Z0-9*])")
