"""Bleeds on head CT without contrast: recipe and scope."""

from radiolucent.training.recipe import PHOTOGRAPHS, Augmentation, EngineRecipe, Loss, Scope

_KINDS = (
    "epidural-haemorrhage",
    "subdural-haemorrhage",
    "subarachnoid-haemorrhage",
    "intraparenchymal-haemorrhage",
    "intraventricular-haemorrhage",
)

RECIPE = EngineRecipe(
    engine="head-ct",
    title="Intracranial bleeds on head CT without contrast",
    summary="Bleeds of five kinds, mixed and any, per slice, with the evidence for each at 3.8 mm cells.",
    findings=(*_KINDS, "any-haemorrhage", "acute-infarct", "mixed-haemorrhage"),
    preprocess="head-ct",
    size=224,
    canvas=240,
    spacing_mm=0.95,
    step=2 / 255,
    offset=-1.0,
    exclusive=False,
    outline_core="blood",
    phantom_findings=("acute-infarct",),
    prior_rows={"source": "subtypes"},
    umbrella={"any-haemorrhage": _KINDS},
    several={"mixed-haemorrhage": _KINDS},
    synthetic_kind="head-ct",
    synthetic_options={"rows": [256], "slices": [20]},
    synthetic_findings=(
        ("epidural-haemorrhage",),
        ("subdural-haemorrhage",),
        ("subarachnoid-haemorrhage",),
        ("intraventricular-haemorrhage",),
        ("mixed-haemorrhage",),
        ("acute-infarct",),
        ("subdural-haemorrhage",),
        ("subarachnoid-haemorrhage",),
        ("intraparenchymal-haemorrhage",),
        (),
    ),
    synthetic_share=0.2,
    even_folders=True,
    network={
        "backbone": "efficientnet-lite0",
        "stem": 16,
        "widths": [24, 48, 96, 128],
        "depths": [1, 2, 3, 2],
        "top": 48,
        "grid_stride": 4,
        "pooling": "log-sum-exp",
        "sharpness": 2.0,
    },
    augmentation=Augmentation(
        rotation=25.0,
        scale=(0.8, 1.2),
        shift=12.0,
        flip_rows=True,
        gamma=0.12,
        contrast=0.12,
        bias_field=0.06,
        noise=0.08,
        mirror=0.12,
        cut=0.05,
        level=0.12,
        brightest=2.0,
    ),
    loss=Loss(image=0.5, evidence=5.0, overlap=0.5, inside=4.0, cells="independent"),
    balance=0.6,
    epochs=20,
    batch=16,
    learning_rate=1e-3,
)

SCOPE = Scope(
    engine="head-ct",
    version="0.5.0",
    study_rule="largest-slab",
    slab_mm=10.0,
    licence="CC-BY-NC-4.0",
    data=(
        "PHE-SICH-CT-IDS: 75 training and 20 validation patients, whole series of spontaneous bleeds in the basal "
        "ganglia, 8-bit brain window (2211 and 588 slices)",
        "Slices with five kinds of bleed, 8-bit brain window: 218 training and 38 validation slices of 40 case groups",
        PHOTOGRAPHS,
    ),
    terms=(
        "PHE-SICH-CT-IDS: research, non-commercial; the slices with kinds of bleed: CC BY 4.0; so weights are given on "
        "for non-commercial use only"
    ),
    intended=(
        "Research: show where and how strongly a slice of a head CT without contrast looks like a fresh bleed, and of "
        "which kind. Not for clinical use."
    ),
    splits=(
        "By patient and by (approximate) case group. Validation chose calibration, operating points and display "
        "scales; the second set's was looked at when the last leg of the first fit was shortened from 24 epochs to 19, "
        "and both when the rule for operating points came to count the folders, when a second fit was joined instead "
        "of reading the mirror image as well, and when that fit went on from 10 epochs to 20. The weights are those "
        "after the last epochs. "
        "Slices beside a slice with a bleed have no label and aren't counted. Of the kinds, validation holds two "
        "slices with a subdural, one with a subarachnoid and none with an intraventricular or a mixed bleed: their "
        "figures say little or are missing."
    ),
    shortcuts=(
        "Nearly all intraparenchymal bleeds come from one source and nearly all epidural ones from another: what tells "
        "the sources apart may carry the kind. Slices without a bleed come from both.",
        "A slice of the series without a mask is a weak negative; extension into ventricles and subarachnoid space "
        "isn't labelled there and taught nothing on slices with a bleed.",
        "The network sees the brain window alone: every real picture is that window in 8 bits, so a subdural or bone "
        "window could come from synthetic heads only and would tell drawn heads from real ones.",
        "Inside the boxes only what is denser than brain, within the skull, counted as bleed in training; the figures "
        "compare with the whole boxes, which in the series hold the oedema as well, so Dice is low by construction.",
        "A fifth of the images that the fit drew are slices of synthetic heads; no figure here was measured on them.",
    ),
    tables={
        "modalities": ["CT"],
        "body_parts": ["HEAD", "BRAIN"],
        "limits": [
            "Contrast in vessels and calcifications are bright like blood: only for scans without contrast.",
            "Learned from 8-bit pictures of the brain window; scans in HU are drawn through the same window, and no "
            "real scan in HU was there to measure it on.",
            "Subdural, subarachnoid and intraventricular bleeds were learned from 31, 11 and 13 real slices and from "
            "synthetic heads: a negative says little.",
            "Pictures without pixel spacing are taken to be 235 mm wide; all distances in mm of the card rest on that.",
            "Mixed means two or more kinds in one slice: learned from 9 real slices and from synthetic heads.",
            "Pooled validation hides that slices of the second set are harder: its own table tells.",
            "Old bleeds that are no denser than brain are missed.",
        ],
    },
)
