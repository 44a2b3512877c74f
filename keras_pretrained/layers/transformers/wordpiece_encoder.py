"""`WordPieceEncoder`: an encoder with the tokenizer of BERT."""

from __future__ import annotations

from keras_pretrained.layers.text.encoder_source import Source
from keras_pretrained.layers.transformers.transformer_encoder import TransformerEncoder
from keras_pretrained.tokenizers import WordPieceTokenizer


class WordPieceEncoder(TransformerEncoder):
    """What BERT shares with those of its relatives whose texts become word pieces, too."""

    tokenizer_class = WordPieceTokenizer

    def source_tokenizer(self, found: Source, lowercase: bool | None) -> WordPieceTokenizer | None:
        vocabulary = found.files.get("vocabulary")
        if vocabulary is None:
            return None
        return WordPieceTokenizer(
            vocabulary,
            lowercase=found.lowercase if lowercase is None else lowercase,
            max_length=self.max_length,
            has_segments="segment_ids" in self.input_names,
        )
