"""Fractures on radiographs of the limbs, hip and shoulder: recipe and scope."""

from radiolucent.training.recipe import PHOTOGRAPHS, Augmentation, Crops, EngineRecipe, Loss, RoutedSite, Router, Scope

RECIPE = EngineRecipe(
    engine="bone",
    title="Fractures on radiographs of limbs, hip and shoulder",
    summary="Fracture and metal hardware per film, with the evidence for each at cells of 8 pixels of a film 512 long.",
    findings=("fracture",),
    preprocess="bone",
    size=512,
    canvas=512,
    spacing_mm=None,
    step=2 / 255,
    offset=0.0,
    exclusive=False,
    sites=("hand", "leg", "hip", "shoulder"),
    traits=("hardware",),
    router=Router(
        options={"rows": 512},
        sites=(
            RoutedSite(name="hand", drawn=("wrist",), body_parts=("hand", "wrist", "forearm")),
            RoutedSite(name="leg", drawn=("ankle", "knee"), body_parts=("foot", "ankle", "lower-leg", "knee")),
            RoutedSite(name="hip", drawn=("pelvis",), body_parts=("hip", "pelvis")),
            RoutedSite(name="shoulder", drawn=("shoulder",), body_parts=("shoulder",)),
            RoutedSite(name="spine", drawn=("spine",), body_parts=("spine",)),
            RoutedSite(
                name="chest",
                kind="chest-xr",
                findings=(
                    (),
                    ("tension-pneumothorax",),
                    ("widened-mediastinum",),
                    ("rib-fracture",),
                    ("support-device",),
                    ("effusion",),
                    ("pneumothorax",),
                    ("nodule",),
                ),
                body_parts=("chest",),
            ),
        ),
    ),
    crops=Crops(size=256, whole=0.09, batch=8, beside=0.8, jitter=80.0, metal=0.05),
    measure_every=4,
    network={
        "backbone": "efficientnet-lite0",
        "stem": 16,
        "widths": [32, 64, 128, 160],
        "depths": [2, 2, 3, 2],
        "top": 64,
        "grid_stride": 8,
        "pooling": "log-sum-exp",
        "sharpness": 1.0,
        "norm": "level",
        "sites": 4,
        "traits": 1,
        "shown": 1,
    },
    augmentation=Augmentation(
        rotation=30.0,
        scale=(0.8, 1.25),
        stretch=0.08,
        shift=0.0,
        flip_columns=True,
        flip_rows=True,
        gamma=0.25,
        contrast=0.2,
        bias_field=0.2,
        noise=0.05,
        blur=0.2,
        mirror=0.0,
        cut=0.0,
    ),
    loss=Loss(image=1.0, evidence=10.0, overlap=1.0, inside=6.0, traits=0.3, cells="independent"),
    balance=0.8,
    epochs=16,
    batch=16,
    learning_rate=1.2e-3,
    weight_decay=0.05,
    warm_up_epochs=0.5,
)

SCOPE = Scope(
    engine="bone",
    version="0.6.0",
    study_rule="image",
    slab_mm=None,
    licence="CC-BY-4.0",
    data=(
        "FracAtlas 2023, figshare 22363012: 3008 training and 424 validation radiographs",
        PHOTOGRAPHS,
    ),
    terms="CC BY 4.0; weights are given on under the same terms",
    intended=(
        "Research: show where and how strongly a plain radiograph of a hand, wrist, forearm, leg, knee, ankle, hip, "
        "pelvis or shoulder looks fractured, and whether metal hardware is in it. Not for clinical use."
    ),
    splits=(
        "Blocks of image numbers with clusters of near duplicates kept together; the set has no patient numbers, so a "
        "patient may still stand on both sides. Validation chose calibration, operating point, display scale and the "
        "sharpness of the pooling (1 of 0.5, 1, 2, 3, 5 and 8; the weights were fitted with 3), was looked at every "
        "fourth epoch and when this fit was preferred to older ones; the weights are those after the last epoch."
    ),
    shortcuts=(
        "Hardware: 72 of the 74 training and validation films with plates, screws, nails or wires are fractured, so "
        "metal alone gives the answer away. Metal that means nothing is drawn into a twentieth of the training images; "
        "that weakens the shortcut and doesn't remove it. The figures with and without hardware are in the table. "
        "So hardware is a finding of its own, with its own map: a fracture called on a film with hardware says less.",
        "Markers: the hardware finding is learned from 42 films, without outlines. Of the six films without hardware "
        "that score highest, three show a marker of metal and one pellets of shot: metal, but not hardware.",
        "Source: the 316 films that were reduced from more pixels are fractured on 31 %, the others, from another "
        "machine, on 16 %. Windows are cut, turned, scaled, shaded, blurred and made noisy, so that little of size and "
        "grain is left to learn from; the figures of both sources are in the table.",
        "Laterality markers, labels and splints stay in the films: windows are laid on limbs at random, with and "
        "without them, and evidence is asked for inside the outlines alone.",
        "Plaster: films in a cast or splint aren't labelled, so it wasn't measured, but on validation films that were "
        "looked at the evidence often runs along the bone inside the cast: take a high score there for the cast's.",
        "Site: one head per site, mixed by the network's own guess of the site, may carry how often a site is "
        "fractured in this set. The figures by site are in the table.",
        "Look: the router knows spine and chest from synthetic films alone, and the other sites from synthetic films "
        "as well, so that a film isn't taken for a spine because of its look. Whether real films of the spine are "
        "known was not measured, as there are none.",
    ),
    tables={
        "modalities": ["CR", "DX"],
        "body_parts": ["EXTREMITY", "PELVIS"],
        "limits": [
            "Reads limbs with shoulder and hip, and nothing else: films of the spine, chest, skull, and those whose "
            "header doesn't say which part they show, are refused.",
            "A film whose header names a limb and whose picture looks like a spine or a chest is refused as well; both "
            "are known from synthetic films alone, and not every such film is noticed.",
            "A film is cut to the limb where that takes less than 60 % of its longer side, and read at 512 pixels; the "
            "network saw windows of 256 pixels in training and reads all of them at once.",
            "Hip and shoulder are rare in the training data, with 44 and 46 fractured films, most of them of the thigh "
            "and the upper arm.",
            "Learned from films reduced to 512 pixels: a hairline that is lost at that size can't be seen.",
            "Metal hardware is told from whole films, not from outlines: its map lies on metal, and on side markers of "
            "metal as well; what the hardware is, and whether it holds, is not told.",
            "A dislocation, a tumour or an infection is no fracture, and wasn't marked in the training data.",
            "Ages in the training data are not known; open growth plates of children may be taken for fractures.",
            "Old, healed and treated fractures were outlined like fresh ones: age is not told.",
        ],
    },
)
