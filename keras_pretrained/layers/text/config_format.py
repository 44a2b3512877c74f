"""How configuration files name the sizes of an architecture, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

EXACT = {"gelu": "gelu", "gelu_python": "gelu", "gelu_exact": "gelu"}
APPROXIMATE = dict.fromkeys(
    ("gelu_new", "gelu_pytorch_tanh", "gelu_tanh", "gelu_fast"), "gelu_tanh"
)
ACTIVATIONS = {**EXACT, **APPROXIMATE, "relu": "relu"}


# Each layer is an object, made before a tensor of the file is looked at.
_LIMITS = {"num_layers": 1000}
_LIMIT = 2**31


def check_size(name: str, value: Any, origin: str) -> None:
    """Raises ValueError when a file gives a size that no network has."""
    limit = _LIMITS.get(name, _LIMIT)
    if type(value) not in (int, float) or not 0 <= value <= limit:
        raise ValueError(
            f"{origin} gives {name} as {str(value)[:80]!r} ({type(value).__name__}). Expected a "
            f"number from 0 to {limit}."
        )


@dataclass(frozen=True)
class ConfigFormat:
    """The names in the configuration files of one family.

    Attributes:
        model_type: what Hugging Face calls the family.
        sizes: key in the file -> entry of the architecture.
        required: keys without which a file does not describe the family.
        activation: the key of the activation's name.
        original_gelu: what `"gelu"` means to the program of the family's authors; to Hugging
            Face it means the exact function.
        fixed: keys that may have only this value, which is also their default.
        defaults: what absent keys mean, where that is not the default of the architecture.
    """

    model_type: str
    sizes: Mapping[str, str]
    required: tuple[str, ...]
    activation: str = "hidden_act"
    original_gelu: str = "gelu"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def read(self, config: Mapping[str, Any], origin: str, dialect: str) -> dict[str, Any]:
        """The architecture that a file describes.

        Args:
            config: the parsed file.
            origin: its name, for error messages.
            dialect: whose program wrote the file.

        Raises:
            ValueError: it describes something else; the message names file, keys and values.
        """
        missing = [key for key in self.required if key not in config]
        kind = config.get("model_type", self.model_type)
        if missing or kind != self.model_type:
            raise ValueError(
                f"{origin} does not describe a network of model_type {self.model_type!r}. Expected "
                f"that and the keys {', '.join(self.required)}. Received: model_type {kind!r}, "
                f"missing keys: {', '.join(missing) or 'none'}"
            )
        absent = {key: value for key, value in self.defaults.items() if config.get(key) is None}
        config = {**config, **absent}
        for key, value in self.fixed.items():
            if config.get(key, value) != value:
                raise ValueError(
                    f"{origin} has {key}={config[key]!r}. Expected {value!r}: this layer computes "
                    "nothing else."
                )
        name = config.get(self.activation, "gelu")
        if not isinstance(name, str) or name not in ACTIVATIONS:
            raise ValueError(
                f"{origin} names the activation {name!r}. Expected one of {', '.join(ACTIVATIONS)}."
            )
        activation = ACTIVATIONS[name]
        if name == "gelu" and dialect != "hf":
            activation = self.original_gelu
        sizes = {ours: config[theirs] for theirs, ours in self.sizes.items() if theirs in config}
        # Some published files say null where they mean the default.
        sizes = {name: value for name, value in sizes.items() if value is not None}
        for name, value in sizes.items():
            check_size(name, value, origin)
        return {**sizes, "activation": activation}

    def write(self, architecture: Mapping[str, Any], dialect: str) -> dict[str, Any]:
        """The configuration file of a dialect that `read` reads back equal."""
        config = {theirs: architecture[ours] for theirs, ours in self.sizes.items()}
        names = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}
        if dialect != "hf" and self.original_gelu == "gelu_tanh":
            # To the programs of these dialects "gelu" is the approximation.
            names = {"gelu": "gelu_exact", "gelu_tanh": "gelu", "relu": "relu"}
        config[self.activation] = names[architecture["activation"]]
        return {"model_type": self.model_type, **config} if dialect == "hf" else config
