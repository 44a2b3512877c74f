"""Fine-tuning that knows the stages of a network: rates, schedules, unfreezing."""

from keras_pretrained.finetune.cut import suffix
from keras_pretrained.finetune.feature_batches import CachedFeatures
from keras_pretrained.finetune.feature_cache import cache_features
from keras_pretrained.finetune.rates import StageRates, discriminative
from keras_pretrained.finetune.schedules import CosineWarmup, LinearWarmup, SlantedTriangular
from keras_pretrained.finetune.unfreezing import GradualUnfreezing

__all__ = [
    "CachedFeatures",
    "CosineWarmup",
    "GradualUnfreezing",
    "LinearWarmup",
    "SlantedTriangular",
    "StageRates",
    "cache_features",
    "discriminative",
    "suffix",
]
