"""An entry that takes no time, for the tests of the command."""

from lhcflow.plotting import Picture, Section, Table, training_history
from lhcflow.reproduce import Outcome


def run(seed, full, quiet):
    figure = training_history({"training": [3.0, 2.0, 1.5]})
    content = [Table(["name", "value"], [["a [b]", "1.0"]]), Picture(figure, "The history. And more.")]
    return Outcome(
        [Section("Numbers", ["Some text."], content)], {"seed": seed, "full": full}, ("take care",)
    )
