"""Pretrained networks as Keras layers.

Importing this package registers every layer with Keras, so that saved models reload.
"""

from keras_pretrained.layers.frozen_backbone import FrozenBackbone
from keras_pretrained.layers.recurrent.awd_lstm import AWDLSTMEncoder
from keras_pretrained.layers.recurrent.elmo import ElmoEmbedding
from keras_pretrained.layers.recurrent.ulmfit_classifier import ULMFiTClassifier
from keras_pretrained.layers.saved_model import SavedModelLayer
from keras_pretrained.layers.transformers.albert import AlbertEncoder
from keras_pretrained.layers.transformers.bert import BertEncoder
from keras_pretrained.layers.transformers.distilbert import DistilBertEncoder
from keras_pretrained.layers.transformers.electra import ElectraEncoder
from keras_pretrained.layers.transformers.gpt2 import GPT2Decoder
from keras_pretrained.layers.transformers.roberta import RobertaEncoder
from keras_pretrained.layers.words.word_embedding import WordEmbedding

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
