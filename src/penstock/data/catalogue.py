"""The named sets: what each is, and where its files have their public home."""

from __future__ import annotations

from penstock.data.catalogue_sequences import SEQUENCES
from penstock.data.cifar import CIFAR10, CIFAR100
from penstock.data.download import RemoteFile, kept_as_it_is
from penstock.data.named_set import NamedSet

_CLOTHES = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
_HIRAGANA = "o お,ki き,su す,tsu つ,na な,ha は,ma ま,ya や,re れ,wo を"
_UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult/"
_ZALANDO = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"  # it has no https; the digest is what counts
_MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist/"
_KMNIST = "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"  # as above
_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_SKLEARN = "https://scikit-learn.org/stable/datasets/toy_dataset.html"


def _idx(home: str, *published: tuple[int, str]) -> tuple[RemoteFile, ...]:
    """The four files of a set in the layout of MNIST, from their lengths and digests."""
    names = [f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
    return tuple(kept_as_it_is(home + name, digest, size) for name, (size, digest) in zip(names, published))


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
        files=_idx(
            _ZALANDO,
            (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
        classes=tuple(_CLOTHES.split(",")),
    ),
    "mnist": NamedSet(
        name="mnist",
        task="classify",
        kind="image",
        summary="handwritten digits, grey, 28 x 28 pixels, 10 classes, 60,000 to train and 10,000 to test",
        rows=70_000,
        licence="CC BY-SA 3.0",
        home="http://yann.lecun.com/exdb/mnist/",
        target=None,
        files=_idx(
            _MNIST,
            (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
        classes=tuple("0123456789"),
    ),
    "kmnist": NamedSet(
        name="kmnist",
        task="classify",
        kind="image",
        summary="handwritten hiragana, grey, 28 x 28 pixels, 10 classes, 60,000 to train and 10,000 to test",
        rows=70_000,
        licence="CC BY-SA 4.0",
        home="http://codh.rois.ac.jp/kmnist/index.html.en",
        target=None,
        files=_idx(
            _KMNIST,
            (18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            (29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            (3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            (5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        ),
        classes=tuple(_HIRAGANA.split(",")),
    ),
    "cifar10": NamedSet(
        name="cifar10",
        task="classify",
        kind="image",
        summary="photographs, colour, 32 x 32 pixels, 10 classes, 50,000 to train and 10,000 to test",
        rows=60_000,
        licence="none stated (Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images)",
        home="https://www.cs.toronto.edu/~kriz/cifar.html",
        target=None,
        files=(
            kept_as_it_is(
                _TORONTO + "cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                170_052_171,
            ),
        ),
        cifar=CIFAR10,
    ),
    "cifar100": NamedSet(
        name="cifar100",
        task="classify",
        kind="image",
        summary="photographs, colour, 32 x 32 pixels, 100 (fine) classes, 50,000 to train and 10,000 to test",
        rows=60_000,
        licence="none stated (Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images)",
        home="https://www.cs.toronto.edu/~kriz/cifar.html",
        target=None,
        files=(
            kept_as_it_is(
                _TORONTO + "cifar-100-binary.tar.gz",
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                168_513_733,
            ),
        ),
        cifar=CIFAR100,
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
    **SEQUENCES,
}
"""The sets that can be asked for by name."""
