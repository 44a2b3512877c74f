"""How the names in a checkpoint meet the variables of a layer."""

from keras_pretrained.weights.loading import (
    WeightReader,
    filling,
    load_weights,
    select_map,
    stored_initializer,
)
from keras_pretrained.weights.report import LoadReport, WeightsError
from keras_pretrained.weights.saving import save_weights
from keras_pretrained.weights.weight_map import BoundRule, NameMap, Rule, WeightMap

__all__ = [
    "BoundRule",
    "LoadReport",
    "NameMap",
    "Rule",
    "WeightMap",
    "WeightReader",
    "WeightsError",
    "filling",
    "load_weights",
    "save_weights",
    "select_map",
    "stored_initializer",
]
