"""Pretrained networks as Keras layers.

Importing this package registers every layer with Keras, so that saved models reload.
"""

from keras_pretrained.layers.bert import BertEncoder
from keras_pretrained.layers.frozen_backbone import FrozenBackbone

__all__ = ["BertEncoder", "FrozenBackbone"]
