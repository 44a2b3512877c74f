"""GPT2Decoder: its numbers against transformers', its contract, and its two layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_pretrained import open_checkpoint
from keras_pretrained.layers import GPT2Decoder
from keras_pretrained.tokenizers import ByteLevelBPETokenizer
from tests.layers.layer_test import run_layer_test, to_numpy
from tests.layers.toys import VOCABULARY, WIDTH, make_encoder
from tests.parity.recording import Record

GOLDENS = Path(__file__).parents[1] / "goldens" / "gpt2"
BACKEND = keras.backend.backend()
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason=f"{BACKEND} has no strings")
TEXTS = ["The dog", "a text that is longer", "x"]
LETTERS = {letter: number for number, letter in enumerate("abcde")}


def golden() -> dict[str, np.ndarray]:
    return dict(np.load(GOLDENS / "hf" / "expected.npz"))


def make(changes: dict[str, Any] | None = None, **options: Any) -> GPT2Decoder:
    return make_encoder(GPT2Decoder, changes, **options)


def inputs(length: int = 5) -> dict[str, np.ndarray]:
    """Three rows: none padded, the right padded, the left padded."""
    ids = np.random.default_rng(0).integers(0, VOCABULARY, (3, length)).astype("int32")
    mask = np.ones_like(ids)
    mask[1, -2:] = mask[2, :2] = 0
    return {"token_ids": ids, "padding_mask": mask}


@pytest.mark.parity
@pytest.mark.parametrize("dialect", ["hf", "openai"])
def test_every_depth_equals_the_original(dialect: str, parity: Record) -> None:
    decoder, measured, expected = (
        GPT2Decoder(GOLDENS / dialect),
        parity(f"gpt2/{dialect}"),
        golden(),
    )
    assert decoder.load_report.dialect == dialect
    for batch in ("long", "short"):
        given = {key: expected[f"{batch}_{key}"] for key in ("token_ids", "padding_mask")}
        found = to_numpy(decoder.features(given))
        # What stands at padding is nobody's promise: the original looks at keys that are masked.
        real = given["padding_mask"] == 1
        for ours, original in zip(
            found["hidden_states"], expected[f"{batch}_hidden_states"], strict=True
        ):
            measured.close("hidden states", ours[real], original[real])
        for index, original in zip((0, -1), expected[f"{batch}_attentions"], strict=True):
            ours = found["attentions"][index].swapaxes(1, 2)[real]
            measured.close("attentions", ours, original.swapaxes(1, 2)[real])
        measured.close("logits", found["logits"][real], expected[f"{batch}_logits"][real])


@pytest.mark.parity
@pytest.mark.parametrize("dialect", ["hf", "openai"])
def test_greedy_continuations_equal_the_original(dialect: str) -> None:
    expected = golden()["greedy_token_ids"]
    assert min(len(set(row[3:])) for row in expected.tolist()) >= 8
    decoder = GPT2Decoder(GOLDENS / dialect)
    count = expected.shape[1] - 3
    found = decoder.generate(expected[:, :3], count, temperature=0, stop=())
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("options", "width", "pooled"),
    [
        ({}, WIDTH, False),
        ({"pooling": "last", "hidden_layers": [-1, 0]}, 2 * WIDTH, True),
        ({"language_model_logits": True}, VOCABULARY, False),
    ],
    ids=str,
)
def test_layer(options: dict[str, Any], width: int, pooled: bool, tmp_path: Path) -> None:
    shape = (None, width) if pooled else (None, None, width)
    run_layer_test(lambda **kw: make(**options, **kw), inputs(), shape, tmp_path)


def test_no_token_sees_a_later_one() -> None:
    decoder = make()
    ids = inputs()["token_ids"]
    changed = ids.copy()
    changed[:, 3:] = (changed[:, 3:] + 1) % VOCABULARY
    before, after = to_numpy(decoder(ids)), to_numpy(decoder(changed))
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.abs(before[:, 3:] - after[:, 3:]).min(axis=-1).max() > 0


def test_padding_does_not_change_a_text() -> None:
    decoder, given = make(), inputs()
    found = to_numpy(decoder(given))
    for row, real in ((1, slice(0, 3)), (2, slice(2, 5))):
        alone = to_numpy(decoder(given["token_ids"][row : row + 1, real]))
        np.testing.assert_allclose(found[row : row + 1, real], alone, atol=2e-6)
    empty = {"token_ids": np.zeros((1, 4), "int32"), "padding_mask": np.zeros((1, 4), "int32")}
    for pooling in (None, "mean", "last"):
        assert np.isfinite(to_numpy(make(pooling=pooling)(empty))).all()


def test_outputs() -> None:
    decoder, given = make(), inputs()
    found = to_numpy(decoder.features(given))
    assert set(found) == {"hidden_states", "attentions", "logits"}
    assert [state.shape for state in found["hidden_states"]] == [(3, 5, WIDTH)] * 4
    np.testing.assert_array_equal(found["hidden_states"][-1], to_numpy(decoder(given)))
    table = to_numpy(decoder.embeddings.word_embeddings)
    np.testing.assert_allclose(
        found["logits"], found["hidden_states"][-1] @ table.T, rtol=1e-5, atol=1e-5
    )
    with pytest.raises(ValueError, match="must keep their defaults"):
        make(language_model_logits=True, pooling="mean")
    with pytest.raises(ValueError, match="needs the original pooler"):
        make(pooling="pooler")
    with pytest.raises(ValueError, match=r"at most 12 tokens\. Received: 13"):
        decoder(np.full((1, 13), 5, "int32"))


def test_the_tied_table_trains_with_the_stem() -> None:
    for depth, trains in ((0, True), ("layer_0", False)):
        decoder = make(language_model_logits=True, trainable_from=depth)
        paths = {variable.path for variable in decoder.trainable_variables}
        assert any("word_embeddings" in path for path in paths) == trains
        assert any("final_norm" in path for path in paths)
        model = keras.Model(symbolic := decoder.symbolic_inputs(), decoder(symbolic))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.AdamW(1e-2, weight_decay=0.1), loss, jit_compile=False)
        before = to_numpy(decoder.embeddings.word_embeddings)
        losses = [model.train_on_batch(inputs(), inputs()["token_ids"]) for _ in range(12)]
        assert losses[-1] < losses[0] - 0.1
        after = to_numpy(decoder.embeddings.word_embeddings)
        assert np.array_equal(before, after) != trains


@pytest.mark.parametrize("dialect", ["hf", "openai"])
def test_weights_and_folder_are_written_back(dialect: str, tmp_path: Path) -> None:
    decoder = GPT2Decoder(GOLDENS / dialect, max_length=9)
    original = open_checkpoint(GOLDENS / dialect)
    folder = decoder.save_weights_as(tmp_path / "folder", dialect=dialect)
    written = open_checkpoint(folder)
    assert set(written) == {n for names in decoder.load_report.loaded.values() for n in names}
    for name in written:
        assert written[name].shape == original[name].shape, name
        assert written[name].read().tobytes() == original[name].read().tobytes(), name
    again = GPT2Decoder(folder, max_length=9)
    assert again.architecture == decoder.architecture
    for name, ids in decoder.tokenizer(TEXTS).items():
        np.testing.assert_array_equal(again.tokenizer(TEXTS)[name], ids)
    if dialect == "openai":
        published = json.loads((GOLDENS / "openai" / "hparams.json").read_text(encoding="utf-8"))
        assert json.loads((folder / "hparams.json").read_text(encoding="utf-8")) == published
        assert {path.name for path in folder.iterdir()} >= {"encoder.json", "vocab.bpe"}


def test_a_folder_of_openai_is_whole_without_hugging_face() -> None:
    decoder = GPT2Decoder(GOLDENS / "openai")
    assert decoder.architecture == GPT2Decoder(GOLDENS / "hf").architecture
    ids = decoder.tokenizer(TEXTS, pad_side="left")
    assert ids["padding_mask"][:, -1].all()
    assert to_numpy(decoder(ids)).shape[:2] == ids["token_ids"].shape
    with pytest.raises(ValueError, match="bert-base"):
        GPT2Decoder("bert-base")


def test_a_vocabulary_without_the_original_s_special_tokens(tmp_path: Path) -> None:
    folder = make(tokenizer=ByteLevelBPETokenizer(LETTERS, [], special=None)).save_weights_as(
        tmp_path / "letters"
    )
    with pytest.raises(ValueError, match=r"no <\|endoftext\|>, .*`tokenizer=ByteLevelBPETokeniz"):
        GPT2Decoder(folder)
    tokenizer = ByteLevelBPETokenizer.from_folder(folder, special=None)
    assert GPT2Decoder(folder, tokenizer=tokenizer).tokenizer is tokenizer


@on_tensorflow
def test_strings_saving_and_exports(tmp_path: Path) -> None:
    import onnxruntime
    import tensorflow as tf

    from keras_pretrained.export import to_onnx, to_saved_model

    decoder = GPT2Decoder(GOLDENS / "openai", pooling="last", max_length=12, jit_compile=False)
    texts = np.array(TEXTS, dtype=object)
    expected = to_numpy(decoder(decoder.tokenizer(TEXTS, pad_to="buckets")))
    symbolic = keras.Input((), dtype="string")
    model = keras.Model(symbolic, decoder(symbolic))
    np.testing.assert_allclose(model.predict(texts, verbose=0), expected, atol=1e-6)
    model.save(tmp_path / "m.keras")
    reloaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        reloaded.predict(texts, verbose=0), model.predict(texts, verbose=0)
    )
    logits = GPT2Decoder(GOLDENS / "hf", language_model_logits=True)
    on_ids = keras.Model(ids := logits.symbolic_inputs(), logits(ids))
    given = {name: values % 200 for name, values in inputs(7).items()}
    wanted = to_numpy(logits(given))
    saved = to_saved_model(on_ids, tmp_path / "saved").path
    served = tf.saved_model.load(str(saved)).serve_ids(
        {name: tf.constant(values) for name, values in given.items()}
    )
    np.testing.assert_allclose(next(iter(served.values())), wanted, atol=1e-5)
    path = to_onnx(on_ids, tmp_path / "m.onnx").path
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, given)[0], wanted, atol=2e-5)


@pytest.mark.skipif(BACKEND != "jax", reason="lowering for TPU is JAX's")
def test_the_layer_compiles_for_tpu() -> None:
    import jax

    decoder = make(language_model_logits=True)
    fixed = [v.value for v in decoder.non_trainable_variables]

    def loss(values: Any, given: Any) -> Any:
        output, _ = decoder.stateless_call(values, fixed, given, training=False)
        return (output**2).mean()

    values = [v.value for v in decoder.trainable_variables]
    platforms = ["tpu", "cuda", "cpu"]
    exported = jax.export.export(jax.jit(jax.grad(loss)), platforms=platforms)(values, inputs())
    assert set(exported.platforms) == set(platforms)
