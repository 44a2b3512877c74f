"""What pretrained networks exist, what they are, where their files are, and how they get there.

Importing this, listing and looking up load neither a backend nor a network library.
"""

from keras_pretrained.presets.images import ImageSpec
from keras_pretrained.presets.json_file import read_json
from keras_pretrained.presets.located import Located, SourceError
from keras_pretrained.presets.lookup import find_file, find_preset
from keras_pretrained.presets.placed import home, preset_folder
from keras_pretrained.presets.preset import Paper, Preset, PresetError, Source
from keras_pretrained.presets.registry import (
    image_presets,
    list_presets,
    load_builder,
    preset_info,
    preset_of,
)
from keras_pretrained.presets.sources import fetch, locate_file, resolve
from keras_pretrained.presets.verifying import FileCheck, verify_files

__all__ = [
    "FileCheck",
    "ImageSpec",
    "Located",
    "Paper",
    "Preset",
    "PresetError",
    "Source",
    "SourceError",
    "fetch",
    "find_file",
    "find_preset",
    "home",
    "image_presets",
    "list_presets",
    "load_builder",
    "locate_file",
    "preset_folder",
    "preset_info",
    "preset_of",
    "read_json",
    "resolve",
    "verify_files",
]
