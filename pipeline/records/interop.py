"""Files by which other programs read a record set: TensorFlow Datasets and DALI.

Written beside finished shards, just before the manifest.
`tfds.builder_from_directory` takes the folder, DALI's TFRecord reader a shard and its
index, which also tells our own reader where records start.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import count
from alexnet.pipeline.records.encode import FILENAME, LABEL
from alexnet.pipeline.records.manifest import FORMAT, Manifest, Shard
from alexnet.pipeline.records.storage import ENCODED, STORAGES
from alexnet.pipeline.records.tfrecord import FOOTER_BYTES, HEADER_BYTES
from alexnet.pipeline.remote.place import Place, make_folder, put_json, put_text

if TYPE_CHECKING:
    import numpy as np

INDEX_FOLDER = "idx"
DATASET_INFO = "dataset_info.json"
FEATURES = "features.json"
# Where TFDS looks for the names of a ClassLabel: its key with dots for slashes.
CLASS_NAMES = f"{LABEL.replace('/', '.')}.labels.txt"
TFDS_FILES = (DATASET_INFO, FEATURES, CLASS_NAMES)


def save_interop(folder: Place, manifest: Manifest) -> None:
    """Write what TFDS and DALI need; nothing for bare pixels, which neither decodes.

    In a store a shard's index lies there already: it was sent before its receipt.

    Raises:
        DataError: a shard is no longer what was written.
    """
    if manifest.layout is not None:
        return
    if isinstance(folder, Path):
        make_folder(folder / INDEX_FOLDER)
        for shard in manifest.shards:
            put_text(folder / index_name(shard.name), shard_index(folder, shard))
    names = "".join(f"{_printable(name)}\n" for name in manifest.class_names)
    put_text(folder / CLASS_NAMES, names)
    put_json(folder / FEATURES, _features_dict(manifest))
    put_json(folder / DATASET_INFO, _dataset_info(manifest))


def index_name(shard_name: str) -> str:
    """A shard's index, as a path relative to the record set."""
    return f"{INDEX_FOLDER}/{Path(shard_name).with_suffix('.idx').name}"


def shard_index(folder: Path, shard: Shard) -> str:
    """A line `offset size` a record, framing included, as DALI's tfrecord2idx has it.

    Only the records' headers are read.

    Raises:
        DataError: the file does not hold what was written.
    """
    path, lines, offset = folder / shard.name, [], 0
    # Unbuffered: a buffer would be filled again for each record's eight bytes.
    with path.open("rb", buffering=0) as file:
        while offset < shard.num_bytes and (length := file.read(8)):
            size = HEADER_BYTES + int.from_bytes(length, "little") + FOOTER_BYTES
            lines.append(f"{offset} {size}\n")
            offset += size
            file.seek(min(offset, shard.num_bytes))
    whole = {offset, path.stat().st_size} == {shard.num_bytes}
    if not whole or len(lines) != shard.num_examples:
        raise DataError(
            f"{path} was written with {count(shard.num_examples, 'record')} in"
            f" {shard.num_bytes} bytes, and holds something else now. Delete it and run"
            " the build again; a finished set is mended with `alexnet records verify"
            f" {folder} --repair --source SOURCE`."
        )
    return "".join(lines)


def read_index(folder: Path, shard: Shard) -> np.ndarray:
    """int64 [records, 2]: where each record of a shard starts, and its framed size.

    Raises:
        DataError: the shard, or its index, does not hold what was written.
    """
    import numpy as np

    path = folder / index_name(shard.name)
    damaged = DataError(f"{path} is damaged: delete it, it is not needed")
    try:
        text = path.read_text() if path.is_file() else shard_index(folder, shard)
        numbers = np.array(text.split(), np.int64).reshape(-1, 2)
    except (ValueError, OverflowError):
        raise damaged from None
    edges = np.concatenate([[0], np.cumsum(numbers[:, 1])])
    whole = len(numbers) == shard.num_examples and edges[-1] == shard.num_bytes
    if not whole or (numbers[:, 0] != edges[:-1]).any():
        raise damaged
    return numbers


def _printable(name: str) -> str:
    """A class name as TFDS can read it: valid UTF-8 on one line."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return " ".join(text.split())


def _features_dict(manifest: Manifest) -> dict[str, Any]:
    """Return the features of a record: TFDS's `Feature` message, as JSON.

    The keys stay flat, because TFDS's `as_supervised` cannot reach into nested ones.
    """
    config = manifest.config
    side = config.side if STORAGES[config.storage].is_square else -1
    image = {"shape": {"dimensions": [str(side), str(side), "3"]}, "dtype": "uint8"}
    scalar = {"shape": {}, "dtype": "int64", "encoding": "none"}
    label = {"numClasses": str(len(manifest.class_names))}
    features = {
        ENCODED: _feature("image_feature.Image", image=image),
        LABEL: _feature("class_label_feature.ClassLabel", classLabel=label),
    }
    for key in ("image/class/text", FILENAME, "image/format", "image/colorspace"):
        features[key] = _feature("text_feature.Text", text={})
    for key in ("image/height", "image/width", "image/channels"):
        features[key] = _feature("scalar.Scalar", tensor=scalar)
    return _feature("features_dict.FeaturesDict", featuresDict={"features": features})


def _feature(class_name: str, **content: dict[str, Any]) -> dict[str, Any]:
    python_class = f"tensorflow_datasets.core.features.{class_name}"
    return {"pythonClassName": python_class, **content}


def _dataset_info(manifest: Manifest) -> dict[str, Any]:
    """The splits and shards: TFDS's `DatasetInfo` message, as JSON.

    Its 64-bit integers are strings there, as protobuf's JSON has them.
    """
    pair = [{"featureKey": key} for key in (ENCODED, LABEL)]
    return {
        "name": "records",
        "version": f"{FORMAT}.0.0",
        "fileFormat": "tfrecord",
        "supervisedKeys": {"tuple": {"items": pair}},
        "splits": [
            {
                "name": name,
                "filepathTemplate": "{SPLIT}-{SHARD_X_OF_Y}.{FILEFORMAT}",
                "numBytes": str(card.num_bytes),
                "shardLengths": [str(shard.num_examples) for shard in card.shards],
            }
            for name, card in manifest.splits.items()
            if card.num_examples
        ],
    }
