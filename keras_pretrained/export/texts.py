"""Models on texts and on ids: the same network with the tokenizer before it, or without."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_pretrained.export.interface import Interface, Port
from keras_pretrained.export.words import at_words, word_tokens
from keras_pretrained.layers.text.strings import holds_strings
from keras_pretrained.layers.text.text_encoder import TextEncoder

TEXTS = "texts"


@dataclass(frozen=True)
class TextFront:
    """Makes some of a model's inputs of texts.

    Attributes:
        encoder: the layer whose tokenizer does it.
        texts: names of the string inputs: one, or a pair.
        ids: what the tokenizer makes, such as `"token_ids"` -> the name of the model's input.
        length: the length of the ids where the model fixes it.
        by_word: whether the outputs for texts are those of their words, not of all tokens.
    """

    encoder: TextEncoder
    texts: tuple[str, ...]
    ids: Mapping[str, str]
    length: int | None = None
    by_word: bool = False

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The model's inputs by name."""
        sides = tuple(inputs[name] for name in self.texts)
        made = self.encoder.tokenize_inputs(sides, pad_to=self.length)
        return {name: made[key] for key, name in self.ids.items()}

    def run(
        self, network: Callable[[dict[str, Any]], dict[str, Any]], inputs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The outputs by name of a network on ids, for texts."""
        if not self.by_word:
            return network(self(inputs))
        made = word_tokens(self.encoder.tokenizer, inputs[self.texts[0]], self.length)
        outputs = network({name: made[key] for key, name in self.ids.items()})
        return {name: at_words(value, made["word_ids"]) for name, value in outputs.items()}


@dataclass(frozen=True)
class Wiring:
    """What an artefact of a model can take.

    Attributes:
        model: the model as it was given.
        network: the same on ids; the model itself where it has no texts.
        texts: the model on texts, or None where nothing says how they become ids.
        fronts: how texts become ids.
    """

    model: Interface
    network: Interface
    texts: Interface | None
    fronts: tuple[TextFront, ...]

    def to_ids(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The network's inputs by name, for inputs of which some are texts."""
        made = {name: value for front in self.fronts for name, value in front(inputs).items()}
        kept = {port.name: inputs[port.name] for port in self.network.inputs if port.name in inputs}
        return {**kept, **made}

    def run(self, network: Callable[[dict[str, Any]], Any], inputs: Mapping[str, Any]) -> Any:
        """The outputs of the network on ids, given as a function, for inputs of `texts`."""
        if isinstance(self.texts, _OnTexts):
            return self.texts.run(network, inputs)
        return network(self.to_ids(inputs))

    @property
    def takes_texts(self) -> bool:
        """Whether the model as it was given takes texts."""
        return self.texts is self.model

    @property
    def python_fronts(self) -> list[TextFront]:
        """The fronts whose tokenizers run in Python, so that no artefact can hold them."""
        return [front for front in self.fronts if front.encoder.tokenizer.runs_in_python]


def wiring(model: Any) -> Wiring:
    """How a model can be served: on texts, on ids, or on whatever else it takes."""
    given = Interface(model)
    if any(port.dtype == "string" for port in given.inputs):
        rewired = _without_texts(given)
        if rewired is None:
            return Wiring(given, given, given, ())
        network, fronts = rewired
        return Wiring(given, network, given, fronts)
    front = _front_of_ids(given)
    if front is None:
        return Wiring(given, given, None, ())
    return Wiring(given, given, _OnTexts(given, front), (front,))


class _OnTexts(Interface):
    """A model on ids, called on texts."""

    def __init__(self, network: Interface, front: TextFront) -> None:
        made = set(front.ids.values())
        self.model = network.model
        self.inputs = (
            *(Port(name, (None,), "string") for name in front.texts),
            *(port for port in network.inputs if port.name not in made),
        )
        self.outputs = network.outputs
        self._inputs = {port.name: port for port in self.inputs}
        self._network = network
        self._front = front

    def call(
        self, inputs: Mapping[str, Any], weights: Sequence[Any] | None = None
    ) -> dict[str, Any]:
        return self.run(lambda ids: self._network.call(ids, weights), inputs)

    def run(
        self, network: Callable[[dict[str, Any]], dict[str, Any]], inputs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The outputs of the network on ids, given as a function."""
        names = {port.name for port in self._network.inputs}
        kept = {name: value for name, value in inputs.items() if name in names}
        return self._front.run(lambda ids: network({**kept, **ids}), inputs)


# --- from texts to ids -------------------------------------------------------------------------


def _without_texts(given: Interface) -> tuple[Interface, tuple[TextFront, ...]] | None:
    """The model with ids in place of texts, sharing its layers; None where that is impossible."""
    rewiring = _Rewiring(given)
    try:
        outputs = rewiring.run(functional(given.model), given.model.inputs)
    except _Impossible:
        return None
    made = {id(tensor) for tensor in rewiring.tokenized}
    kept = {
        port.name: tensor
        for tensor, port in zip(given.model.inputs, given.inputs, strict=True)
        if id(tensor) not in made
    }
    network = keras.Model({**rewiring.inputs, **kept}, outputs, name=given.model.name)
    return Interface(network, given.outputs), tuple(rewiring.fronts)


class _Impossible(Exception):
    """The texts reach an encoder through other layers."""


class _Rewiring:
    """Runs a model's graph once more, with ids at every encoder that takes texts."""

    def __init__(self, given: Interface) -> None:
        ports = zip(given.model.inputs, given.inputs, strict=True)
        self._names = {id(tensor): port.name for tensor, port in ports if port.dtype == "string"}
        self.fronts: list[TextFront] = []
        self.inputs: dict[str, Any] = {}
        self.tokenized: list[Any] = []

    def run(self, graph: Any, inputs: Any) -> Any:
        return graph._run_through_graph(inputs, call_fn=self._call)

    def _call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        texts = [tensor for tensor in keras.tree.flatten(args) if holds_strings(tensor)]
        if not texts:
            return operation(*args, **kwargs)
        if functional(operation) is not None:
            return self.run(functional(operation), args[0])
        if len(texts) < len(keras.tree.flatten(args)):
            # Lengths beside the texts: no tokenizer takes those from a caller.
            raise _Impossible
        if not isinstance(operation, TextEncoder):
            if any(id(tensor) in map(id, self.tokenized) for tensor in texts):
                raise _Impossible
            return operation(*args, **kwargs)
        return operation(self._ids(operation, texts), *args[1:], **kwargs)

    def _ids(self, encoder: TextEncoder, texts: list[Any]) -> dict[str, Any]:
        names = tuple(self._names.get(id(tensor), "") for tensor in texts)
        if "" in names:
            raise _Impossible
        for front in self.fronts:
            if front.texts == names and _vocabulary(front.encoder) == _vocabulary(encoder):
                return {key: self.inputs[name] for key, name in front.ids.items()}
        prefix = "" if len(names) == len(self._names) else "".join(f"{name}_" for name in names)
        wanted = encoder.symbolic_inputs()
        if any(prefix + key in self.inputs for key in wanted):
            prefix += f"{encoder.name}_"
        made = {
            key: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=prefix + key)
            for key, tensor in wanted.items()
        }
        self.fronts.append(TextFront(encoder, names, {key: prefix + key for key in made}))
        self.inputs.update({prefix + key: tensor for key, tensor in made.items()})
        self.tokenized += texts
        return made


def functional(model: Any) -> Any:
    """The functional model that a model is; None for anything else."""
    if isinstance(model, keras.Sequential):
        return model._functional
    return model if hasattr(model, "_run_through_graph") else None


# --- from ids to texts -------------------------------------------------------------------------


def _front_of_ids(given: Interface) -> TextFront | None:
    """The front of a model on ids whose text encoders all read the same inputs."""
    graph = functional(given.model)
    names = {id(tensor): port for tensor, port in zip(graph.inputs, given.inputs, strict=True)}
    # A task on pairs of texts says what they are called, one on words that they are words.
    texts = getattr(given.model, "text_names", (TEXTS,))
    by_word = getattr(given.model, "serves_words", False)
    fronts = []
    for nodes in graph._nodes_by_depth.values():
        for node in nodes:
            if not isinstance(node.operation, TextEncoder):
                continue
            ids = node.arguments.args[0]
            main = node.operation.input_names[0]
            ids = dict(ids) if isinstance(ids, Mapping) else {main: ids}
            if not all(id(tensor) in names for tensor in ids.values()):
                return None
            ports = {key: names[id(tensor)] for key, tensor in ids.items()}
            if not node.operation.has_tokenizer:
                return None
            length = ports[main].shape[1]
            taken = {key: port.name for key, port in ports.items()}
            fronts.append(TextFront(node.operation, texts, taken, length, by_word))
    if not fronts or any(port.name in texts for port in given.inputs):
        return None
    first = fronts[0]
    same = all(
        front.ids == first.ids and _vocabulary(front.encoder) == _vocabulary(first.encoder)
        for front in fronts
    )
    return first if same else None


def _vocabulary(encoder: TextEncoder) -> tuple[Any, Any]:
    return encoder.tokenizer.get_config(), encoder.tokenizer.published_files()
