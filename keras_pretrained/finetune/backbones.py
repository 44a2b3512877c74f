"""The staged networks inside a model, and which variable belongs to which stage."""

from __future__ import annotations

from typing import Any

import keras

from keras_pretrained.layers.staged import Staged


def backbones(network: Any) -> list[Any]:
    """The staged networks in a model, or the one that is given; not those inside of another.

    Raises:
        ValueError: there is none.
    """
    found = _outermost(network) if isinstance(network, keras.layers.Layer) else []
    if not found:
        raise ValueError(
            "Expected a layer of keras_pretrained.layers, an image network of "
            "keras_pretrained.applications, or a model that holds one; FrozenBackbone(model) gives "
            f"any other model its stages. Received: {network!r}"
        )
    return found


def backbone(network: Any) -> Any:
    """The only staged network in a model.

    Raises:
        ValueError: there is none, or there are several.
    """
    found = backbones(network)
    if len(found) > 1:
        names = ", ".join(repr(layer.name) for layer in found)
        raise ValueError(
            f"Model {network.name!r} holds several pretrained networks: {names}. Pass the one that "
            "is meant."
        )
    return found[0]


def stage_variables(network: Any) -> dict[str, list[Any]]:
    """Stage -> its trainable variables; one that serves several counts for the earliest.

    A stage that no output depends on is left out, and so is one of which nothing trains.
    """
    seen: set[int] = set()
    found: dict[str, list[Any]] = {}
    for index, stage in enumerate(network.stages):
        own = [
            variable
            for layer in stage.layers
            for variable in layer.trainable_variables
            if id(variable) not in seen and network.in_use(index)
        ]
        # A layer that is listed twice in one stage has its variables once.
        own = list({id(variable): variable for variable in own}.values())
        seen |= {id(variable) for variable in own}
        if own:
            found[stage.name] = own
    return found


def _outermost(layer: keras.layers.Layer) -> list[Any]:
    if isinstance(layer, Staged):
        return [layer]
    # Keras has no public list of the layers right below one that is no model.
    below = layer._flatten_layers(include_self=False, recursive=False)
    found = [staged for part in below for staged in _outermost(part)]
    return list({id(staged): staged for staged in found}.values())
