"""The report turns figures into a verdict."""

from bench.campaign import Results
from bench.experiments import EXPERIMENTS, Experiment, Row
from bench.report import Line, lines, number, table

RATE = Row("rate", "rate", "requests/s", higher_is_better=True)
MEMORY = Row("memory", "memory", "MB", limit=60)


def test_ratio_above_one_is_better_in_both_directions() -> None:
    assert Line(RATE, ottla=200, apache=100).ratio == 2
    assert Line(MEMORY, ottla=50, apache=100).ratio == 2


def test_a_twentieth_below_counts_as_equal_and_less_is_marked() -> None:
    assert Line(RATE, ottla=95, apache=100).verdict == "ok"
    assert Line(RATE, ottla=94, apache=100).verdict == "BELOW"


def test_a_limit_binds_even_where_apache_is_worse() -> None:
    assert Line(MEMORY, ottla=61, apache=400).verdict == "over 60 MB"
    assert Line(MEMORY, ottla=60, apache=400).verdict == "ok"


def test_a_connection_that_costs_nothing_has_a_finite_ratio() -> None:
    assert Line(Row("memory", "memory", "KB"), ottla=-3, apache=20).ratio == 2000


def test_figures_are_medians_of_the_rounds() -> None:
    results = Results()
    for value in (10.0, 30.0, 20.0):
        results.add("ottla", {"rate": value}, cores=None)
        results.add("apache", {"rate": 20.0}, cores=None)
    (line,) = lines([_experiment()], results, {})
    assert (line.ottla, line.apache, line.ratio) == (20, 20, 1)


def test_one_failed_round_fails_the_row() -> None:
    results = Results()
    results.add("ottla", {"rate": 10.0}, cores=None)
    results.fail("ottla", _experiment(), "error 6")
    (line,) = lines([_experiment()], results, {"ottla": {"rate": 99.0}})
    assert line.ottla is None
    assert line.verdict == "not measured"


def test_a_broker_that_was_not_run_shows_its_kept_figure() -> None:
    results = Results()
    results.add("ottla", {"rate": 10.0}, cores=None)
    (line,) = lines([_experiment()], results, {"ottla": {"rate": 99.0}, "apache": {"rate": 5.0}})
    assert (line.ottla, line.apache) == (10, 5)


def test_the_table_has_a_line_for_each_row() -> None:
    text = table([Line(RATE, 55_123, 38_600), Line(MEMORY, None, 1.25)], markdown=True)
    assert text.splitlines()[2] == "| rate   | requests/s | 55,123 | 38,600 |  1.43 | ok           |"
    assert len(text.splitlines()) == 4
    assert number(1.25) == "1.2"


def test_row_keys_are_unique() -> None:
    keys = [row.key for experiment in EXPERIMENTS for row in experiment.rows]
    assert len(keys) == len(set(keys))


def _experiment() -> Experiment:
    return Experiment("requests", (RATE,), lambda _: {})
