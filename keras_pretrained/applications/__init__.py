"""Whole models: image networks with the conventions of `keras.applications`, and tasks.

Builders of image networks are imported on use. The classes of models are there at once, for Keras
to load one.
"""

from __future__ import annotations

import importlib
from typing import Any

from keras_pretrained.applications.tasks import (
    Answer,
    Entity,
    ImageClassifier,
    LanguageModel,
    MaskedLanguageModel,
    MultipleChoice,
    QuestionAnswerer,
    QuestionExample,
    SemanticSegmenter,
    SentenceEmbedder,
    TextClassifier,
    TokenClassifier,
    entities,
    read_squad,
    squad_score,
)
from keras_pretrained.applications.vision.vision_model import VisionModel

_HERE = "keras_pretrained.applications.vision"

MODULES = {
    name: f"{_HERE}.{module}"
    for module, names in {
        "inception_v1": ("InceptionV1",),
        "inception_v2": ("InceptionV2",),
        "inception_v3": ("InceptionV3",),
        "inception_v4": ("InceptionV4",),
        "inception_resnet_v2": ("InceptionResNetV2",),
        "mobilenet_v1": ("MobileNetV1",),
        "mobilenet_v2": ("MobileNetV2",),
        "resnet_v2": ("ResNetV2_50", "ResNetV2_101", "ResNetV2_152", "ResNetV2_200"),
        "vgg": ("VGG11", "VGG13", "VGG16", "VGG19"),
        "xception": ("Xception",),
        "resnet": ("ResNet18", "ResNet34", "ResNet50", "ResNet101", "ResNet152"),
        "densenet": ("DenseNet121", "DenseNet161", "DenseNet169", "DenseNet201"),
        "squeezenet": ("SqueezeNet1_0", "SqueezeNet1_1"),
        "alexnet": ("AlexNet",),
        "nasnet": ("NASNetMobile", "NASNetLarge"),
        "pnasnet": ("PNASNetMobile", "PNASNetLarge"),
        "resnet_v1": ("ResNetV1_50", "ResNetV1_101", "ResNetV1_152"),
    }.items()
    for name in names
}
"""Builder -> the module that has it."""

_TOOLS = {
    "decode_predictions": f"{_HERE}.imagenet",
    "fold_batch_norm": f"{_HERE}.folding",
    "imagenet_classes": f"{_HERE}.imagenet",
    "imagenet_labels": f"{_HERE}.imagenet",
    "prepare_images": f"{_HERE}.images",
}

__all__ = [
    "Answer",
    "Entity",
    "ImageClassifier",
    "LanguageModel",
    "MaskedLanguageModel",
    "MultipleChoice",
    "QuestionAnswerer",
    "QuestionExample",
    "SemanticSegmenter",
    "SentenceEmbedder",
    "TextClassifier",
    "TokenClassifier",
    "VisionModel",
    "entities",
    "read_squad",
    "squad_score",
    *MODULES,
    *_TOOLS,
]


def __getattr__(name: str) -> Any:
    module = {**MODULES, **_TOOLS}.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
