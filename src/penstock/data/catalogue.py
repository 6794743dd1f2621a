"""The named sets: what each is, and where its files have their public home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from penstock.data.download import RemoteFile


@dataclass(frozen=True)
class NamedSet:
    """A public set under a short name; `files` is empty where scikit-learn brings the set along.

    Every file is checked against a published SHA-256. `target` is the column to predict, None for pictures, whose
    labels stand beside them.
    """

    name: str
    task: Literal["classify", "regress"]
    kind: Literal["image", "table"]
    summary: str
    rows: int
    licence: str
    home: str
    target: str | None
    files: tuple[RemoteFile, ...] = ()


CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult/"
_ZALANDO = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"  # it has no https; the digest is what counts
_SKLEARN = "https://scikit-learn.org/stable/datasets/toy_dataset.html"


def _clothes(name: str, size: int, digest: str) -> RemoteFile:
    return RemoteFile(_ZALANDO + name, digest, size, arrives_as=name, save_as=name)


NAMED: dict[str, NamedSet] = {
    "digits": NamedSet(
        name="digits",
        task="classify",
        kind="image",
        summary="handwritten digits, grey, 8 x 8 pixels, 10 classes",
        rows=1797,
        licence="CC BY 4.0",
        home=_SKLEARN,
        target=None,
    ),
    "wine": NamedSet(
        name="wine",
        task="classify",
        kind="table",
        summary="13 chemical measurements of wines of 3 cultivars",
        rows=178,
        licence="CC BY 4.0",
        home=_SKLEARN,
        target="cultivar",
    ),
    "breast-cancer": NamedSet(
        name="breast-cancer",
        task="classify",
        kind="table",
        summary="30 measurements of cell nuclei, malignant or benign",
        rows=569,
        licence="CC BY 4.0",
        home=_SKLEARN,
        target="diagnosis",
    ),
    "diabetes": NamedSet(
        name="diabetes",
        task="regress",
        kind="table",
        summary="10 measurements of patients, progression of their diabetes after a year",
        rows=442,
        licence="published with Efron et al. 2004, Least Angle Regression",
        home=_SKLEARN,
        target="progression",
    ),
    "fashion-mnist": NamedSet(
        name="fashion-mnist",
        task="classify",
        kind="image",
        summary="articles of clothing, grey, 28 x 28 pixels, 10 classes, 60,000 to train and 10,000 to test",
        rows=70_000,
        licence="MIT",
        home="https://github.com/zalandoresearch/fashion-mnist",
        target=None,
        files=(
            _clothes(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            _clothes(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            _clothes(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            _clothes(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    ),
    "adult": NamedSet(
        name="adult",
        task="classify",
        kind="table",
        summary="14 facts of a census, income above or below 50,000 dollars, 32,561 to train and 16,281 to test",
        rows=48_842,
        licence="CC BY 4.0",
        home="https://archive.ics.uci.edu/dataset/2/adult",
        target="income",
        files=(
            RemoteFile(
                _UCI + "adult.data",
                "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
                3_974_305,
                arrives_as="adult.data",
                save_as="train.csv",
                form="adult",
            ),
            RemoteFile(
                _UCI + "adult.test",
                "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
                2_003_153,
                arrives_as="adult.test",
                save_as="test.csv",
                form="adult",
            ),
        ),
    ),
    "california-housing": NamedSet(
        name="california-housing",
        task="regress",
        kind="table",
        summary="8 facts of Californian districts in 1990, median house value in dollars",
        rows=20_640,
        licence="derived from a census (Pace and Barry 1997, Sparse Spatial Autoregressions)",
        home="https://www.dcc.fc.up.pt/~ltorgo/Regression/cal_housing.html",
        target="median_house_value",
        files=(
            RemoteFile(
                "https://ndownloader.figshare.com/files/5976036",
                "aaa5c9a6afe2225cc2aed2723682ae403280c4a3695a2ddda4ffb5d8215ea681",
                441_963,
                arrives_as="cal_housing.tgz",
                save_as="housing.csv",
                form="california",
            ),
        ),
    ),
}
"""The sets that can be asked for by name."""
