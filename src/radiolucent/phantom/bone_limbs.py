"""Bones of wrist, ankle and knee, by view.

mm; u to the right of the picture, z up, the joint at the origin. All paired parts show the right side of the patient;
the left is its mirror image. Drawn by hand to read as the bone at a glance.
"""

from __future__ import annotations

from radiolucent.phantom.bone_shapes import (
    Bone,
    Break,
    Metal,
    SiteView,
    outline,
    oval,
    shaft,
)

WRIST_PA = SiteView(
    bones=(
        Bone(
            name="radius",
            deep_mm=20,
            cortex_mm=3.2,
            parts=(
                outline(
                    "-22 -165, -22 -75, -23 -42, -26 -22, -30 -8, -29 4, -26 9, -21 5, -13 1, -4 -1, -2 -6, "
                    "-5 -15, -8 -30, -9 -52, -9 -85, -9 -165"
                ),
            ),
        ),
        Bone(
            name="ulna",
            deep_mm=16,
            cortex_mm=3.2,
            parts=(
                outline(
                    "4 -165, 4 -60, 4 -25, 2 -11, 1 -5, 5 -3, 9 -4, 12 2, 14 4, 15 -1, 15 -9, 13 -20, 13 -50, 13 -165"
                ),
            ),
        ),
        Bone(
            name="scaphoid",
            deep_mm=14,
            parts=(outline("-23 12, -25 18, -22 25, -17 26, -14.5 21, -13 13, -14 7, -19 8"),),
        ),
        Bone(name="lunate", deep_mm=14, parts=(outline("-11 6, -11.5 14, -7 17, -1 16, 1 10, -1 4, -6 3"),)),
        Bone(name="triquetrum", deep_mm=12, parts=(outline("3 8, 2.5 16, 7 21, 12 19, 13 12, 8 6"),)),
        Bone(name="pisiform", deep_mm=8, parts=(oval((10.5, 13), (4.5, 5)),)),
        Bone(name="hamate", deep_mm=15, parts=(outline("1 20, 0.5 32, 5 37, 13 35, 13 26, 8 21"),)),
        Bone(name="capitate", deep_mm=16, parts=(outline("-11 20, -11 30, -10 38, -3 38, -1 30, -1.5 20, -6 17.5"),)),
        Bone(name="trapezoid", deep_mm=12, parts=(outline("-17 28, -18 36, -13 38, -12 31, -13.5 27.5"),)),
        Bone(name="trapezium", deep_mm=13, parts=(outline("-25 27, -29 34, -24 40, -19.5 36, -18 28, -21 26"),)),
        Bone(
            name="metacarpal 1",
            deep_mm=13,
            cortex_mm=2.4,
            parts=(shaft((-31, 44), (-54, 82), (6.5, 4.6, 4.2, 4.8, 6.5)),),
        ),
        Bone(
            name="metacarpal 2",
            deep_mm=13,
            cortex_mm=2.4,
            parts=(shaft((-18, 43), (-23, 102), (7, 4.8, 4.2, 4.6, 6.5)),),
        ),
        Bone(
            name="metacarpal 3",
            deep_mm=13,
            cortex_mm=2.4,
            parts=(shaft((-7.5, 43), (-8, 106), (6, 4.5, 4.1, 4.6, 6.5)),),
        ),
        Bone(
            name="metacarpal 4", deep_mm=12, cortex_mm=2.2, parts=(shaft((2.5, 42), (7, 99), (5, 3.8, 3.5, 4.0, 5.8)),)
        ),
        Bone(
            name="metacarpal 5",
            deep_mm=12,
            cortex_mm=2.2,
            parts=(shaft((10, 40), (21, 92), (5.5, 4.0, 3.6, 4.0, 5.6)),),
        ),
        Bone(name="phalanx 1", deep_mm=12, cortex_mm=2, parts=(shaft((-58, 92), (-72, 116), (6, 4.2, 5)),)),
        Bone(name="phalanx 2", deep_mm=12, cortex_mm=2, parts=(shaft((-24, 114), (-27, 150), (6.5, 4.6, 5)),)),
        Bone(name="phalanx 3", deep_mm=12, cortex_mm=2, parts=(shaft((-8, 118), (-8, 160), (6.5, 4.8, 5)),)),
        Bone(name="phalanx 4", deep_mm=12, cortex_mm=2, parts=(shaft((8, 111), (11, 150), (6, 4.4, 5)),)),
        Bone(name="phalanx 5", deep_mm=12, cortex_mm=2, parts=(shaft((23, 103), (29, 132), (5.5, 4, 4.5)),)),
    ),
    soft=(
        outline(
            "-31 -130, -32 -40, -38 5, -48 40, -74 90, -90 130, -60 150, -36 200, 16 200, 40 150, 33 "
            "80, 27 30, 26 0, 25 -50, 25 -130"
        ),
        34,
    ),
    breaks=(
        Break(bone="radius", place=(-16, -18), axis=90, span_mm=24),
        Break(bone="scaphoid", place=(-19, 16), axis=60, span_mm=12),
        Break(bone="ulna", place=(9, -30), axis=90, span_mm=12),
        Break(bone="metacarpal 5", place=(18, 80), axis=76, span_mm=9),
    ),
    metal=(
        Metal(kind="plate", points=((-15, -62), (-16, -4))),
        Metal(kind="wires", points=outline("-30 -2, -8 -38, -26 8, -12 -44")),
    ),
    field_mm=215,
    centre=(-12, 15),
)
WRIST_LATERAL = SiteView(
    bones=(
        Bone(
            name="ulna",
            deep_mm=12,
            cortex_mm=3,
            parts=(outline("0 -165, 1 -50, 0 -15, -1 -4, 4 2, 9 0, 12 -8, 10 -20, 10 -50, 10 -165"),),
        ),
        Bone(
            name="radius",
            deep_mm=24,
            cortex_mm=3.2,
            parts=(
                outline(
                    "-8 -165, -7 -60, -9 -25, -12 -8, -11 -1, -4 -4, 3 -1, 9 4, 11 -4, 10 -18, 7 -40, 5 -80, 5 -165"
                ),
            ),
        ),
        Bone(name="lunate", deep_mm=13, parts=(outline("-9 3, -12 12, -5 14, 0 11, 5 15, 8 8, 5 2, -2 -1"),)),
        Bone(name="scaphoid", deep_mm=11, parts=(shaft((0, 6), (-14, 24), (6, 5, 6)),)),
        Bone(name="capitate", deep_mm=16, parts=(outline("-6 16, -7 26, -9 38, 6 38, 6 26, 5 18, 0 13"),)),
        Bone(name="trapezium", deep_mm=11, parts=(oval((-17, 33), (8, 8)),)),
        Bone(name="metacarpal 1", deep_mm=12, cortex_mm=2.4, parts=(shaft((-23, 42), (-46, 80), (6.5, 4.4, 6)),)),
        Bone(name="metacarpal 2", deep_mm=14, cortex_mm=2.4, parts=(shaft((-2, 42), (-5, 104), (7, 4.5, 4.2, 5, 7)),)),
        Bone(name="metacarpal 3", deep_mm=14, cortex_mm=2.4, parts=(shaft((2, 42), (2, 106), (7, 4.5, 4.2, 5, 7)),)),
        Bone(name="phalanges", deep_mm=18, cortex_mm=2, parts=(shaft((-2, 116), (-6, 156), (7, 5, 6)),)),
    ),
    soft=(
        outline(
            "-22 -130, -22 -30, -26 15, -60 80, -66 110, -40 110, -22 90, -26 200, 16 200, 20 100, 18 "
            "30, 19 -40, 19 -130"
        ),
        62,
    ),
    breaks=(Break(bone="radius", place=(0, -19), axis=90, span_mm=20),),
    metal=(Metal(kind="plate", points=((-9, -62), (-12, -6))),),
    field_mm=215,
    centre=(-12, 15),
)
ANKLE_AP = SiteView(
    bones=(
        Bone(
            name="calcaneus",
            deep_mm=30,
            marrow=0.6,
            parts=(outline("-14 -26, -18 -40, -15 -58, 0 -64, 12 -58, 14 -42, 10 -27"),),
        ),
        Bone(
            name="talus",
            deep_mm=34,
            parts=(outline("-18 -4, -10 -1.5, 3 -1.5, 12 -3, 12.5 -9, 15 -18, 10 -27, -8 -29, -17 -25, -19.5 -12"),),
        ),
        Bone(
            name="fibula",
            deep_mm=16,
            cortex_mm=3,
            parts=(
                outline(
                    "-31 195, -30 60, -32 25, -35 5, -36 -10, -32 -24, -28 -26, -24 -15, -23 0, -24 15, -23 "
                    "35, -21 60, -22 195"
                ),
            ),
        ),
        Bone(
            name="tibia",
            deep_mm=34,
            cortex_mm=4.2,
            parts=(
                outline(
                    "-13 195, -14 70, -17 36, -20 16, -20.5 4, -10 2.5, 5 3, 13 3, 15.5 -4, 18 -12, 22 -13, "
                    "25 -6, 25 7, 22 21, 17 45, 14 80, 13 195"
                ),
            ),
        ),
    ),
    soft=(outline("-45 150, -42 60, -45 0, -47 -40, -36 -85, 30 -85, 40 -40, 38 0, 30 50, 36 150"), 74),
    breaks=(
        Break(bone="fibula", place=(-28, 4), axis=78, span_mm=14),
        Break(bone="tibia", place=(20, 1), axis=60, span_mm=13),
        Break(bone="tibia", place=(0, 48), axis=88, span_mm=32),
    ),
    metal=(
        Metal(kind="plate", points=((-30, 62), (-36, -12))),
        Metal(kind="screws", points=outline("20 -10, -2 28, 25 -8, 6 30")),
    ),
    field_mm=215,
    centre=(-3, 28),
)
ANKLE_LATERAL = SiteView(
    bones=(
        Bone(
            name="fibula",
            deep_mm=13,
            cortex_mm=2.6,
            parts=(outline("1 195, 3 50, 1 5, -2 -18, 4 -27, 11 -20, 12 0, 12 50, 10 195"),),
        ),
        Bone(name="metatarsal 1", deep_mm=15, cortex_mm=2, parts=(shaft((-54, -14), (-118, -46), (6, 4.5, 4, 5)),)),
        Bone(name="metatarsal 3", deep_mm=14, cortex_mm=2, parts=(shaft((-56, -24), (-116, -50), (6, 4, 3.6, 4.5)),)),
        Bone(name="metatarsal 5", deep_mm=12, cortex_mm=2, parts=(shaft((-54, -38), (-112, -56), (6, 4, 3.6, 4.5)),)),
        Bone(
            name="calcaneus",
            deep_mm=32,
            marrow=0.9,
            parts=(
                outline(
                    "-32 -29, -22 -24, -10 -26, 2 -21, 14 -16, 28 -17, 46 -20, 54 -32, 51 -48, 38 -55, 10 "
                    "-46, -12 -42, -31 -42"
                ),
            ),
        ),
        Bone(
            name="talus",
            deep_mm=32,
            parts=(
                outline(
                    "-14 -3, -5 0.5, 6 0.5, 14 -4, 19 -12, 10 -17, -3 -17, -14 -22, -30 -21, -35 -13, -32 -6, -22 -8"
                ),
            ),
        ),
        Bone(name="navicular", deep_mm=26, parts=(outline("-37 -5, -44 -7, -47 -19, -41 -25, -36.5 -15"),)),
        Bone(name="cuboid", deep_mm=24, parts=(outline("-34 -28, -50 -30, -53 -44, -35 -44"),)),
        Bone(
            name="tibia",
            deep_mm=36,
            cortex_mm=4.2,
            parts=(
                outline("-13 195, -13 60, -16 22, -19 6, -17 0, -8 4, 4 4, 11 0, 16 -6, 18 5, 15 25, 13 60, 13 195"),
            ),
        ),
    ),
    soft=(
        outline(
            "-30 150, -24 60, -26 15, -60 -5, -130 -40, -130 -66, -60 -60, 40 -66, 64 -50, 62 -20, 38 10, 30 50, 40 150"
        ),
        78,
    ),
    breaks=(
        Break(bone="tibia", place=(0, 46), axis=90, span_mm=29),
        Break(bone="calcaneus", place=(14, -32), axis=-10, span_mm=28),
        Break(bone="fibula", place=(7, 14), axis=85, span_mm=11),
    ),
    metal=(Metal(kind="plate", points=((6, 62), (5, -14))),),
    field_mm=235,
    centre=(-22, 26),
)
KNEE_AP = SiteView(
    bones=(
        Bone(
            name="fibula",
            deep_mm=14,
            cortex_mm=3,
            parts=(outline("-45 -205, -44 -60, -47 -36, -47 -25, -41 -19, -35 -23, -35 -35, -36 -60, -36 -205"),),
        ),
        Bone(
            name="tibia",
            deep_mm=42,
            cortex_mm=5,
            parts=(
                outline(
                    "-14 -205, -14 -85, -18 -52, -28 -33, -38 -21, -39 -10, -30 -8, -14 -9, -5 -4, 0 -8, 5 "
                    "-4, 14 -9, 30 -9, 39 -11, 38 -22, 28 -35, 19 -54, 14 -90, 13 -205"
                ),
            ),
        ),
        Bone(
            name="femur",
            deep_mm=48,
            cortex_mm=5.5,
            parts=(
                outline(
                    "-16 195, -16 85, -19 52, -28 33, -38 21, -40 8, -34 -2, -22 -4, -11 -1, -6 7, 0 12, 6 7, "
                    "11 -1, 22 -5, 35 -3, 42 8, 40 23, 30 35, 19 54, 16 88, 16 195"
                ),
            ),
        ),
        Bone(name="patella", deep_mm=16, parts=(oval((-2, 27), (21, 22)),)),
    ),
    soft=(outline("-64 160, -58 60, -58 0, -60 -50, -56 -170, 48 -170, 54 -60, 56 0, 58 60, 70 160"), 118),
    breaks=(
        Break(bone="tibia", place=(-26, -17), axis=35, span_mm=28),
        Break(bone="femur", place=(0, 60), axis=90, span_mm=36),
        Break(bone="tibia", place=(0, -62), axis=90, span_mm=34),
        Break(bone="fibula", place=(-40, -44), axis=90, span_mm=10),
    ),
    metal=(Metal(kind="plate", points=((-34, -14), (-16, -92))), Metal(kind="nail", points=((0, 160), (0, 14)))),
    field_mm=260,
    centre=(0, 0),
)
KNEE_LATERAL = SiteView(
    bones=(
        Bone(
            name="fibula",
            deep_mm=13,
            cortex_mm=3,
            parts=(outline("18 -205, 19 -60, 17 -36, 21 -28, 28 -32, 27 -60, 27 -205"),),
        ),
        Bone(
            name="tibia",
            deep_mm=52,
            cortex_mm=5,
            parts=(
                outline(
                    "-14 -205, -16 -70, -22 -46, -25 -30, -22 -17, -10 -14, 8 -15, 24 -17, 26 -25, 17 -38, 13 "
                    "-62, 12 -205"
                ),
            ),
        ),
        Bone(
            name="femur",
            deep_mm=56,
            cortex_mm=5.5,
            parts=(
                outline(
                    "-14 195, -13 70, -17 42, -25 27, -28 10, -24 -4, -12 -11, 6 -13, 22 -9, 31 4, 30 19, 22 "
                    "29, 13 42, 13 75, 15 195"
                ),
            ),
        ),
        Bone(
            name="patella",
            deep_mm=34,
            cortex_mm=2.5,
            parts=(outline("-39 31, -44 20, -43 4, -37 -3, -32 5, -31.5 20, -34 30"),),
        ),
    ),
    soft=(outline("-54 160, -52 60, -56 20, -46 -20, -38 -60, -32 -170, 62 -170, 60 -60, 52 -5, 60 60, 66 160"), 112),
    breaks=(
        Break(bone="patella", place=(-37, 14), axis=88, span_mm=12),
        Break(bone="femur", place=(0, 58), axis=90, span_mm=28),
        Break(bone="tibia", place=(-4, -58), axis=90, span_mm=32),
    ),
    metal=(
        Metal(kind="nail", points=((0, -20), (0, -165))),
        Metal(kind="wires", points=outline("-42 24, -34 -2, -34 26, -42 2")),
    ),
    field_mm=260,
    centre=(4, 0),
)
