"""What the registry imports, and what it imports only on use."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from keras_pretrained.presets import PresetError, list_presets, load_builder, preset_info

HEAVY = {"tensorflow", "keras", "jax", "torch", "numpy", "h5py", "ml_dtypes", "tensorflow_text"}
NETWORK = {"requests", "urllib3", "huggingface_hub", "kagglehub", "filelock", "tqdm"}


def test_listing_and_looking_up_import_nothing_heavy() -> None:
    code = """
import json, sys
import keras_pretrained
names = keras_pretrained.list_presets()
text = str(keras_pretrained.preset_info("minilm-l6"))
from keras_pretrained import presets
presets.find_file("minilm-l6", "vocabulary")
print(json.dumps([len(names), sorted({name.partition(".")[0] for name in sys.modules})]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    count, modules = json.loads(done.stdout)
    assert count == len(list_presets())
    assert not (HEAVY | NETWORK) & set(modules)


def test_builder_is_imported_on_use() -> None:
    preset = replace(preset_info("bert-base"), builder="keras_pretrained.presets.preset:Preset")
    assert load_builder(preset) is type(preset)


@pytest.mark.parametrize(
    "builder", ["keras_pretrained.nowhere:X", "keras_pretrained.presets.preset:Nothing"]
)
def test_wrong_builders(builder: str) -> None:
    preset = replace(preset_info("bert-base"), builder=builder)
    with pytest.raises(ImportError, match=f"'bert-base' is built by '{builder}'"):
        load_builder(preset)


def test_unknown_preset() -> None:
    with pytest.raises(PresetError, match="Unknown preset"):
        load_builder("bert-bas")
