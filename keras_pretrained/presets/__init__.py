"""What pretrained networks exist, what they are, and where their files are on this machine.

Everything here is data: importing it, listing and looking up load no backend.
"""

from keras_pretrained.presets.json_file import read_json
from keras_pretrained.presets.located import Located, SourceError
from keras_pretrained.presets.placed import home, preset_folder
from keras_pretrained.presets.preset import Paper, Preset, PresetError, Source
from keras_pretrained.presets.registry import list_presets, load_builder, preset_info
from keras_pretrained.presets.sources import (
    FileCheck,
    find_file,
    locate_file,
    resolve,
    verify_files,
)

__all__ = [
    "FileCheck",
    "Located",
    "Paper",
    "Preset",
    "PresetError",
    "Source",
    "SourceError",
    "find_file",
    "home",
    "list_presets",
    "load_builder",
    "locate_file",
    "preset_folder",
    "preset_info",
    "read_json",
    "resolve",
    "verify_files",
]
