"""The libraries behind tokenizers, loaded on first use: importing a tokenizer costs nothing."""

from __future__ import annotations

from typing import Any


def tensorflow() -> Any:
    """The `tensorflow` module; tokenizers use it on the host, whatever the Keras backend is."""
    try:
        import tensorflow
    except ImportError as error:
        raise ImportError(
            "Tokenizers run on TensorFlow, on the host, for every Keras backend, and it could "
            f"not be imported ({error}). Install it: pip install 'tensorflow>=2.21,<2.22'"
        ) from error
    return tensorflow


def tensorflow_text() -> Any:
    """The `tensorflow_text` module, whose version must match TensorFlow's."""
    tf = tensorflow()
    release = ".".join(tf.__version__.split(".")[:2])
    remedy = f"pip install 'tensorflow-text=={release}.*'"
    try:
        import tensorflow_text
    except ImportError as error:
        raise ImportError(
            f"Tokenizers need tensorflow_text beside TensorFlow {release}, and it could not be "
            f"imported ({error}). Install it: {remedy}"
        ) from error
    except tf.errors.NotFoundError as error:
        # The shared library of another release: "undefined symbol ...".
        raise ImportError(
            f"The installed tensorflow_text was built for another TensorFlow than {release} "
            f"({error.message}). Install the matching one: {remedy}"
        ) from error
    return tensorflow_text


def huggingface_tokenizers() -> Any:
    """The `tokenizers` module, Hugging Face's library in Rust."""
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            "Byte-level BPE runs on Hugging Face's tokenizers, which could not be imported "
            f"({error}). Install it: pip install 'tokenizers>=0.21'"
        ) from error
    return tokenizers


def spacy() -> Any:
    """The `spacy` module, whose rules split texts into words."""
    try:
        import spacy
    except ImportError as error:
        raise ImportError(
            "fast.ai's tokenizers split texts by the rules of spaCy, which could not be imported "
            f"({error}). Install it: pip install 'spacy>=3.7'. Or pass another splitter: a "
            "function of your own from a str to its words, or splitter='whitespace' for texts "
            "whose words stand apart already."
        ) from error
    return spacy
