"""Bones of shoulder, pelvis and lumbar spine, by view.

mm; u to the right of the picture, z up, the joint at the origin. All paired parts show the right side of the patient;
the left is its mirror image. Drawn by hand to read as the bone at a glance.
"""

from __future__ import annotations

from radiolucent.phantom.bone_shapes import (
    Bone,
    Break,
    Metal,
    Outline,
    SiteView,
    mirrored,
    outline,
    oval,
    rib,
    shaft,
    vertebra,
)

SHOULDER_AP = SiteView(
    bones=(
        Bone(
            name="ribs",
            deep_mm=8,
            cortex_mm=1.6,
            marrow=0.6,
            parts=(rib(36, 52), rib(8, 60), rib(-22, 62), rib(-52, 60), rib(-84, 58)),
        ),
        Bone(
            name="scapula",
            deep_mm=9,
            cortex_mm=1.6,
            marrow=0.7,
            parts=(
                outline(
                    "1 14, 10 22, 30 37, 58 47, 72 44, 70 10, 56 -50, 44 -96, 36 -98, 28 -70, 16 -35, 5 -23, "
                    "0 -17, 3 -2"
                ),
            ),
        ),
        Bone(
            name="acromion",
            deep_mm=14,
            parts=(outline("-43 37, -50 45, -40 52, -10 56, 24 54, 44 46, 40 39, 10 44, -20 41"),),
        ),
        Bone(name="coracoid", deep_mm=14, parts=(outline("12 18, 6 34, -6 30, -15 18, -10 13, 0 20"),)),
        Bone(
            name="humerus",
            deep_mm=42,
            cortex_mm=4.6,
            parts=(
                outline(
                    "-52 -200, -51 -65, -50 -38, -55 -20, -58 2, -54 16, -46 22, -34 25, -20 22, -8 12, -4 "
                    "-2, -10 -16, -22 -28, -30 -40, -32 -65, -32 -200"
                ),
            ),
        ),
        Bone(
            name="clavicle",
            deep_mm=14,
            cortex_mm=2.8,
            parts=(
                outline("-22 51, -26 60, -14 66, 20 72, 60 64, 100 60, 128 62, 140 54, 120 46, 90 46, 60 52, 22 58"),
            ),
        ),
    ),
    soft=(outline("-86 -160, -88 -40, -80 30, -50 68, 10 86, 60 100, 90 150, 170 150, 170 -160"), 120),
    breaks=(
        Break(bone="humerus", place=(-40, -36), axis=95, span_mm=24),
        Break(bone="clavicle", place=(62, 58), axis=-8, span_mm=14),
        Break(bone="humerus", place=(-50, 6), axis=55, span_mm=16),
    ),
    metal=(Metal(kind="plate", points=((-54, 6), (-50, -80))), Metal(kind="plate", points=((25, 68), (98, 56)))),
    field_mm=250,
    centre=(20, -28),
)

_ILIUM: Outline = outline(
    "-50 34, -42 50, -44 78, -62 103, -92 112, -120 101, -134 74, -130 46, -120 22, -112 4, "
    "-116 -12, -112 -22, -96 -16, -78 -20, -64 -30, -58 -18, -54 6"
)
_HIP: tuple[Outline, ...] = (
    _ILIUM,
    oval((-74, -32), (17, 24)),
    shaft((-72, -44), (-10, -62), (12, 8, 8.5, 11)),
    shaft((-10, -64), (-48, -104), (10, 7, 8)),
    shaft((-74, -44), (-58, -104), (14, 11, 13)),
)
_FEMUR: Outline = outline(
    "-92 -14, -76 -20, -67 -36, -72 -54, -86 -62, -99 -66, -107 -82, -104 -96, -110 -125, "
    "-113 -290, -144 -290, -144 -125, -150 -92, -154 -70, -147 -52, -136 -46, -124 -46, -113 "
    "-34, -106 -20"
)
PELVIS_AP = SiteView(
    bones=(
        Bone(name="lumbar 5", deep_mm=34, parts=(outline("-27 70, -25 82, -27 94, 0 92, 27 94, 25 82, 27 70, 0 72"),)),
        Bone(
            name="lumbar 4",
            deep_mm=34,
            parts=(outline("-26 103, -24 116, -26 129, 0 127, 26 129, 24 116, 26 103, 0 105"),),
        ),
        Bone(
            name="sacrum",
            deep_mm=30,
            marrow=0.8,
            parts=(
                outline(
                    "-50 52, -53 34, -40 -4, -20 -36, -6 -52, 6 -52, 20 -36, 40 -4, 53 34, 50 52, 28 64, 0 60, -28 64"
                ),
            ),
        ),
        Bone(name="right hip", deep_mm=24, cortex_mm=2.2, marrow=0.8, parts=_HIP),
        Bone(name="left hip", deep_mm=24, cortex_mm=2.2, marrow=0.8, parts=tuple(mirrored(part) for part in _HIP)),
        Bone(name="right femur", deep_mm=44, cortex_mm=6, parts=(_FEMUR,)),
        Bone(name="left femur", deep_mm=44, cortex_mm=6, parts=(mirrored(_FEMUR),)),
    ),
    soft=(
        outline(
            "-170 170, -178 80, -190 0, -198 -90, -190 -240, -20 -240, 0 -160, 20 -240, 190 -240, 198 "
            "-90, 190 0, 178 80, 170 170"
        ),
        190,
    ),
    breaks=(
        Break(bone="right femur", place=(-110, -52), axis=135, span_mm=32),
        Break(bone="left femur", place=(126, -78), axis=60, span_mm=46),
        Break(bone="right hip", place=(-40, -52), axis=-16, span_mm=16),
        Break(bone="left hip", place=(30, -84), axis=-45, span_mm=14),
        Break(bone="left femur", place=(110, -52), axis=45, span_mm=32),
    ),
    metal=(
        Metal(kind="prosthesis", points=outline("-88 -38, -112 -66, -128 -160")),
        Metal(kind="screws", points=outline("140 -84, 84 -32, 146 -76, 88 -24, 136 -92, 88 -44")),
    ),
    field_mm=400,
    centre=(0, -22),
    paired=False,
)


_BODY_LATERAL: Outline = outline(
    "-17 14.5, -9 14, 0 13.4, 9 14, 16.5 14.5, 16.5 8, 15.9 0, 16.5 -8, 16.5 -14.5, 9 -14, 0 "
    "-13.4, -9 -14, -17 -14.5, -16.6 -8, -15.9 0, -16.6 8"
)
_BEHIND: tuple[Outline, ...] = (
    shaft((12, 6), (28, 5), (5.5, 4.5, 5)),
    shaft((27, 14), (30, -16), (4, 5.5, 4)),
    outline("30 2, 46 -2, 64 -8, 66 -18, 50 -19, 34 -12"),
)
_LEVELS = (
    ("thoracic 12", (-2.0, 103.0), -6.0),
    ("lumbar 1", (-4.0, 66.0), -3.0),
    ("lumbar 2", (-8.0, 29.0), 2.0),
    ("lumbar 3", (-10.0, -8.0), 8.0),
    ("lumbar 4", (-7.0, -45.0), 14.0),
    ("lumbar 5", (2.0, -81.0), 26.0),
)
SPINE_LATERAL = SiteView(
    bones=(
        *(
            Bone(name=name, deep_mm=42, cortex_mm=1.6, parts=vertebra(place, tilt, _BODY_LATERAL, _BEHIND))
            for name, place, tilt in _LEVELS
        ),
        Bone(
            name="sacrum",
            deep_mm=46,
            cortex_mm=1.6,
            parts=(outline("0 -98, 18 -108, 34 -96, 52 -112, 66 -150, 72 -200, 58 -200, 44 -160, 22 -128"),),
        ),
    ),
    soft=(outline("-150 160, -150 -220, 112 -220, 106 -100, 84 -20, 92 60, 98 160"), 230),
    breaks=(
        Break(bone="lumbar 1", place=(-4, 66), axis=87, span_mm=32, crushes=True),
        Break(bone="lumbar 3", place=(-10, -8), axis=98, span_mm=32, crushes=True),
        Break(bone="thoracic 12", place=(-2, 103), axis=84, span_mm=32, crushes=True),
    ),
    metal=(
        Metal(kind="screws", points=outline("34 -40, -14 -46, 32 -74, -6 -88")),
        Metal(kind="nail", points=((40, -32), (38, -84))),
    ),
    field_mm=300,
    centre=(0, -20),
    paired=False,
)
_BODY_AP: Outline = outline(
    "-20.5 14.5, -10 14, 0 13.6, 10 14, 20.5 14.5, 19.4 8, 18.6 0, 19.4 -8, 20.5 -14.5, 10 "
    "-14, 0 -13.6, -10 -14, -20.5 -14.5, -19.4 -8, -18.6 0, -19.4 8"
)
SPINE_AP = SiteView(
    bones=(
        *(
            Bone(
                name=name,
                deep_mm=32,
                cortex_mm=1.6,
                parts=vertebra(
                    (0.0, place[1]),
                    0.0,
                    _BODY_AP,
                    (shaft((-18, 4), (-42, 6), (4.5, 3, 3)), shaft((18, 4), (42, 6), (4.5, 3, 3))),
                ),
            )
            for name, place, _ in _LEVELS
        ),
        *(
            Bone(
                name=f"pedicles {name}",
                deep_mm=12,
                cortex_mm=1.8,
                marrow=0.3,
                parts=(
                    oval((-13, place[1] + 4), (4.5, 6)),
                    oval((13, place[1] + 4), (4.5, 6)),
                    (
                        (-2.5, place[1] - 2),
                        (0, place[1] + 1),
                        (2.5, place[1] - 2),
                        (4, place[1] - 16),
                        (0, place[1] - 19),
                        (-4, place[1] - 16),
                    ),
                ),
            )
            for name, place, _ in _LEVELS
        ),
        Bone(
            name="sacrum",
            deep_mm=28,
            parts=(
                outline(
                    "-50 -104, -54 -124, -40 -160, -20 -196, 20 -196, 40 -160, 54 -124, 50 -104, 28 -96, 0 "
                    "-100, -28 -96"
                ),
            ),
        ),
        Bone(
            name="ribs",
            deep_mm=9,
            cortex_mm=1.6,
            marrow=0.5,
            parts=(
                shaft((-24, 106), (-92, 74), (5, 5.5, 5)),
                shaft((24, 106), (92, 74), (5, 5.5, 5)),
                shaft((-24, 195), (-120, 104), (5.5, 6, 6)),
                shaft((24, 195), (120, 104), (5.5, 6, 6)),
            ),
        ),
        Bone(
            name="right hip",
            deep_mm=18,
            parts=(
                outline("-58 -100, -64 -84, -90 -70, -120 -72, -140 -100, -130 -150, -110 -200, -76 -200, -60 -150"),
            ),
        ),
        Bone(
            name="left hip",
            deep_mm=18,
            parts=(outline("58 -100, 64 -84, 90 -70, 120 -72, 140 -100, 130 -150, 110 -200, 76 -200, 60 -150"),),
        ),
    ),
    soft=(outline("-160 160, -150 0, -165 -220, 165 -220, 150 0, 160 160"), 190),
    breaks=(
        Break(bone="lumbar 1", place=(0, 66), axis=90, span_mm=38, crushes=True),
        Break(bone="lumbar 2", place=(0, 29), axis=90, span_mm=38, crushes=True),
    ),
    metal=(
        Metal(kind="screws", points=outline("-15 -40, -8 -46, 15 -40, 8 -46, -16 -78, -8 -84, 16 -78, 8 -84")),
        Metal(kind="nail", points=((-16, -34), (-17, -86))),
        Metal(kind="nail", points=((16, -34), (17, -86))),
    ),
    field_mm=300,
    centre=(0, -20),
    paired=False,
)
