"""Taggers and answerers come back whole in another process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from keras_pretrained.applications import QuestionAnswerer, TokenClassifier
from tests.applications.tasks.toys import letters_bert

TEXTS = [["a", "bcd", "h"], [], ["h"], ["abc"] * 9]
PAIRS = [("a", "b c d"), ("b c", "h g f e d c b a h"), ("d", "")]
RELOAD = f"""
import keras, numpy as np
import keras_pretrained.applications

tagger = keras.models.load_model("tagger.keras")
np.savez("shares.npz", *tagger.predict_proba({TEXTS}))
print(tagger.predict({TEXTS}))
answerer = keras.models.load_model("answerer.keras")
print(answerer.predict_spans({PAIRS}, n_best=3))
print(answerer.windowing, answerer.no_answer, answerer.null_threshold, answerer.answer_length)
"""


def test_they_come_back_whole(tmp_path: Path) -> None:
    tagger = TokenClassifier(letters_bert(), ["X", "Y"])
    tagger.compile("adam", jit_compile=False)
    tagger.fit(TEXTS[2:3], [["Y"]], verbose=0)
    tagger.save(tmp_path / "tagger.keras")
    answerer = QuestionAnswerer(
        letters_bert(), no_answer=True, null_threshold=0.5, stride=3, answer_length=3
    )
    answerer.save(tmp_path / "answerer.keras")
    done = subprocess.run(
        [sys.executable, "-c", RELOAD], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "shares.npz") as found:
        for number, expected in enumerate(tagger.predict_proba(TEXTS)):
            np.testing.assert_array_equal(found[f"arr_{number}"], expected)
    tags, spans, options = done.stdout.strip().split("\n")[-3:]
    assert tags == str(tagger.predict(TEXTS))
    assert spans == str(answerer.predict_spans(PAIRS, n_best=3))
    assert options == f"{answerer.windowing} True 0.5 3"
