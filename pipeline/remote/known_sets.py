"""Image sets that `alexnet download` knows by name: address, checksum, licence."""

from __future__ import annotations

from dataclasses import dataclass

FAST_AI = "https://s3.amazonaws.com/fast-ai-imageclas"
MICROSOFT = "https://download.microsoft.com/download/3/E/1"
IMAGENETTE_LICENCE = (
    "Apache-2.0 (fast.ai) for the selection; the photos are ImageNet's, for research"
    " that is not commercial"
)


@dataclass(frozen=True)
class KnownSet:
    """An archive with a class a folder."""

    url: str
    # As `sha256:HEX` or `md5:HEX`.
    checksum: str
    licence: str


KNOWN_SETS = {
    # Size and checksum as GoMLX's example and the logs of several notebooks have them.
    "cats-vs-dogs": KnownSet(
        f"{MICROSOFT}/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/kagglecatsanddogs_5340.zip",
        "sha256:b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
        "Microsoft Research licence agreement (MSR-LA, in the archive), for research"
        " that is not commercial",
    ),
    # Checksums as torchvision.datasets.Imagenette has them.
    "imagenette": KnownSet(
        f"{FAST_AI}/imagenette2.tgz",
        "md5:fe2fc210e6bb7c5664d602c3cd71e612",
        IMAGENETTE_LICENCE,
    ),
    "imagenette-320": KnownSet(
        f"{FAST_AI}/imagenette2-320.tgz",
        "md5:3df6f0d01a2c9592104656642f5e78a3",
        IMAGENETTE_LICENCE,
    ),
    "imagenette-160": KnownSet(
        f"{FAST_AI}/imagenette2-160.tgz",
        "md5:e793b78cc4c9e9a4ccc0c1155377a412",
        IMAGENETTE_LICENCE,
    ),
}
