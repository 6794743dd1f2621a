"""What holds for every model: shapes, gradients, evaluation without memory, saved weights, sizes that are refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.models import resnet, resnet_cifar, sequence
from penstock.models.cnn import CNN
from penstock.models.linear import Linear
from penstock.models.mlp import MLP
from penstock.models.tabular import Tabular
from penstock.nn.numeric import Periodic

Make = Callable[[], nn.Module]


def tabular(**changes: object) -> Tabular:
    settings = {"numbers": 3, "cardinalities": (4, 7)} | changes
    return Tabular(**settings, body=lambda width: MLP(inputs=width, outputs=5, hidden=(16,), dropout=0.2))


def small_cnn(**changes: object) -> CNN:
    settings = {"channels": 3, "height": 13, "width": 10, "outputs": 5, "widths": (8, 12), "convolutions": (1, 2)}
    return CNN(**settings | changes)


def shallow_resnet(block: type[resnet.BasicBlock] | type[resnet.Bottleneck]) -> resnet.ResNet:
    return resnet.ResNet(block=block, layers=(1, 2, 1, 1), outputs=5, channels=2)


def rows(batch: int) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, 3), torch.stack([torch.randint(4, (batch,)), torch.randint(7, (batch,))], dim=1)


def tokens(batch: int) -> tuple[Tensor, Tensor]:
    return torch.randint(9, (batch, 12)), torch.tensor([12, 3, 7, 1, 12, 5])[:batch]


def pictures(*size: int) -> Callable[[int], tuple[Tensor]]:
    return lambda batch: (torch.randn(batch, *size),)


MODELS: dict[str, tuple[Make, Callable[[int], tuple[Tensor, ...]]]] = {
    "linear": (lambda: Linear(inputs=12, outputs=5), pictures(3, 4)),
    "mlp": (lambda: MLP(inputs=12, outputs=5, hidden=(9, 8), dropout=0.3), pictures(3, 4)),
    "mlp tanh": (lambda: MLP(inputs=12, outputs=5, hidden=(9,), activation=nn.Tanh), pictures(12)),
    "tabular": (tabular, rows),
    "tabular periodic": (lambda: tabular(number_embedding=Periodic(features=3, frequencies=4, width=5)), rows),
    "cnn": (small_cnn, pictures(3, 13, 10)),
    "cnn hidden": (lambda: small_cnn(hidden=[11], batch_norm=False, dropout=0.3, convolutions=2), pictures(3, 13, 10)),
    "resnet basic": (lambda: shallow_resnet(resnet.BasicBlock), pictures(2, 64, 48)),
    "resnet bottleneck": (lambda: shallow_resnet(resnet.Bottleneck), pictures(2, 64, 48)),
    "rnn": (lambda: sequence.rnn(vocabulary=9, outputs=5, width=8, pooled=True), tokens),
    "jordan": (lambda: sequence.jordan(features=3, outputs=5, width=8, pooled=True), pictures(12, 3)),
    "lstm": (lambda: sequence.lstm(vocabulary=9, outputs=5, width=8, layers=2, dropout=0.3, pooled=True), tokens),
    "gru": (lambda: sequence.gru(features=3, outputs=5, width=8, bidirectional=True, pooled=True), pictures(12, 3)),
    "tcn": (lambda: sequence.tcn(features=3, outputs=5, width=8, stride=2, pooled=True), pictures(12, 3)),
    "resnet cifar": (lambda: resnet_cifar.CifarResNet(blocks=1, outputs=5, channels=2), pictures(2, 15, 12)),
}


@pytest.fixture(params=MODELS)
def made(request: pytest.FixtureRequest) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A model fresh from its constructor, and a batch of 6."""
    torch.manual_seed(3)
    make, inputs = MODELS[request.param]
    return make(), inputs(6)


def unsettle(model: nn.Module) -> None:
    """Give normalisations scales and statistics as after training, so that none of them hides its block."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight, module.running_var):
                nn.init.uniform_(value, 0.5, 1.5)
            for value in (module.bias, module.running_mean):
                nn.init.normal_(value, std=0.2)


def test_outputs_have_one_row_an_example(made: tuple[nn.Module, tuple[Tensor, ...]]) -> None:
    model, inputs = made
    assert model(*inputs).shape == (6, 5)
    assert not isinstance(model, nn.Sequential)


def test_gradients_reach_every_parameter(made: tuple[nn.Module, tuple[Tensor, ...]]) -> None:
    model, inputs = made
    unsettle(model)
    nn.functional.cross_entropy(model(*inputs), torch.arange(6) % 5).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_evaluation_is_repeatable_and_takes_each_example_alone(made: tuple[nn.Module, tuple[Tensor, ...]]) -> None:
    model, inputs = made
    unsettle(model)
    model.eval()
    together = model(*inputs)
    torch.testing.assert_close(model(*inputs), together, rtol=0, atol=0)
    alone = torch.cat([model(*(value[i : i + 1] for value in inputs)) for i in range(6)])
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-6)


def test_saved_weights_make_an_equal_model(made: tuple[nn.Module, tuple[Tensor, ...]], request) -> None:
    model, inputs = made
    unsettle(model)
    other = MODELS[request.node.callspec.params["made"]][0]()
    assert not torch.equal(other.eval()(*inputs), model.eval()(*inputs))
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(*inputs), model(*inputs), rtol=0, atol=0)


def test_training_moves_every_parameter_within_two_steps(made: tuple[nn.Module, tuple[Tensor, ...]]) -> None:
    model, inputs = made
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(*inputs), torch.arange(6) % 5).backward()
        optimizer.step()
    assert [name for name, p in model.named_parameters() if torch.equal(p, before[name])] == []


@pytest.mark.parametrize(
    ("make", "number"),
    [
        (lambda: Linear(inputs=0, outputs=2), "inputs is 0"),
        (lambda: MLP(inputs=2, outputs=0, hidden=()), "outputs is 0"),
        (lambda: MLP(inputs=2, outputs=2, hidden=(3, -1)), "hidden[1] is -1"),
        (lambda: MLP(inputs=2, outputs=2, hidden=(3,), dropout=1.0), "dropout is 1.0"),
        (lambda: tabular(cardinalities=(3, 0)), "cardinalities[1] is 0"),
        (lambda: tabular(numbers=0, cardinalities=()), "0 number columns and 0 category columns"),
        (lambda: tabular(numbers=0, number_embedding=nn.Identity()), "without number columns"),
        (lambda: tabular(embedding_dim=lambda n: n // 5), "embedding width of column 0 is 0"),
        (lambda: small_cnn(widths=()), "stages is 0"),
        (lambda: small_cnn(convolutions=(1, 2, 3)), "3 counts of convolutions for 2 widths"),
        (lambda: small_cnn(convolutions=(1, 0)), "convolutions[1] is 0"),
        (lambda: small_cnn(hidden=[0]), "hidden[0] is 0"),
        (lambda: resnet.resnet18(outputs=0), "outputs is 0"),
        (lambda: resnet_cifar.resnet20(outputs=2, channels=0), "channels is 0"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(make: Make, number: str) -> None:
    with pytest.raises(RecipeError) as error:
        make()
    assert number in str(error.value)


@pytest.mark.parametrize(
    ("model", "inputs", "numbers"),
    [
        (Linear(inputs=4, outputs=2), (torch.zeros(2, 5),), "4 inputs and was given 5"),
        (MLP(inputs=4, outputs=2, hidden=()), (torch.zeros(2, 3),), "4 inputs and was given 3"),
        (tabular(), (torch.zeros(2, 2), torch.zeros(2, 2).long()), "3 number columns and was given 2"),
        (tabular(), (torch.zeros(2, 3),), "2 category columns and was given 0"),
        (small_cnn(), (torch.zeros(2, 1, 13, 10),), "3 channels and was given 1"),
        (small_cnn(), (torch.zeros(2, 3, 13, 11),), "10 columns of pixels and was given 11"),
        (shallow_resnet(resnet.BasicBlock), (torch.zeros(2, 3, 64, 64),), "2 channels and was given 3"),
        (resnet_cifar.resnet20(outputs=2), (torch.zeros(2, 1, 8, 8),), "3 channels and was given 1"),
    ],
)
def test_inputs_of_another_size_are_refused_with_both_numbers(
    model: nn.Module, inputs: tuple[Tensor, ...], numbers: str
) -> None:
    with pytest.raises(RecipeError) as error:
        model(*inputs)
    assert numbers in str(error.value)
