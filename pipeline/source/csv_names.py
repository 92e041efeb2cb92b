r"""The files that the names in a label table mean, where only one reading fits.

Names come without their ending or their folder, with `\` for `/`, in another case or
Unicode form, or as absolute paths.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from posixpath import basename, normpath, splitext

from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.source.split_names import split_named

# Enough names to find one that is near, few enough to compare with each.
MOST_COMPARED = 5_000
# The keys of files by a spelling of them.
Index = defaultdict[str, list[str]]


class FileNames:
    """The files of a source, found by names that may be spelled otherwise."""

    def __init__(self, keys: Iterable[str], folder: str, root: Place | None) -> None:
        """Take the `keys` of a source.

        Args:
            folder: where the table lies, such as 'train/'; its names begin there.
            root: the source's own place, where it is a folder.
        """
        self.keys, self.folder, self.root = set(keys), folder, root
        self._indexes: dict[Callable[[str], str], tuple[Index, Index]] = {}

    def key_of(self, name: str) -> str | None:
        """Return the key that a name spells out; None where it leaves the source."""
        if isinstance(self.root, Location) and name.startswith(f"{self.root.url}/"):
            name = name[len(self.root.url) + 1 :]
        path = name
        if self.folder + name not in self.keys:
            path = re.sub(r"^[A-Za-z]:(?=[\\/])", "", name.replace("\\", "/"))
        if path.startswith("/"):
            return self._below_root(path)
        key = normpath(self.folder + path)
        return None if key.startswith("../") or key == ".." else key

    def _below_root(self, path: str) -> str | None:
        if not isinstance(self.root, Path):
            return None
        for root in (self.root, self.root.resolve()):
            if path.startswith(f"{root.absolute()}/"):
                return normpath(path[len(f"{root.absolute()}/") :])
        return None

    def match(self, wanted: Iterable[str]) -> dict[str, str]:
        """Return the file that each of the keys `wanted` means, where one does.

        A file's exact key means that file. Another spelling does not count if it could
        mean two files, or a file that another name means already.
        """
        wanted = set(wanted)
        exact = {key: key for key in wanted & self.keys}
        near = {key: file for key in wanted - self.keys if (file := self._near(key))}
        claims = Counter([*exact.values(), *near.values()])
        return exact | {key: file for key, file in near.items() if claims[file] == 1}

    def _near(self, key: str) -> str | None:
        folded = _fold(key)
        for files in self._readings(folded):
            if len(files) > 1:  # numbers often name train and test images alike
                files = [file for file in files if _in_train(file)]
            if files:
                return files[0] if len(files) == 1 else None
        return None

    def _readings(self, folded: str) -> Iterator[list[str]]:
        """Yield the files that each reading of a name finds, the nearest one first."""
        folder = _fold(self.folder)
        rest = folded.removeprefix(folder)
        yield from self._spelled(folded, str)
        if "/" not in rest:
            yield from self._spelled(rest, basename)
        while "/" in rest:  # the table may have come from the folder above
            rest = rest.partition("/")[2]
            yield from self._spelled(folder + rest, str)

    def _spelled(self, name: str, part: Callable[[str], str]) -> Iterator[list[str]]:
        """Yield the files whose `part` is a name, with its ending, then without."""
        if part not in self._indexes:
            whole, stems = Index(list), Index(list)
            for key in sorted(self.keys):
                whole[_fold(part(key))].append(key)
                stems[_fold(splitext(part(key))[0])].append(key)
            self._indexes[part] = whole, stems
        yield from (index.get(name, []) for index in self._indexes[part])

    def nearest(self, name: str) -> str | None:
        """Return the key that looks most like a name; None where none does."""
        some = sorted(self.keys)[:MOST_COMPARED]
        by_name = {_fold(basename(key)): key for key in some}
        near = get_close_matches(_fold(basename(name)), by_name, n=1, cutoff=0.5)
        return by_name[near[0]] if near else None


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _in_train(key: str) -> bool:
    return any(split_named(part) == "train" for part in key.split("/")[:-1])
