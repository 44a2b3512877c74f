"""Pretrained networks as Keras layers.

Importing this package registers every layer with Keras, so that saved models reload.
"""

from keras_pretrained.layers.albert import AlbertEncoder
from keras_pretrained.layers.awd_lstm import AWDLSTMEncoder
from keras_pretrained.layers.bert import BertEncoder
from keras_pretrained.layers.distilbert import DistilBertEncoder
from keras_pretrained.layers.electra import ElectraEncoder
from keras_pretrained.layers.elmo import ElmoEmbedding
from keras_pretrained.layers.frozen_backbone import FrozenBackbone
from keras_pretrained.layers.gpt2 import GPT2Decoder
from keras_pretrained.layers.roberta import RobertaEncoder
from keras_pretrained.layers.saved_model import SavedModelLayer
from keras_pretrained.layers.ulmfit_classifier import ULMFiTClassifier
from keras_pretrained.layers.word_embedding import WordEmbedding

__all__ = [
    "AWDLSTMEncoder",
    "AlbertEncoder",
    "BertEncoder",
    "DistilBertEncoder",
    "ElectraEncoder",
    "ElmoEmbedding",
    "FrozenBackbone",
    "GPT2Decoder",
    "RobertaEncoder",
    "SavedModelLayer",
    "ULMFiTClassifier",
    "WordEmbedding",
]
