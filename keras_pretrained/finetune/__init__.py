"""Fine-tuning that knows the stages of a network: rates, schedules, unfreezing."""

from keras_pretrained.finetune.cut import suffix
from keras_pretrained.finetune.feature_batches import CachedFeatures
from keras_pretrained.finetune.feature_cache import cache_features
from keras_pretrained.finetune.lengths import LengthBuckets, bucket_by_length
from keras_pretrained.finetune.packing import PackedTexts, pack
from keras_pretrained.finetune.rates import StageRates, discriminative
from keras_pretrained.finetune.schedules import CosineWarmup, LinearWarmup, SlantedTriangular
from keras_pretrained.finetune.unfreezing import GradualUnfreezing

__all__ = [
    "CachedFeatures",
    "CosineWarmup",
    "GradualUnfreezing",
    "LengthBuckets",
    "LinearWarmup",
    "PackedTexts",
    "SlantedTriangular",
    "StageRates",
    "bucket_by_length",
    "cache_features",
    "discriminative",
    "pack",
    "suffix",
]
