"""`list` and `info`: lines for people, JSON for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from keras_pretrained import list_presets, preset_info
from tests.cli.conftest import Run


def test_the_first_word_of_every_line_is_a_name(run: Run) -> None:
    done = run("list")
    assert done.code == 0
    assert done.err == ""
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines] == list_presets()
    base = next(line for line in lines if line.startswith("bert-base "))
    assert base.split()[1:3] == ["bert", f"{preset_info('bert-base').parameters:,}"]
    assert base.endswith(preset_info("bert-base").description)


def test_patterns_match_names_and_aliases(run: Run) -> None:
    done = run("list", "*uncased*")
    assert [line.split()[0] for line in done.out.splitlines()] == list_presets("*uncased*")
    assert run("list", "minilm*", "--family", "bert").out.startswith("minilm-l6 ")


def test_no_match_is_a_failure_with_advice(run: Run) -> None:
    done = run("list", "inilm")
    assert done == (
        1,
        "",
        "keras-pretrained: no preset matches 'inilm'. Try the pattern '*inilm*'.\n",
    )
    assert run("list", "zz*").err == "keras-pretrained: no preset matches 'zz*'.\n"
    done = run("list", "zz*", "--json")
    assert (done.code, json.loads(done.out)) == (1, [])


def test_an_unknown_family_names_the_known_ones(run: Run) -> None:
    done = run("list", "--family", "bart")
    assert (done.code, done.out) == (1, "")
    assert "Unknown family 'bart'. Expected one of: bert" in done.err


def test_the_list_as_json(run: Run) -> None:
    (found,) = json.loads(run("list", "minilm-l6", "--json").out)
    assert found == {
        "name": "minilm-l6",
        "family": "bert",
        "parameters": preset_info("minilm-l6").parameters,
        "description": preset_info("minilm-l6").description,
        "aliases": ["all-minilm-l6-v2"],
        "languages": ["en"],
        "licence": "Apache-2.0",
        "image": None,
    }


def test_info_prints_the_record_and_where_the_files_are(run: Run, home: Path) -> None:
    done = run("info", "bert-base-uncased")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(str(preset_info("bert-base")))
    assert done.out.endswith("not on this machine: keras-pretrained fetch bert-base\n")
    folder = home / "bert-base"
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "vocab.txt"):
        (folder / name).touch()
    assert run("info", "bert-base").out.endswith(f"  files         {folder}\n")


def test_info_says_that_a_file_is_damaged(run: Run, home: Path) -> None:
    folder = home / "minilm-l6"
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "vocab.txt"):
        (folder / name).write_bytes(b"half")
    done = run("info", "minilm-l6")
    assert (done.code, done.err) == (0, "")
    assert "Expected 90,868,376 bytes, found 4 bytes" in done.out
    assert json.loads(run("info", "minilm-l6", "--json").out)["folder"] is None


def test_info_as_json_has_everything(run: Run, home: Path) -> None:
    found = json.loads(run("info", "minilm-l6", "--json").out)
    preset = preset_info("minilm-l6")
    assert found["architecture"] == dict(preset.architecture)
    assert found["parameters"] == preset.parameters
    assert found["paper"]["url"] == "https://arxiv.org/abs/2002.10957"
    assert found["sources"][0]["sha256"] == dict(preset.sources[0].sha256)
    assert "folder" in found
    dated = json.loads(run("info", "bert-base", "--json").out)
    assert dated["released"] == "2018-10-18"
    assert dated["folder"] is None


def test_image_networks(run: Run) -> None:
    lines = run("list", "--family", "alexnet").out.splitlines()
    assert [line.split()[:3] for line in lines] == [["alexnet", "alexnet", "61,100,840"]]
    (found,) = json.loads(run("list", "alexnet", "--json").out)
    assert (found["image"]["size"], found["image"]["top_1"]) == (224, 56.522)
    assert "shorter side to 256, centre crop; 224 x 224" in run("info", "alexnet").out
    found = json.loads(run("info", "alexnet", "--json").out)
    assert found["sources"][0]["sha256"] == {"weights": "7be5be79"}
    assert found["parameters"] == 61_100_840
    assert "stated_parameters" not in found
    assert "never published" in run("info", "resnet-v2-200").out.splitlines()[-1]


def test_list_starts_fast() -> None:
    """No backend, no network library: less than half a second of work."""
    command = [sys.executable, "-m", "keras_pretrained", "list"]
    times = []
    for _ in range(3):
        before = os.times()
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
        # The work, not the time that passed: other tests run beside this one.
        user = after.children_user - before.children_user
        times.append(user + after.children_system - before.children_system)
    assert min(times) < 0.5


def test_an_unknown_preset_suggests_close_ones(run: Run) -> None:
    for command in ("info", "verify"):
        done = run(command, "bert-bse")
        assert (done.code, done.out) == (1, "")
        assert "Unknown preset 'bert-bse'. Did you mean 'bert-base'" in done.err
