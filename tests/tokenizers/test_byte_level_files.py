"""The files of byte-level BPE, in every layout, whole and broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from byte_level_goldens import FOLDER, PUBLISHED, written_texts

from keras_pretrained.tokenizers import ByteLevelBPETokenizer, files

SMALL: dict[str, Any] = {"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}


def write(folder: Path, ids: Any, merges: bytes = b"#version: 0.2\na b\n") -> tuple[Path, Path]:
    text = ids if isinstance(ids, bytes) else json.dumps(ids).encode()
    (folder / "vocab.json").write_bytes(text)
    (folder / "merges.txt").write_bytes(merges)
    return folder / "vocab.json", folder / "merges.txt"


@pytest.mark.parametrize(
    "merges",
    [
        b"#version: 0.2\na b\n",
        b"a b",
        b"#version: 0.2 - Trained by\r\na b\r\n\r\n",
        b"\xef\xbb\xbf#version\na b\n\n",
    ],
    ids=["usual", "bare", "windows", "byte order mark"],
)
def test_merges_as_editors_and_libraries_write_them(merges: bytes, tmp_path: Path) -> None:
    tokenizer = ByteLevelBPETokenizer.from_files(*write(tmp_path, SMALL, merges))
    assert tokenizer.merges == [("a", "b")]
    assert tokenizer("abab")["token_ids"].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("ids", "merges", "message"),
    [
        (b"{", b"", r"vocab.json' is not valid JSON"),
        (b"[1]", b"", r"vocab.json' is not valid: expected a JSON object, received list"),
        (b'{"a": 0, "a": 1}', b"", r"vocab.json' is not valid JSON: the name 'a' stands twice"),
        (b"[" * 100_000, b"", r"vocab.json' is not valid JSON"),
        (b"\xff", b"", r"vocab.json' is not valid JSON"),
        ({}, b"", r"vocab.json' is empty. Expected token -> id"),
        ({"a": "0"}, b"", r"vocab.json' gives 'a' the id '0' \(str\). Expected an int"),
        ({"a": True}, b"", r"gives 'a' the id True \(bool\)"),
        ({"a": 0.0}, b"", r"gives 'a' the id 0.0 \(float\)"),
        ({"a": -1}, b"", r"gives 'a' the id -1. Expected 0 to 4194303"),
        ({"a": 2**40}, b"", r"gives 'a' the id 1099511627776. Expected 0 to 4194303"),
        ({"a": 0, "b": 0}, b"", r"gives the id 0 to 'a' and to 'b'. Ids must be distinct"),
        ({"\ud800": 0}, b"", r"has a token with half a surrogate pair"),
        (SMALL, b"#version: 0.2\na b\nab\n", r"merges.txt', line 3 is not a pair of tokens"),
        (SMALL, b"a b c\n", r"merges.txt', line 1 is not a pair.*Received: .*'a', 'b', 'c'"),
        (SMALL, b"a  b\n", r"merges.txt', line 1 is not a pair"),
        (SMALL, b"a b\n\nb a\n", r"merges.txt', line 2 is not a pair"),
        (
            SMALL,
            "a b\n中 文\n".encode(),
            r"line 2 has the character '中', which stands for no byte",
        ),
        (SMALL, b"a \xff\n", r"Merges file .*merges.txt' is not UTF-8 text: line 1 has the byte"),
    ],
)
def test_files_that_are_broken(ids: Any, merges: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        ByteLevelBPETokenizer.from_files(*write(tmp_path, ids, merges))


def test_files_that_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary, merges = write(tmp_path, SMALL)
    with pytest.raises(FileNotFoundError, match=r"none.json' does not exist. Expected the vocab"):
        ByteLevelBPETokenizer.from_files(tmp_path / "none.json", merges)
    with pytest.raises(FileNotFoundError, match=r"Merges file .* is a folder. Expected the merges"):
        ByteLevelBPETokenizer.from_files(vocabulary, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no tokenizer files. Expected vocab.json with"):
        ByteLevelBPETokenizer.from_folder(tmp_path / "elsewhere")
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 2**20)
    merges.write_bytes(b"a" * (2**20 + 1))
    with pytest.raises(ValueError, match=r"Merges file .* is larger than 1 MiB"):
        ByteLevelBPETokenizer.from_files(vocabulary, merges)


def test_arguments_that_are_no_vocabulary() -> None:
    with pytest.raises(TypeError, match=r"Received: str and str. For files call .*from_files"):
        ByteLevelBPETokenizer("vocab.json", "merges.txt")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Received: dict and NoneType"):
        ByteLevelBPETokenizer(SMALL)
    with pytest.raises(ValueError, match=r"merges\[1\] is not a pair"):
        ByteLevelBPETokenizer(SMALL, ["a b", "ab"])
    with pytest.raises(ValueError, match=r"merges\[0\] is not a pair"):
        ByteLevelBPETokenizer(SMALL, [("a", 1)])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"The vocabulary has a token that is no str: 1 \(int\)"):
        ByteLevelBPETokenizer({1: 0}, [])  # type: ignore[dict-item]


def test_merges_may_grow_tokens_without_end() -> None:
    # Each merge doubles a token: what is made is bounded by what the file holds.
    tokens = ["a" * 2**power for power in range(12)]
    merges = [(token, token) for token in tokens[:-1]]
    ids = {token: number for number, token in enumerate(tokens)}
    tokenizer = ByteLevelBPETokenizer(ids, merges)
    assert tokenizer("a" * (2**11 + 2**5))["token_ids"].tolist() == [11, 5]


def test_a_folder_says_whether_a_space_is_added(tmp_path: Path) -> None:
    write(tmp_path, {**SMALL, "Ġ": 4})
    assert not ByteLevelBPETokenizer.from_folder(tmp_path).add_prefix_space
    (tmp_path / "tokenizer_config.json").write_text('{"add_prefix_space": true}')
    assert ByteLevelBPETokenizer.from_folder(tmp_path)("a")["token_ids"].tolist() == [4, 0]
    other = ByteLevelBPETokenizer.from_folder(tmp_path, add_prefix_space=False)
    assert other("a")["token_ids"].tolist() == [0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("0 1\n1\n", r"dict.txt', line 2 is not '<id> <count>'. Received: '1'"),
        ("0 x\n", r"line 1 is not '<id> <count>'"),
        ("7 1\n", r"line 1 names '7', which is no id of the vocabulary"),
        ("99999999999 1\n", r"line 1 names '99999999999', which is no id"),
        ("the 1\n", r"line 1 names 'the', which is no id"),
        ("0 1\n1 1\n0 1\n", r"line 3 names '0' a second time"),
    ],
)
def test_fairseq_dictionaries_that_are_broken(lines: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    (tmp_path / "dict.txt").write_text(lines)
    with pytest.raises(ValueError, match=message):
        ByteLevelBPETokenizer.from_folder(tmp_path)


def test_what_fairseq_leaves_out_is_unknown(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    (tmp_path / "dict.txt").write_text("2 9\n0 5\nmadeupword0000 0\n")
    tokenizer = ByteLevelBPETokenizer.from_folder(tmp_path)
    assert tokenizer.vocabulary == {
        **{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "ab": 4, "a": 5},
        **{"madeupword0000": 6, "<mask>": 7},
    }
    assert tokenizer("abaab b")["token_ids"].tolist() == [0, 4, 5, 4, 3, 3, 2]


def tokenizer_json(
    change: Callable[[dict[str, Any]], None] = lambda root: None,
) -> dict[str, Any]:
    """As the library itself writes it."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

    ids = json.loads((FOLDER / "encoder.json").read_text(encoding="utf-8"))
    merges = (FOLDER / "vocab.bpe").read_text(encoding="utf-8").split("\n")[1:-1]
    pairs = [tuple(merge.split(" ")) for merge in merges]
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", normalized=False)])
    root = json.loads(tokenizer.to_str())
    change(root)
    return root


def from_json(root: dict[str, Any], folder: Path) -> ByteLevelBPETokenizer:
    (folder / "tokenizer.json").write_text(json.dumps(root))
    return ByteLevelBPETokenizer.from_folder(folder)


def test_a_tokenizer_json_equals_the_two_files(tmp_path: Path) -> None:
    expected = ByteLevelBPETokenizer.from_files(FOLDER / "encoder.json", FOLDER / "vocab.bpe")
    received = from_json(tokenizer_json(), tmp_path)
    assert received.vocabulary == expected.vocabulary
    assert received.merges == expected.merges
    assert received.get_config() == expected.get_config()

    def older(root: dict[str, Any]) -> None:
        root["model"]["merges"] = [" ".join(pair) for pair in root["model"]["merges"]]
        root["pre_tokenizer"]["add_prefix_space"] = True
        del root["model"]["type"], root["model"]["ignore_merges"], root["post_processor"]

    older_one = from_json(tokenizer_json(older), tmp_path)
    assert older_one.merges == expected.merges
    assert older_one.add_prefix_space


def added(*tokens: str) -> list[dict[str, Any]]:
    return [{"id": 900 + n, "content": token, "special": True} for n, token in enumerate(tokens)]


def part(token: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": token, "type_id": 0}}


A, B = ({"Sequence": {"id": side, "type_id": 0}} for side in "AB")


def template(single: list[Any], pair: list[Any]) -> dict[str, Any]:
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": {}}


def test_rows_come_from_the_post_processor(tmp_path: Path) -> None:
    def roberta(root: dict[str, Any]) -> None:
        root["added_tokens"] = added("<s>", "</s>", "<pad>", "<unk>", "<mask>")
        root["post_processor"] = {
            "type": "RobertaProcessing",
            **{"sep": ["</s>", 901], "cls": ["<s>", 900], "trim_offsets": True},
        }

    tokenizer = from_json(tokenizer_json(roberta), tmp_path)
    assert tokenizer.special_ids == {900, 901, 902, 903, 904}
    a = tokenizer.token_to_id("a")
    assert tokenizer(("a", "a"))["token_ids"].tolist() == [900, a, 901, 901, a, 901]

    def opt(root: dict[str, Any]) -> None:
        root["added_tokens"] = added("</s>", "<pad>")
        end = part("</s>")
        root["post_processor"] = template([end, A], [end, A, end, B])

    tokenizer = from_json(tokenizer_json(opt), tmp_path)
    assert tokenizer(("a", "a"))["token_ids"].tolist() == [900, a, 900, a]
    config = tokenizer.get_config()
    tokenizer.save_assets(tmp_path)
    again = ByteLevelBPETokenizer.from_config(config)
    again.load_assets(tmp_path)
    assert again(("a", "a"))["token_ids"].tolist() == [900, a, 900, a]


def setting(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(root: dict[str, Any]) -> None:
        for name in path[:-1]:
            root = root[name]
        root[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (setting("model", value=None), "model must be an object. Received: None"),
        (setting("model", "type", value="WordPiece"), "model.type must be 'BPE'"),
        (setting("model", "vocab", value=[]), "vocab must be an object"),
        (setting("model", "merges", value=None), "model.merges must be a list"),
        (setting("model", "merges", value=["a b", 5]), r"model.merges\[1\] is not a pair"),
        (setting("model", "dropout", value=0.1), "model.dropout must be None. Received: 0.1"),
        (setting("model", "byte_fallback", value=True), "model.byte_fallback must be None"),
        (setting("model", "ignore_merges", value=True), "model.ignore_merges must be None"),
        (setting("model", "end_of_word_suffix", value="</w>"), "model.end_of_word_suffix"),
        (setting("normalizer", value={"type": "NFC"}), "normalizer must be null"),
        (setting("pre_tokenizer", value={"type": "Whitespace"}), "pre_tokenizer must be ByteLevel"),
        (setting("pre_tokenizer", "use_regex", value=False), "pre_tokenizer must be ByteLevel"),
        (setting("added_tokens", value=[{"id": 9}]), "added_tokens must be special tokens only"),
        (setting("added_tokens", value=[{"special": True}]), "a token that is no str: None"),
        (setting("post_processor", value=[1]), "post_processor must be special tokens around"),
        (setting("post_processor", value={"type": "BertProcessing"}), "post_processor must be"),
        (setting("post_processor", value=template([A], [B, A])), "post_processor must be"),
        (setting("post_processor", value=template([A], [A])), "post_processor must be"),
        (setting("post_processor", value=template([A, A], [A, B])), "post_processor must be"),
        (
            setting("post_processor", value=template([A, part("<x>")], [A, B])),
            "post_processor must",
        ),
        (
            setting("post_processor", value=template([A, part("<x>")], [A, B, part("<x>")])),
            "has no <x>, which special=",
        ),
    ],
)
def test_tokenizer_json_that_is_another_thing(
    change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        from_json(tokenizer_json(change), tmp_path)


def test_a_dictionary_beside_a_tokenizer_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"fairseq_dictionary belongs to an encoder.json"):
        ByteLevelBPETokenizer.from_files(tmp_path, fairseq_dictionary=tmp_path)


@pytest.mark.parity
def test_a_toy_checkpoint_of_seven_tokens() -> None:
    folder = PUBLISHED / "toy_checkpoint"
    if not folder.is_dir():
        pytest.skip("absent: the toy checkpoint of keras-gpt-2")
    tokenizer = ByteLevelBPETokenizer.from_folder(folder)
    ids = tokenizer("Power, give me more power!")["token_ids"]
    assert ids.tolist() == [13434, 11, 1577, 502, 517, 1176, 0]
    with pytest.raises(ValueError, match="The vocabulary has no token"):
        tokenizer(written_texts())
