"""What `saved_model.pb` says of a module, read before any of it is run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from keras_pretrained.checkpoints.object_graph import OBJECT_GRAPH_KEY, VALUE_SUFFIX
from keras_pretrained.checkpoints.tf_bundle_index import index_path, read_index
from keras_pretrained.layers.saved_model.files import ModuleError, read_graph_file
from keras_pretrained.layers.saved_model.operations import TEXT

TRAIN = "train"
SERVE = "serve"


@dataclass(frozen=True)
class SavedGraph:
    """One SavedModel, of TF2 or of TF1.

    Attributes:
        name: of the module, for messages.
        folder: where it lies.
        proto: the message in `saved_model.pb`.
    """

    name: str
    folder: Path
    proto: Any

    @classmethod
    def read(cls, folder: Path, name: str) -> SavedGraph:
        """Reads the message.

        Raises:
            ModuleError: it is none, or holds no graph.
        """
        try:
            proto = saved_model_pb2.SavedModel.FromString(bytes(read_graph_file(folder)))
        except DecodeError as error:
            raise ModuleError(f"{name!r}: saved_model.pb is damaged ({error}).") from error
        if not proto.meta_graphs:
            raise ModuleError(f"{name!r}: saved_model.pb holds no graph.")
        return cls(name, folder, proto)

    @property
    def is_tf1(self) -> bool:
        """Whether TensorFlow takes it for one of TF1: graphs with tags instead of functions."""
        graphs = self.proto.meta_graphs
        return not (len(graphs) == 1 and graphs[0].HasField("object_graph_def"))

    @property
    def is_hub_module(self) -> bool:
        """Whether it is in the format that TF-Hub had before SavedModels of TF2."""
        return self.is_tf1 and (self.folder / "tfhub_module.pb").is_file()

    @property
    def tag_sets(self) -> list[frozenset[str]]:
        return [frozenset(graph.meta_info_def.tags) for graph in self.proto.meta_graphs]

    def chosen_tags(self, tags: Collection[str] | None) -> frozenset[str]:
        """The tags of the graph to run: those asked for, or those of the one for inference.

        Raises:
            ModuleError: there is no such graph, or it is not clear which is meant.
        """
        sets = self.tag_sets
        usual = [frozenset[str](), frozenset({SERVE})]
        if tags is not None:
            wanted = [frozenset(tags)]
        else:
            wanted = sets if len(sets) == 1 else usual
        found = next((each for each in wanted if each in sets), None)
        if found is None:
            there = ", ".join(str(sorted(each)) for each in sets)
            raise ModuleError(
                f"{self.name!r} has graphs with the tags {there}. Choose one of them with `tags=`. "
                f"Received: tags={None if tags is None else sorted(tags)}"
            )
        return found

    def training_tags(self, tags: frozenset[str]) -> frozenset[str] | None:
        """The tags of the graph that TF-Hub keeps for training, if there is one."""
        train = (tags - {SERVE}) | {TRAIN}
        return next((each for each in (train, tags | {TRAIN}) if each in self.tag_sets), None)

    def meta_graph(self, tags: Collection[str]) -> meta_graph_pb2.MetaGraphDef:
        """The graph with exactly these tags."""
        return self.proto.meta_graphs[self.tag_sets.index(frozenset(tags))]

    def operations(self) -> set[str]:
        """The names of all operations in all graphs and functions, without calls of functions."""
        return {
            node.op
            for graph in self.proto.meta_graphs
            for nodes in node_lists(graph.graph_def)
            for node in nodes
        } - self.functions()

    def functions(self) -> set[str]:
        """The names of all functions."""
        return {
            function.signature.name
            for graph in self.proto.meta_graphs
            for function in graph.graph_def.library.function
        }

    @property
    def needs_text_operations(self) -> bool:
        """Whether tensorflow_text must be imported before it is loaded."""
        return bool(self.operations() & TEXT)

    def stored_state(self, variables: Collection[str]) -> list[str]:
        """What the folder's checkpoint holds apart from variables that a layer can hold.

        A module without such state is complete without its checkpoint, because a layer's variables
        are saved with the model.

        Args:
            variables: names of the variables that the layer has.
        """
        prefix = self.folder / "variables" / "variables"
        if not index_path(prefix).is_file():
            return []
        stored = read_index(prefix).entries
        if self.is_tf1:
            return sorted(name for name in stored if name not in variables)
        kept = [name for name in stored if name != OBJECT_GRAPH_KEY]
        return sorted(name for name in kept if not name.endswith(VALUE_SUFFIX))

    def initializers_read_variables(self) -> bool:
        """Whether tables and the like of a TF2 SavedModel are made from its variables."""
        objects = self.proto.meta_graphs[0].object_graph_def
        nodes = objects.nodes
        for node in nodes:
            if node.WhichOneof("kind") != "resource":
                continue
            for child in node.children:
                function = nodes[child.node_id].function
                for name in function.concrete_functions:
                    bound = objects.concrete_functions[name].bound_inputs
                    if any(nodes[each].WhichOneof("kind") == "variable" for each in bound):
                        return True
        return False


def node_lists(graph: Any) -> Iterator[Sequence[Any]]:
    """The nodes of a graph, and of each of its functions."""
    yield graph.node
    for function in graph.library.function:
        yield function.node_def


def operations_of(graphs: Iterable[Any]) -> tuple[set[str], bool]:
    """The operations of graphs with their functions, and whether some handle strings."""
    found: set[str] = set()
    strings = False
    for graph in graphs:
        functions = {function.signature.name for function in graph.library.function}
        for nodes in node_lists(graph):
            for node in nodes:
                found.add(node.op)
                strings = strings or any(
                    types_pb2.DT_STRING in (attribute.type, *attribute.list.type)
                    for attribute in node.attr.values()
                )
        found -= functions
    return found, strings
