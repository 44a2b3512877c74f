"""Fine-tuning that knows the stages of a network.

A plan and a search for the depth; schedules, rates for each stage and gradual unfreezing; cached
features of what is frozen; batches that are work and not padding, and those of running text.
"""

from keras_pretrained.finetune.cut import suffix
from keras_pretrained.finetune.depth_check import check
from keras_pretrained.finetune.feature_batches import CachedFeatures
from keras_pretrained.finetune.feature_cache import cache_features
from keras_pretrained.finetune.lengths import LengthBuckets, bucket_by_length
from keras_pretrained.finetune.next_token_loss import NextTokenLoss
from keras_pretrained.finetune.packing import PackedTexts, pack
from keras_pretrained.finetune.planning import Plan, plan
from keras_pretrained.finetune.rates import StageRates, discriminative
from keras_pretrained.finetune.reporting import report
from keras_pretrained.finetune.schedules import CosineWarmup, LinearWarmup, SlantedTriangular
from keras_pretrained.finetune.search import DepthSearch, Trial, search_depth
from keras_pretrained.finetune.streams import TokenStream
from keras_pretrained.finetune.unfreezing import GradualUnfreezing

__all__ = [
    "CachedFeatures",
    "CosineWarmup",
    "DepthSearch",
    "GradualUnfreezing",
    "LengthBuckets",
    "LinearWarmup",
    "NextTokenLoss",
    "PackedTexts",
    "Plan",
    "SlantedTriangular",
    "StageRates",
    "TokenStream",
    "Trial",
    "bucket_by_length",
    "cache_features",
    "check",
    "discriminative",
    "pack",
    "plan",
    "report",
    "search_depth",
    "suffix",
]
