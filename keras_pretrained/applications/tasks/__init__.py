"""Models for a task: what people write goes in, what they want to know comes out."""

from keras_pretrained.applications.tasks.entities import Entity, entities
from keras_pretrained.applications.tasks.image_classifier import ImageClassifier
from keras_pretrained.applications.tasks.language_model import LanguageModel
from keras_pretrained.applications.tasks.masked_language_model import MaskedLanguageModel
from keras_pretrained.applications.tasks.multiple_choice import MultipleChoice
from keras_pretrained.applications.tasks.pair_losses import CosineRegression, InBatchNegatives
from keras_pretrained.applications.tasks.perplexity import Perplexity
from keras_pretrained.applications.tasks.question_answerer import QuestionAnswerer
from keras_pretrained.applications.tasks.semantic_segmenter import SemanticSegmenter
from keras_pretrained.applications.tasks.sentence_embedder import SentenceEmbedder
from keras_pretrained.applications.tasks.squad import Answer, QuestionExample, read_squad
from keras_pretrained.applications.tasks.squad_score import squad_score
from keras_pretrained.applications.tasks.task import Task
from keras_pretrained.applications.tasks.text_classifier import TextClassifier
from keras_pretrained.applications.tasks.token_classifier import TokenClassifier

__all__ = [
    "Answer",
    "CosineRegression",
    "Entity",
    "ImageClassifier",
    "InBatchNegatives",
    "LanguageModel",
    "MaskedLanguageModel",
    "MultipleChoice",
    "Perplexity",
    "QuestionAnswerer",
    "QuestionExample",
    "SemanticSegmenter",
    "SentenceEmbedder",
    "Task",
    "TextClassifier",
    "TokenClassifier",
    "entities",
    "read_squad",
    "squad_score",
]
