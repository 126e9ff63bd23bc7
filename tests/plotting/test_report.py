import re
from html.parser import HTMLParser

import numpy as np
import pytest

from lhcflow import plotting

VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that what is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page():
    rng = np.random.default_rng(0)
    history = plotting.training_history({"training": rng.random(30)})
    weights = plotting.weight_distribution({"flow": rng.lognormal(0, 1, 1000)})
    layers = plotting.layers([rng.normal(size=(50, 2))])
    text = plotting.render(
        "e+ e- > j j j",
        "y_cut > 0.01 & a < b",
        [
            plotting.Section(
                "Result",
                ["Some text."],
                [
                    plotting.Table(
                        ["method", "sigma [pb]"], [["flow", "1.0 <2>"], ["VEGAS", "1.1"]], "Errors."
                    )
                ],
            ),
            plotting.Section(
                "Figures",
                content=[
                    plotting.Picture(history, "The training. Line: loss."),
                    plotting.Picture(weights, "The weights."),
                    plotting.Picture(layers, "The layers.", form="png"),
                ],
            ),
        ],
        warnings=["a mode may be lost"],
        card='process = "e+ e- > j j j"',
    )
    return text, Page(text)


def test_all_figures_and_tables_are_inside(page):
    _, parsed = page
    assert parsed.tags.count("figure") == 3
    assert parsed.tags.count("svg") == 2
    assert parsed.tags.count("img") == 1
    assert parsed.tags.count("tr") == 3
    text = "".join(parsed.text)
    for expected in (
        "Figure 3. The layers.",
        "1.0 <2>",
        "y_cut > 0.01 & a < b",
        "a mode may be lost",
        "lhcflow ",
    ):
        assert expected in text


def test_nothing_is_asked_of_the_network(page):
    text, parsed = page
    assert "://" not in text
    for tag, name, value in parsed.attributes:
        if name in ("src", "href", "xlink:href"):
            assert value.startswith(("data:", "#")), (tag, name, value[:40])
    assert not {"script", "link", "iframe"} & set(parsed.tags)


def test_ids_are_unique_and_references_resolve(page):
    text, _ = page
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids)) > 10
    used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    assert used <= set(ids)
    assert len(used) > 5


def test_no_warning_box_without_warnings():
    assert "role=note" not in plotting.render("t", "s", [])
