"""What the parity tests promise: one row a checkpoint and program, measured by the tests.

A further family adds its rows here and calls the fixture `parity` with their names. The table in
docs/parity.md is made of both; tests/parity/test_table.py keeps it complete.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

GOLDENS = Path(__file__).parents[1] / "goldens"


class Kind(Enum):
    """What of a comparison is as it was published."""

    REAL_WEIGHTS = "real weights"
    RANDOM_WEIGHTS = "original layout, random weights"
    REWRITTEN = "layout by its published names, random weights"
    NAMES = "names only"
    REAL_VOCABULARY = "published vocabulary"
    OWN_VOCABULARY = "vocabulary made for the test"

    @property
    def of_tokenizer(self) -> bool:
        return self in (Kind.REAL_VOCABULARY, Kind.OWN_VOCABULARY)


@dataclass(frozen=True)
class Program:
    """A foreign program: its packages, whose versions stand in the golden data that it made.

    Args:
        name: the class, function or project.
        golden: folder of `tests/goldens`.
        packages: their versions are looked up there.
    """

    name: str
    golden: str
    packages: tuple[str, ...]

    def __str__(self) -> str:
        made = GOLDENS / self.golden / "golden.json"
        if made.is_file():
            versions = json.loads(made.read_text(encoding="utf-8"))["versions"]
        else:
            with np.load(GOLDENS / self.golden / "goldens.npz") as stored:
                versions = json.loads(stored["facts"].tobytes())
        return f"{self.name} ({', '.join(f'{each} {versions[each]}' for each in self.packages)})"


@dataclass(frozen=True)
class Row:
    """One promise.

    Args:
        family: of the network, or the kind of tokenizer.
        dialect: naming scheme of the checkpoint, or the vocabulary of a tokenizer.
        checkpoint: the container and the era.
        kind: what is as it was published.
        program: what the numbers are compared with.
        tolerance: the largest difference that the tests allow.
    """

    family: str
    dialect: str
    checkpoint: str
    kind: Kind
    program: Program
    tolerance: float = 1e-5


_REAL, _RANDOM = Kind.REAL_WEIGHTS, Kind.RANDOM_WEIGHTS
_WRITTEN = Kind.REWRITTEN
_HF = Program("transformers `BertModel`", "bert_hf", ("transformers", "torch"))
_GOOGLE = Program(
    "google-research/bert `modeling`", "bert_google", ("bert-tensorflow", "tensorflow")
)
_GARDEN = Program(
    "tensorflow/models `BertEncoder`", "bert_tf_models", ("tf-models-official", "tensorflow")
)
_MINILM = Program("transformers `BertModel`", "minilm", ("transformers", "torch"))
_ROBERTA = Program("transformers `RobertaModel`", "roberta", ("transformers", "torch"))
_DISTIL = Program("transformers `DistilBertModel`", "distilbert", ("transformers", "torch"))
_ALBERT = Program("transformers `AlbertModel`", "albert_hf", ("transformers", "torch"))
_ALBERT_GOOGLE = Program(
    "google-research/albert `modeling`", "albert_google", ("albert-tensorflow", "tensorflow")
)
_FILL_MASK = Program("transformers `pipeline('fill-mask')`", "masked_lm", ("transformers", "torch"))
_ELECTRA = Program("transformers `ElectraModel`", "electra_hf", ("transformers", "torch"))
_GPT2 = Program("transformers `GPT2LMHeadModel`", "gpt2", ("transformers", "torch"))
_SLIM = Program("TensorFlow-Slim `tf_slim.nets`", "slim", ("tf_slim", "tensorflow"))
_TORCHVISION = Program("torchvision `models`", "torchvision", ("torchvision", "torch"))
_PRETRAINED_MODELS = Program("pretrainedmodels", "nasnet", ("pretrainedmodels", "torch"))
_MULTIPLE_CHOICE = Program(
    "transformers `BertForMultipleChoice`", "bert_multiple_choice", ("transformers", "torch")
)
_SENTENCE_LOSSES = Program(
    "sentence-transformers `losses`", "sentence_losses", ("sentence-transformers", "torch")
)
_QUESTION_ANSWERING = Program(
    "transformers `BertForQuestionAnswering`", "bert_tasks", ("transformers", "torch")
)
_TOKEN_CLASSIFICATION = Program(
    "transformers `BertForTokenClassification`", "bert_tasks", ("transformers", "torch")
)
_SQUAD_1 = Program("SQuAD's official program, in AllenNLP", "task_scores", ("allennlp",))
_SQUAD_2 = Program("SQuAD's official program, in transformers", "task_scores", ("transformers",))
_SQUAD_ROWS = Program(
    "transformers `squad_convert_examples_to_features`", "task_scores", ("transformers",)
)
_SEQEVAL = Program("seqeval, default mode", "task_scores", ("seqeval",))
_TORCH = Program("PyTorch `conv2d`, `interpolate`", "fcn_head", ("torch",))
_FASTTEXT = Program("fastText", "word_vectors", ("fasttext-wheel",))
_GENSIM = Program("gensim `KeyedVectors`", "word_vectors", ("gensim",))
_ALLENNLP = Program("AllenNLP `_ElmoBiLm`", "elmo", ("allennlp", "torch"))
_FASTAI_OLD = Program("fastai 0.7.0 `get_language_model`", "awd_lstm", ("torch",))
_FASTAI_OLD_HEAD = Program("fastai 0.7.0 `PoolingLinearClassifier`", "awd_lstm", ("torch",))
_FASTAI_FIRST = Program("fastai 1.0.61 `AWD_LSTM`", "awd_lstm", ("torch",))
_FASTAI = Program("fastai `AWD_LSTM`", "awd_lstm", ("fastai", "torch"))
_FASTAI_CLASSIFIER = Program("fastai `SentenceEncoder`", "awd_lstm", ("fastai", "torch"))
_HUB = Program("tensorflow_hub `hub.Module`", "hub_modules", ("tensorflow-hub", "tensorflow"))
_SESSION = Program("TensorFlow, sessions of TF1", "hub_modules", ("tensorflow",))
_EAGER = Program("TensorFlow, eager", "hub_modules", ("tensorflow",))
_HF_PIECES = Program("Hugging Face tokenizers", "wordpiece", ("tokenizers",))
_GOOGLE_PIECES = Program("google-research/bert `tokenization`", "wordpiece", ("bert-tensorflow",))
_OPENAI_PIECES = Program("OpenAI's `encoder.py`", "byte_level_bpe", ("gpt-2-simple", "tiktoken"))
_ROBERTA_PIECES = Program("transformers `RobertaTokenizer`", "byte_level_bpe", ("transformers",))
_ALBERT_PIECES = Program(
    "google-research/albert `tokenization`", "sentencepiece", ("albert-tensorflow", "sentencepiece")
)
_ALBERT_HF_PIECES = Program(
    "transformers `AlbertTokenizer`", "sentencepiece", ("transformers", "tokenizers")
)
_ALLENNLP_CHARACTERS = Program("AllenNLP `ELMoCharacterMapper`", "elmo", ("allennlp",))
_FASTAI_OLD_WORDS = Program("fastai 0.7.0 `Tokenizer`", "awd_lstm", ("spacy",))
_FASTAI_FIRST_WORDS = Program("fastai 1.0.61 `Tokenizer`", "awd_lstm", ("spacy",))
_FASTAI_WORDS = Program("fastai `TokenizeWithRules`", "awd_lstm", ("fastai", "spacy"))
_OWN, _PUBLISHED = Kind.OWN_VOCABULARY, Kind.REAL_VOCABULARY

ROWS = {
    "bert/minilm-l6": Row("bert", "hf", "minilm-l6, safetensors", _REAL, _MINILM),
    "bert/hf-safetensors-erf": Row("bert", "hf", "safetensors, exact GELU", _RANDOM, _HF),
    "bert/hf-safetensors-tanh": Row("bert", "hf", "safetensors, tanh GELU", _RANDOM, _HF),
    "bert/hf-bin-gamma-beta": Row("bert", "hf", ".bin, zip, gamma/beta", _RANDOM, _HF),
    "bert/hf-bin-stream": Row("bert", "hf", ".bin, stream", _RANDOM, _HF),
    "bert/google-v2": Row("bert", "google", "V2", _RANDOM, _GOOGLE),
    "bert/google-v2-erf-2018": Row("bert", "google", "V2, GELU of 2018", _RANDOM, _GOOGLE),
    "bert/google-v1": Row("bert", "google", "V1", _RANDOM, _GOOGLE),
    "bert/tf-models-saved-model": Row("bert", "tf-models", "SavedModel", _RANDOM, _GARDEN),
    "bert/tf-models-encoder-checkpoint": Row(
        "bert", "tf-models-objects", "encoder", _RANDOM, _GARDEN
    ),
    "bert/tf-models-pretrainer-checkpoint": Row(
        "bert", "tf-models-objects", "pre-training network", _RANDOM, _GARDEN
    ),
    "multiple-choice/bert": Row(
        "bert", "hf", "safetensors, a head by hand", _RANDOM, _MULTIPLE_CHOICE
    ),
    "question-answering/bert": Row(
        "bert", "hf", "safetensors, question answering", _RANDOM, _QUESTION_ANSWERING
    ),
    "token-classification/bert": Row(
        "bert", "hf", "safetensors, token classification", _RANDOM, _TOKEN_CLASSIFICATION
    ),
    "entities/seqeval": Row("entity scores", "", "BIO, IOB1, IOBES", _RANDOM, _SEQEVAL, 1e-9),
    "squad/1.1": Row("SQuAD scores", "1.1", "answers", _RANDOM, _SQUAD_1, 1e-9),
    "squad/2.0": Row("SQuAD scores", "2.0", "answers", _RANDOM, _SQUAD_2, 1e-9),
    "squad/rows": Row("SQuAD rows", "", "windows of contexts", _RANDOM, _SQUAD_ROWS, 0),
    "masked-lm/gaps": Row("masked language models", "hf", "five families", _RANDOM, _FILL_MASK),
    "sentence-losses": Row("sentence losses", "", "vectors", _RANDOM, _SENTENCE_LOSSES),
    "roberta/hf-safetensors": Row("roberta", "hf", "safetensors", _RANDOM, _ROBERTA),
    "roberta/hf-bin-pooler": Row("roberta", "hf", ".bin, zip, with a pooler", _RANDOM, _ROBERTA),
    "roberta/fairseq-2019": Row("roberta", "fairseq", "model.pt of 2019", _WRITTEN, _ROBERTA),
    "roberta/fairseq-2021": Row("roberta", "fairseq", "model.pt since 2021", _WRITTEN, _ROBERTA),
    "distilbert/masked_lm": Row("distilbert", "hf", "safetensors", _RANDOM, _DISTIL),
    "distilbert/sinusoidal": Row(
        "distilbert", "hf", ".bin, zip, sinusoidal positions", _RANDOM, _DISTIL
    ),
    "albert/hf-pretraining": Row("albert", "hf", "safetensors", _RANDOM, _ALBERT),
    "albert/hf-groups": Row("albert", "hf", "safetensors, two groups", _RANDOM, _ALBERT),
    "albert/google": Row("albert", "google", "V2", _RANDOM, _ALBERT_GOOGLE),
    "electra/hf-discriminator": Row("electra", "hf", "safetensors", _RANDOM, _ELECTRA),
    "electra/hf-generator": Row("electra", "hf", "safetensors, generator", _RANDOM, _ELECTRA),
    "electra/hf-wide": Row("electra", "hf", "safetensors, no projection", _RANDOM, _ELECTRA),
    "electra/google": Row("electra", "google", "V2", _WRITTEN, _ELECTRA),
    "gpt2/hf": Row("gpt2", "hf", "safetensors", _RANDOM, _GPT2),
    "gpt2/openai": Row("gpt2", "openai", "V2", _WRITTEN, _GPT2),
    "electra/google-generator": Row("electra", "google-generator", "V2", _WRITTEN, _ELECTRA),
    "inception/slim": Row("inception", "slim", "V1", _WRITTEN, _SLIM, 1e-4),
    "resnet/slim": Row("resnet", "slim", "V2", _WRITTEN, _SLIM, 1e-4),
    "resnet/torchvision": Row("resnet", "torchvision", ".pth, zip", _WRITTEN, _TORCHVISION),
    "densenet/torchvision": Row("densenet", "torchvision", ".pth, zip", _WRITTEN, _TORCHVISION),
    "densenet/torchvision-2017": Row(
        "densenet", "torchvision", ".pth, stream, names of 2017", _RANDOM, _TORCHVISION
    ),
    "squeezenet/torchvision": Row(
        "squeezenet", "torchvision", "safetensors", _WRITTEN, _TORCHVISION
    ),
    "inception/torchvision": Row("inception", "torchvision", ".pth, zip", _WRITTEN, _TORCHVISION),
    "alexnet/torchvision": Row("alexnet", "torchvision", "safetensors", _WRITTEN, _TORCHVISION),
    "nasnet/slim-nasnet-a": Row(
        "nasnet", "slim", "V2, NASNet-A, narrow", _WRITTEN, _PRETRAINED_MODELS
    ),
    "nasnet/slim-pnasnet-5": Row(
        "nasnet", "slim", "V2, PNASNet-5, narrow", _WRITTEN, _PRETRAINED_MODELS
    ),
    "segmentation/fcn-8s": Row("FCN-8s head", "", "arrays, odd sizes", _RANDOM, _TORCH),
    "word-vectors/fasttext": Row("word-vectors", "fasttext", ".bin", _RANDOM, _FASTTEXT, 1e-6),
    "word-vectors/word2vec": Row("word-vectors", "word2vec", ".bin", _RANDOM, _GENSIM, 1e-6),
    "word-vectors/word2vec-text": Row(
        "word-vectors", "word2vec-text", "text with a header", _RANDOM, _GENSIM, 1e-6
    ),
    "word-vectors/glove": Row("word-vectors", "glove", "text", _RANDOM, _GENSIM, 1e-6),
    "elmo/allennlp": Row("elmo", "bilm", "HDF5", _WRITTEN, _ALLENNLP),
    "elmo/allennlp-stateful": Row("elmo", "bilm", "HDF5, stateful", _WRITTEN, _ALLENNLP),
    "ulmfit/fastai-0.7-fwd": Row(
        "ulmfit", "fastai-0.7", ".h5 (torch), stream, stateful", _RANDOM, _FASTAI_OLD
    ),
    "ulmfit/fastai-0.7-bwd": Row(
        "ulmfit", "fastai-0.7", ".h5 (torch), stream, backward, stateful", _RANDOM, _FASTAI_OLD
    ),
    "ulmfit/fastai-1": Row("ulmfit", "fastai", ".pth, stream, stateful", _RANDOM, _FASTAI_FIRST),
    "ulmfit/fastai-2": Row("ulmfit", "fastai", ".pth, zip, stateful", _RANDOM, _FASTAI),
    "ulmfit/fastai-2-classifier": Row(
        "ulmfit", "fastai", ".pth, zip, texts in chunks", _RANDOM, _FASTAI_CLASSIFIER
    ),
    "ulmfit/head": Row(
        "ulmfit", "fastai-0.7", "a classifier's head, by hand", _RANDOM, _FASTAI_OLD_HEAD
    ),
    "saved-model/tf1-hub": Row("SavedModel", "TF1", "TF-Hub module, texts", _RANDOM, _HUB, 1e-6),
    "saved-model/tf1": Row("SavedModel", "TF1", "reference variables", _RANDOM, _SESSION, 1e-6),
    "saved-model/tf2": Row("SavedModel", "TF2", "texts", _RANDOM, _EAGER, 1e-6),
    "saved-model/keras2": Row(
        "SavedModel", "TF2", "`model.save` of Keras 2", _RANDOM, _EAGER, 1e-6
    ),
    "wordpiece/minilm/huggingface": Row("WordPiece", "minilm", "", _PUBLISHED, _HF_PIECES, 0),
    "wordpiece/uncased/huggingface": Row("WordPiece", "uncased", "", _OWN, _HF_PIECES, 0),
    "wordpiece/cased/huggingface": Row("WordPiece", "cased", "", _OWN, _HF_PIECES, 0),
    "wordpiece/chinese/huggingface": Row("WordPiece", "chinese", "", _OWN, _HF_PIECES, 0),
    "wordpiece/minilm/google": Row("WordPiece", "minilm", "", _PUBLISHED, _GOOGLE_PIECES, 37),
    "wordpiece/uncased/google": Row("WordPiece", "uncased", "", _OWN, _GOOGLE_PIECES, 40),
    "wordpiece/cased/google": Row("WordPiece", "cased", "", _OWN, _GOOGLE_PIECES, 35),
    "wordpiece/chinese/google": Row("WordPiece", "chinese", "", _OWN, _GOOGLE_PIECES, 40),
    "byte-level-bpe/gpt2/openai": Row("byte-level BPE", "gpt2", "", _OWN, _OPENAI_PIECES, 0),
    "byte-level-bpe/roberta/huggingface": Row(
        "byte-level BPE", "roberta", "", _OWN, _ROBERTA_PIECES, 0
    ),
    "sentencepiece/albert/google": Row("SentencePiece", "albert", "", _OWN, _ALBERT_PIECES, 3),
    "sentencepiece/plain/google": Row("SentencePiece", "plain", "", _OWN, _ALBERT_PIECES, 3),
    "sentencepiece/plain/huggingface": Row(
        "SentencePiece", "plain", "", _OWN, _ALBERT_HF_PIECES, 69
    ),
    "fastai/0.7": Row("fast.ai's words", "fastai 0.7", "", _OWN, _FASTAI_OLD_WORDS, 0),
    "fastai/1": Row("fast.ai's words", "fastai 1", "", _OWN, _FASTAI_FIRST_WORDS, 0),
    "fastai/2": Row("fast.ai's words", "fastai 2", "", _OWN, _FASTAI_WORDS, 0),
    "characters/allennlp": Row("characters", "bytes", "", _PUBLISHED, _ALLENNLP_CHARACTERS, 0),
}
