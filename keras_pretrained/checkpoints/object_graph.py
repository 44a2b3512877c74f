"""Variable names in object-based TensorFlow checkpoints.

TF2 stores a variable under the path of attributes that leads to it from the saved object,
e.g. `variables/12/.ATTRIBUTES/VARIABLE_VALUE`. The name that its author gave it
(`transformer/layer_0/output/kernel`) is in the object graph, which lies beside the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from keras_pretrained.checkpoints.damage import Malformed
from keras_pretrained.checkpoints.protobuf import BYTES, VARINT, Message

OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


def exposed_names(keys: Iterable[str]) -> dict[str, str]:
    """Checkpoint key -> the key without `/.ATTRIBUTES/VARIABLE_VALUE`.

    A key whose short form is another key keeps its long form.
    """
    known = list(keys)
    taken = set(known)
    names = {}
    for key in known:
        short = key.removesuffix(VALUE_SUFFIX)
        names[key] = key if short in taken or not short else short
    return names


def read_full_names(encoded: memoryview) -> dict[str, str]:
    """Checkpoint key -> variable name, from a `TrackableObjectGraph`.

    Raises:
        Malformed: the bytes are no such message.
    """
    names = {}
    for node in Message(encoded, {1: BYTES}).views(1):
        for attribute in Message(node, {2: BYTES}).views(2):
            fields = Message(attribute, {2: BYTES, 3: BYTES})
            key, full_name = fields.text(3), plain_name(fields.text(2))
            if key and full_name:
                names[key] = full_name
    return names


def read_saved_names(saved_model: memoryview, keys: Iterable[str]) -> dict[str, str]:
    """Checkpoint key -> variable name, from the object graph of a `saved_model.pb`.

    A key is followed from the root along the attributes that it names, so that only the nodes
    on the way are read.

    Raises:
        Malformed: the bytes are no `SavedModel` message.
    """
    meta_graphs = Message(saved_model, {2: BYTES}).views(2)
    if not meta_graphs:
        return {}
    nodes = Message(Message(meta_graphs[0], {7: BYTES}).view(7), {1: BYTES}).views(1)
    children: dict[int, dict[str, int]] = {}
    variables: dict[int, str] = {}
    names = {}
    for key in keys:
        if not key.endswith(VALUE_SUFFIX) or not nodes:
            continue
        number = 0
        for part in key.removesuffix(VALUE_SUFFIX).split("/"):
            if number not in children:
                children[number] = _read_children(nodes[number], len(nodes))
            following = children[number].get(_attribute_name(part))
            if following is None:
                break
            number = following
        else:
            # Many keys may lead to one node, which may be as large as the file.
            if number not in variables:
                variable = Message(nodes[number], {7: BYTES}).view(7)
                variables[number] = plain_name(Message(variable, {6: BYTES}).text(6))
            if variables[number]:
                names[key] = variables[number]
    return names


def _read_children(node: memoryview, node_count: int) -> dict[str, int]:
    children = {}
    for child in Message(node, {1: BYTES}).views(1):
        fields = Message(child, {1: VARINT, 2: BYTES})
        number = fields.integer(1)
        if not 0 <= number < node_count:
            raise Malformed(f"The object graph refers to node {number} of {node_count}.")
        children[fields.text(2)] = number
    return children


def _attribute_name(part: str) -> str:
    """Undo TensorFlow's escapes in one part of a key: `..` is a dot, `.S` a slash."""
    return re.sub(r"\.([.S])", lambda found: "." if found[1] == "." else "/", part)


def plain_name(name: str) -> str:
    """A variable name without the output number `:0` that TensorFlow appends."""
    return name.removesuffix(":0")
