"""The augmentations that `augment` names, each with its source."""

from __future__ import annotations

from alexnet.pipeline.config import AugmentConfig
from alexnet.pipeline.errors import ConfigError

# ImageNet's mean and standard deviation in [0, 255] (torchvision's, times 255).
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

PRESETS: dict[str, AugmentConfig] = {
    # The cats-and-dogs article's ImageDataGenerator, argument by argument:
    # rotation_range=30, width_shift_range=0.3, height_shift_range=0.3, shear_range=0.2,
    # zoom_range=[0.8, 1.5], both flips, fill_mode='nearest', rescale=1/255. Keras 2
    # reads shear_range in degrees, so its 0.2 is next to nothing.
    "article": AugmentConfig(
        geometry="whole",
        rotation_degrees=30.0,
        shift_x=0.3,
        shift_y=0.3,
        shear_degrees=0.2,
        zoom=(0.8, 1.5),
        flip_horizontal=True,
        flip_vertical=True,
    ),
    # Krizhevsky 2012, section 4.1: random crops and their reflections, PCA lighting
    # with standard deviation 0.1; section 2: the mean subtracted. Dividing by the
    # standard deviation is not in the paper: with it, one learning rate fits all.
    "paper": AugmentConfig(
        geometry="crop",
        flip_horizontal=True,
        lighting=0.1,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    ),
    # Random-resized-crop (Szegedy 2015, section 6: ratio 3/4 to 4/3) with timm's usual
    # lower end for short runs, 0.35 instead of 0.08; colour jitter as timm's and
    # torchvision's ImageNet recipes (0.3 to 0.4); erasing at torchvision's 0.1; mixup
    # at the 0.2 of Zhang 2018, section 3.1. No cutmix: Yun 2019 trains for 300 epochs.
    "modern": AugmentConfig(
        geometry="resized",
        scale=(0.35, 1.0),
        ratio=(3 / 4, 4 / 3),
        flip_horizontal=True,
        brightness=0.3,
        contrast=0.3,
        saturation=0.3,
        erasing=0.1,
        mixup=0.2,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    ),
    # TrivialAugment (Müller 2021, section 3) after a random-resized-crop and flip, as
    # in its ImageNet runs; the crop's lower end is that of `modern`.
    "trivial": AugmentConfig(
        geometry="resized",
        scale=(0.35, 1.0),
        ratio=(3 / 4, 4 / 3),
        flip_horizontal=True,
        trivial=True,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    ),
    # The centre crop, in training as in evaluation.
    "none": AugmentConfig(geometry="centre", mean=IMAGENET_MEAN, std=IMAGENET_STD),
}


def preset(name: str) -> AugmentConfig:
    """Return the augmentation of that name.

    Raises:
        ConfigError: no augmentation has that name.
    """
    if name not in PRESETS:
        raise ConfigError(
            f"there is no augmentation {name!r}; choose one of {', '.join(PRESETS)}"
        )
    return PRESETS[name]
