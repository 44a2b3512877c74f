"""Classic pretrained checkpoints, in the files their authors published, as native Keras 3 layers.

Importing this package loads no backend: the registry is data, and layers load on use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_pretrained import applications as applications
    from keras_pretrained import export as export
    from keras_pretrained import finetune as finetune
    from keras_pretrained import layers as layers
    from keras_pretrained.checkpoints import open_checkpoint as open_checkpoint
    from keras_pretrained.presets import list_presets as list_presets
    from keras_pretrained.presets import preset_info as preset_info

__version__ = "0.1.0"

_LAZY = {
    "applications": "keras_pretrained.applications",
    "export": "keras_pretrained.export",
    "finetune": "keras_pretrained.finetune",
    "layers": "keras_pretrained.layers",
    "list_presets": "keras_pretrained.presets:list_presets",
    "open_checkpoint": "keras_pretrained.checkpoints:open_checkpoint",
    "preset_info": "keras_pretrained.presets:preset_info",
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    try:
        module, _, attribute = _LAZY[name].partition(":")
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = importlib.import_module(module)
    return getattr(value, attribute) if attribute else value


def __dir__() -> list[str]:
    return sorted(__all__)
