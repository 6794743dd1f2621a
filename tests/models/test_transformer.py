"""Transformers against those of torch.nn, and what holds for every network that writes a sequence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from penstock.core.errors import RecipeError
from penstock.models.transformer import Block, CrossBlock, Decoder, Encoder
from penstock.models.transformer_pair import Transformer
from penstock.models.trunk import Trunk
from penstock.nn.attention import padding_bias
from penstock.nn.positions import Learned, Positions, Rotary, Sinusoidal

POSITIONS = {"rotary": Rotary, "sinusoidal": Sinusoidal, "learned": lambda: Learned(context=20, width=12)}
LENGTHS = torch.tensor([7, 3, 1, 6])


def shaken(model: nn.Module) -> nn.Module:
    """With biases and scales that differ from zero and one, in double precision and without dropout."""
    for module in model.modules():
        for name, value in module.named_parameters(recurse=False):
            if name.endswith("bias"):
                nn.init.normal_(value, std=0.3)
        if isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.double().eval()


def copy_attention(theirs: nn.MultiheadAttention, projections: list[nn.Linear], out: nn.Linear) -> None:
    theirs.in_proj_weight.copy_(torch.cat([part.weight for part in projections]))
    theirs.in_proj_bias.copy_(torch.cat([part.bias for part in projections]))
    theirs.out_proj.load_state_dict(out.state_dict())


@torch.no_grad()
def copy_block(
    theirs: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer, block: Block, last: nn.LayerNorm
) -> None:
    copy_attention(theirs.self_attn, [block.attention.project], block.attention.out)
    theirs.linear1.load_state_dict(block.widen.state_dict())
    theirs.linear2.load_state_dict(block.narrow.state_dict())
    theirs.norm1.load_state_dict(block.attention_way.norm.state_dict())
    last.load_state_dict(block.way.norm.state_dict())


@pytest.mark.parametrize("pre_norm", [True, False])
def test_a_block_is_that_of_torch(pre_norm: bool) -> None:
    torch.manual_seed(0)
    ours = shaken(Block(width=12, heads=3, dropout=0.1, pre_norm=pre_norm, gain=0.7))
    theirs = nn.TransformerEncoderLayer(
        12, 3, 48, activation="gelu", batch_first=True, norm_first=pre_norm, dtype=torch.float64
    ).eval()
    copy_block(theirs, ours, theirs.norm2)
    x = torch.randn(4, 7, 12, dtype=torch.float64, requires_grad=True)
    mask = nn.Transformer.generate_square_subsequent_mask(7, dtype=torch.float64)
    pairs = [
        (ours(x, causal=True)[0], theirs(x, src_mask=mask)),
        (
            ours(x, bias=padding_bias(LENGTHS, 7))[0],
            theirs(x, src_key_padding_mask=torch.arange(7) >= LENGTHS.unsqueeze(1)),
        ),
    ]
    for found, wanted in pairs:
        torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-7)
        mine, other = (torch.autograd.grad(y.square().sum(), x)[0] for y in (found, wanted))
        torch.testing.assert_close(mine, other, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_a_block_that_looks_at_another_sequence_is_that_of_torch(pre_norm: bool) -> None:
    torch.manual_seed(0)
    ours = shaken(CrossBlock(width=12, heads=3, dropout=0.1, pre_norm=pre_norm, gain=0.7))
    theirs = nn.TransformerDecoderLayer(
        12, 3, 48, activation="gelu", batch_first=True, norm_first=pre_norm, dtype=torch.float64
    ).eval()
    copy_block(theirs, ours.block, theirs.norm3)
    with torch.no_grad():
        copy_attention(theirs.multihead_attn, [ours.cross.query, ours.cross.project], ours.cross.out)
        theirs.norm2.load_state_dict(ours.cross_way.norm.state_dict())
    x, source = torch.randn(4, 5, 12, dtype=torch.float64), torch.randn(4, 7, 12, dtype=torch.float64)
    empty = torch.zeros(4, 3, 0, 4, dtype=torch.float64)
    found, _ = ours(x, (empty, empty), ours.cross.memory(source), bias=padding_bias(LENGTHS, 7))
    wanted = theirs(
        x,
        source,
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64),
        memory_key_padding_mask=torch.arange(7) >= LENGTHS.unsqueeze(1),
    )
    torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-7)


@pytest.fixture(params=POSITIONS)
def positions(request: pytest.FixtureRequest) -> Positions:
    torch.manual_seed(0)
    made: Positions = POSITIONS[request.param]()
    return made


@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("make", [Encoder, Decoder])
def test_padding_changes_nothing_and_comes_out_as_zero(
    make: type[Encoder | Decoder], pre_norm: bool, positions: Positions
) -> None:
    trunk = shaken(make(width=12, layers=2, heads=3, dropout=0.2, positions=positions, pre_norm=pre_norm))
    x = torch.randn(4, 7, 12, dtype=torch.float64)
    found = trunk(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = trunk(x[row : row + 1, :length])
        torch.testing.assert_close(found[row : row + 1, :length], alone, rtol=1e-7, atol=1e-7)
        assert not found[row, length:].any()


def test_places_matter(positions: Positions) -> None:
    trunk: Trunk = Encoder(width=12, layers=1, heads=3, positions=positions)
    x = torch.randn(1, 7, 12)
    turned_round = trunk(x.flip(1)).flip(1)
    assert (trunk(x) - turned_round).abs().max() > 1e-3


@pytest.mark.parametrize("pre_norm", [True, False])
def test_the_future_never_affects_the_past(pre_norm: bool, positions: Positions) -> None:
    trunk = shaken(Decoder(width=12, layers=2, heads=3, positions=positions, pre_norm=pre_norm))
    x = torch.randn(2, 9, 12, dtype=torch.float64)
    for step in range(1, 9):
        changed = x.clone()
        changed[:, step:] = torch.randn(2, 9 - step, 12)
        torch.testing.assert_close(trunk(changed)[:, :step], trunk(x)[:, :step], rtol=0, atol=1e-12)
        assert (trunk(changed)[:, step:] - trunk(x)[:, step:]).abs().amin() > 1e-6


def test_step_by_step_finds_what_is_found_at_once(positions: Positions) -> None:
    trunk = shaken(Decoder(width=12, layers=2, heads=3, positions=positions))
    x = torch.randn(2, 9, 12, dtype=torch.float64)
    carry, found = trunk.begin(2), []
    for part in x.split([1, 3, 1, 1, 2, 1], dim=1):
        y, carry = trunk.advance(part, carry)
        found.append(y)
    torch.testing.assert_close(torch.cat(found, dim=1), trunk(x), rtol=1e-7, atol=1e-7)
    assert all(len(part) == 2 for part in carry)


def test_another_width_is_refused() -> None:
    for make in (Encoder, Decoder):
        with pytest.raises(RecipeError, match="12 inputs a step and was given 5"):
            make(width=12, heads=3)(torch.zeros(1, 2, 5))


def test_signals_keep_their_size_with_depth() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 16, 64)
    for layers in (1, 12):
        trunk = Decoder(width=64, layers=layers, heads=4)
        carry, y = trunk.begin(8), x
        for block in trunk.blocks:
            y, _ = block(y, causal=True)
        assert 0.9 < y.std() / x.std() < 1.6, layers
        assert len(carry) == 2 * layers


def pair(positions: Positions | None = None, **changes: object) -> Transformer:
    settings = {"vocabulary": 9, "outputs": 11, "width": 12, "layers": 2, "heads": 3} | changes
    return Transformer(**settings, positions=positions)


def test_weights_are_tied() -> None:
    model = pair()
    assert sum(p.shape == (11, 12) for p in model.parameters()) == 1
    shared = Learned(context=20, width=12)
    assert sum(p is shared.weight for _, p in pair(shared).named_parameters(remove_duplicate=False)) == 1


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    model = pair(Learned(context=7, width=12), dropout=0.0)
    source, tokens = torch.randint(9, (4, 7)), torch.randint(11, (4, 5))
    logits: Tensor = model(source, LENGTHS, tokens)
    nn.functional.cross_entropy(logits.flatten(0, 1), torch.randint(11, (20,))).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
