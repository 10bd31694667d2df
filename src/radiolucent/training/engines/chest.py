"""Findings on frontal chest films: recipe and scope."""

from radiolucent.training.recipe import PHOTOGRAPHS, Augmentation, EngineRecipe, Loss, Scope

_NIH = (
    "atelectasis",
    "cardiomegaly",
    "effusion",
    "infiltration",
    "mass",
    "nodule",
    "pneumonia",
    "pneumothorax",
    "consolidation",
    "oedema",
    "emphysema",
    "fibrosis",
    "pleural-thickening",
    "hernia",
)
_SYNTHETIC = ("tension-pneumothorax", "widened-mediastinum", "rib-fracture", "support-device")

RECIPE = EngineRecipe(
    engine="chest",
    title="Findings on frontal chest radiographs",
    summary="Fourteen findings learned from real films and four from synthetic ones, each with its own evidence.",
    findings=(*_NIH, *_SYNTHETIC),
    phantom_findings=_SYNTHETIC,
    preprocess="chest",
    size=192,
    canvas=208,
    spacing_mm=None,
    step=2 / 255,
    offset=0.0,
    exclusive=False,
    synthetic_kind="chest-xr",
    synthetic_options={"rows": [512]},
    synthetic_findings=(*((name,) for name in _SYNTHETIC), ("effusion",), ("pneumothorax",), ("nodule",), ()),
    synthetic_share=0.2,
    base_rates=True,
    network={
        "backbone": "efficientnet-lite0",
        "stem": 16,
        "widths": [32, 64, 128, 160],
        "depths": [1, 2, 3, 2],
        "top": 64,
        "grid_stride": 8,
        "pooling": "log-sum-exp",
        "sharpness": 1.0,
    },
    augmentation=Augmentation(
        rotation=8.0,
        scale=(0.88, 1.15),
        stretch=0.06,
        shift=12.0,
        flip_columns=False,
        flip_rows=False,
        gamma=0.25,
        contrast=0.2,
        bias_field=0.25,
        noise=0.06,
        blur=0.3,
        mirror=0.0,
        cut=0.0,
    ),
    loss=Loss(image=1.0, evidence=2.0, overlap=0.2, inside=4.0, cells="independent"),
    balance=0.3,
    epochs=20,
    batch=16,
    learning_rate=1e-3,
    weight_decay=0.05,
)

SCOPE = Scope(
    engine="chest",
    version="0.3.1",
    study_rule="image",
    slab_mm=None,
    licence="CC-BY-4.0",
    data=(
        "NIH ChestX-ray14 (Wang 2017): 1043 training and 203 validation films, enriched with rare findings",
        PHOTOGRAPHS,
    ),
    terms="NIH ChestX-ray14: free use with attribution; weights are given on under CC BY 4.0",
    intended=(
        "Research: show where and how strongly a frontal chest film of an adult looks like one of fourteen findings; "
        "four more are known from synthetic films only and are off unless asked for. Not for clinical use."
    ),
    splits=(
        "By patient. Validation chose calibration, operating points and display scales, and was looked at when the "
        "first fit's schedule was lengthened from 36 to 54, to 76 and to 96 epochs and when a second fit was joined to "
        "it; the weights are those after the last epochs."
    ),
    shortcuts=(
        "Labels were mined from reports and are noisy; several findings have few positives (34 pneumothoraces, 29 "
        "emphysemas, 16 hernias in all), so their figures have wide intervals.",
        "No film of the set is outlined: nothing but the image labels taught where evidence lies on real films, and "
        "localisation on them is not measured. Drains, tubes and portable films go together with findings and may "
        "carry them.",
        "The four synthetic findings are learned against synthetic backgrounds; a real film may set them off for "
        "reasons that no figure here shows.",
    ),
    tables={
        "modalities": ["CR", "DX"],
        "body_parts": ["CHEST"],
        "views": ["PA", "AP"],
        "minimum_age_years": 15,
        "limits": [
            "Frontal films of people of 15 years or more: lateral films and children's are refused where the header "
            "tells.",
            "Trained on 1043 films: a screening aid trained on a hundred times more is expected to be better.",
            "Set enriched with rare findings: probabilities are calibrated to it, not to a clinic's mix.",
            "Where evidence lies on a real film was not measured: no outlines exist for these films.",
            "Anything that isn't one of its findings is not looked for.",
        ],
    },
)
