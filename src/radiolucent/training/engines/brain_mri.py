"""Brain tumours on T1-weighted MR after contrast: recipe and scope."""

from radiolucent.training.recipe import PHOTOGRAPHS, EngineRecipe, Scope

RECIPE = EngineRecipe(
    engine="brain-mri",
    title="Brain tumours on T1-weighted MR after contrast",
    summary="Glioma, meningioma and pituitary tumour per slice, with the evidence for each at 5 mm cells.",
    findings=("glioma", "meningioma", "pituitary-tumour"),
    preprocess="brain-mri",
    size=192,
    canvas=208,
    spacing_mm=1.25,
    step=4 / 255,
    offset=-1.0,
    exclusive=True,
    synthetic_kind="brain-mr",
    synthetic_options={"plane": ["axial", "coronal", "sagittal"], "slices": [14]},
    network={
        "backbone": "efficientnet-lite0",
        "stem": 16,
        "widths": [32, 64, 128, 160],
        "depths": [2, 3, 4, 2],
        "top": 64,
        "grid_stride": 4,
        "pooling": "log-sum-exp",
        "sharpness": 2.0,
        "mirrored": True,
    },
    epochs=26,
    learning_rate=1e-3,
)

SCOPE = Scope(
    engine="brain-mri",
    version="0.4.0",
    study_rule="largest-slab",
    slab_mm=15.0,
    licence="CC-BY-4.0",
    data=(
        "Cheng 2017, brain tumor dataset, figshare 1512427: 2087 training and 314 validation slices",
        PHOTOGRAPHS,
    ),
    terms="CC BY 4.0; weights are given on under the same terms",
    intended=(
        "Research: show where and how strongly a T1-weighted slice after contrast looks like glioma, "
        "meningioma or pituitary tumour, in a head that may hold one. Not for clinical use."
    ),
    splits=(
        "Contiguous blocks of image numbers with neighbours dropped between them, a proxy for patients: the "
        "set has no patient numbers, so a patient may still stand on both sides. Validation chose calibration, "
        "operating points and display scales, and was looked at every third epoch and when reading the mirror image "
        "too was preferred to joining an older fit; the weights are those after the last epoch."
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
            "Pixel spacing is needed to see structures at their true size; without it the head is taken to be "
            "195 mm long.",
        ],
    },
)
