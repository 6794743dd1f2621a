"""What the documentation says is still so: its flags, its commands, its examples, its links, its two languages."""

from __future__ import annotations

import re
import runpy
import shlex
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import torch

from penstock.cli.flags import flags_of, parse_flags
from penstock.cli.main import VERBS
from penstock.cli.verb import Verb
from penstock.recipes.recipe import TASKS, recipe_from, recipe_type

ROOT = Path(__file__).parents[1]
PAGES = {
    "README": ("README.md", "README.zh.md"),
    "guide": ("docs/guide.md", "docs/guide.zh.md"),
    "ranks": ("docs/ranks.md", "docs/ranks.zh.md"),
    "transcribe": ("docs/transcribe.md", "docs/transcribe.zh.md"),
    "forecast": ("docs/forecast.md", "docs/forecast.zh.md"),
    "text": ("docs/text.md", "docs/text.zh.md"),
    "tag": ("docs/tag.md", "docs/tag.zh.md"),
    "translate": ("docs/translate.md", "docs/translate.zh.md"),
    "voice": ("docs/voice.md", "docs/voice.zh.md"),
    "language": ("docs/language.md", "docs/language.zh.md"),
    "generate": ("docs/generate.md", "docs/generate.zh.md"),
    "control": ("docs/control.md", "docs/control.zh.md"),
    "games": ("docs/games.md", "docs/games.zh.md"),
}
BOTH = [name for pair in PAGES.values() for name in pair]
ALL = [*BOTH, "CONTRIBUTING.md", "CHANGELOG.md", "docs/reference.md"]
LATER = {"--help", "--debug", "--version", "--recipe"}  # flags that are taken out of the words before they are parsed
OTHER_TOOLS = {"--index-url", "--shutdown-timeout", "--nnodes", "--nproc-per-node", "--standalone"}
OTHER_TOOLS |= {"--rdzv-backend", "--rdzv-endpoint", "--rdzv-id", "--full", "--rounds"}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str = r"\w+") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", read(name), re.MULTILINE | re.DOTALL)


def prose(name: str) -> str:
    return re.sub(r"^```.*?^```$", "", read(name), flags=re.MULTILINE | re.DOTALL)


def commands(name: str) -> list[str]:
    lines = [line.removeprefix("$ ") for block in blocks(name) for line in block.splitlines()]
    spans = [span for span in re.findall(r"`([^`\n]+)`", prose(name)) if "TASK" not in span]
    return [line for line in lines + spans if line.startswith("penstock ")]


def verb_options(verb: str) -> type[Verb]:
    found = vars(import_module(f"penstock.cli.{verb}")).values()
    return next(kind for kind in found if isinstance(kind, type) and issubclass(kind, Verb) and kind is not Verb)


def every_flag() -> set[str]:
    settings = [recipe_type(task) for task in TASKS] + [verb_options(verb) for verb in VERBS if verb != "train"]
    flags = [flag for kind in settings for flag in flags_of(kind)]
    texts = {flag.text for flag in flags} | {f"--{flag.also}" for flag in flags if flag.also}
    return texts | {"--" + text.rpartition(".")[2] for text in texts} | LATER | OTHER_TOOLS


def test_the_reference_is_what_the_source_says() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["reference"]()
    assert made == read("docs/reference.md"), "run: python docs/make_reference.py"


@pytest.mark.parametrize(("english", "chinese"), PAGES.values(), ids=PAGES)
def test_both_languages_show_the_same_code_and_output(english: str, chinese: str) -> None:
    def stripped(name: str) -> list[str]:
        return [re.sub(r" *# .*", "", block) for block in blocks(name)]

    assert stripped(english) == stripped(chinese)
    results = ("<!-- results:begin -->", "<!-- results:end -->")
    assert [read(english).count(mark) for mark in results] == [read(chinese).count(mark) for mark in results]
    assert [line.count("#") for line in prose(english).splitlines() if line.startswith("#")] == [
        line.count("#") for line in prose(chinese).splitlines() if line.startswith("#")
    ]


@pytest.mark.parametrize("name", BOTH)
def test_every_command_can_be_parsed(name: str) -> None:
    found = commands(name)
    assert found
    for command in found:
        verb, *words = shlex.split(command)[1:]
        assert verb in VERBS, command
        words = [word for word in words if word not in LATER - {"--recipe"}]
        if "--recipe" in words:
            at = words.index("--recipe")
            del words[at : at + 2]
        if verb == "train":
            task = words.pop(0) if words and words[0] in TASKS else "classify"
            recipe_type(task).parse(parse_flags(recipe_type(task), words))
        else:
            options = verb_options(verb)
            parse_flags(options, words, options.positional)


@pytest.mark.parametrize("name", [*BOTH, "CONTRIBUTING.md"])
def test_every_flag_that_is_named_exists(name: str) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][\w.-]*", read(name)))
    known = every_flag()
    known |= {f"--no-{flag[2:]}" for flag in known}  # how a switch is turned off
    columns = {flag for flag in named if flag.startswith("--columns.")}
    assert named - columns - known == set()


@pytest.mark.parametrize("name", ALL)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(name))
    broken = [link for link in links if "://" not in link and not ((ROOT / name).parent / link.split("#")[0]).exists()]
    assert broken == []


def test_the_readme_names_the_two_make_targets_once_each() -> None:
    lines = read("README.md").splitlines()
    targets = re.findall(r"^(\w+):", read("Makefile"), re.MULTILINE)
    for line, target in (("Run the tests: `make test`", "test"), ("See it work: `make demo`", "demo")):
        assert lines.count(line) == 1
        assert target in targets


def test_the_recipe_file_of_the_guide_is_a_recipe() -> None:
    (text,) = blocks("docs/guide.md", "toml")
    recipe = recipe_from(tomllib.loads(text), "guide")
    assert recipe.dump()["optim"]["name"] == "nesterov"


@pytest.mark.parametrize("name", BOTH)
def test_every_python_block_is_python(name: str) -> None:
    for block in blocks(name, "python"):
        compile(block, name, "exec")


def test_the_adversarial_pair_of_the_readme_trains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = (block for block in blocks("README.md", "python") if "Adversarial" in block)
    shorter = text.replace("epochs=60", "epochs=3")
    assert shorter != text
    script = tmp_path / "pair.py"
    script.write_text(shorter, encoding="utf-8")
    random = torch.random.get_rng_state()
    try:
        found = runpy.run_path(str(script))
    finally:
        torch.random.set_rng_state(random)
    assert capsys.readouterr().out.startswith("radius ")
    assert float(found["radius"].detach().mean()) > 0.3  # it begins at 0.16
