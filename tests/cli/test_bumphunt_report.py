"""Numbers of the bump hunt's reports, as they are written."""

from scipy import stats

from lhcflow.cli.bumphunt.run_report import (
    _global,
    _local,
    _looked,
    chance,
    expected,
    limit_text,
    screen_table,
)
from lhcflow.cli.bumphunt.sliding import _best


def limit(observed, error=0.0):
    return {"observed": observed, "error": error, "expected": [1, 2, 3.456, 5, 6]}


def counted(z, p_toys=None, error=None):
    return {
        "count": {
            "z": z,
            "p0": float(stats.norm.sf(z)),
            "observed": 9,
            "background": 4.5,
            "background_error": 1.2,
        },
        "p_toys": p_toys,
        "p_toys_error": error,
    }


def test_limits_have_the_digits_of_their_errors():
    assert limit_text(limit(12.345)) == "12.3 (3.5)"
    assert limit_text(limit(12.345, 0.12)) == "12.3 ± 0.1 (3.5)"
    assert limit_text(limit(12.345, 0.034)) == "12.35 ± 0.03 (3.46)"
    assert limit_text(limit(12345.6, 234.0)) == "12,345.6 ± 234.0 (3.5)"
    assert limit_text(limit(float("nan"))) == "nan (3.5)"


def test_p_values_are_never_written_as_zero():
    assert chance(0.0123) == "= 0.012"
    assert chance(0.0) == "< 1e-300"
    assert _local(counted(45.0)) == "p0 < 1e-300 (45.00 standard deviations)"
    assert _local(counted(-37.0)) == "p0 = 1 (a deficit of 37.00 standard deviations)"
    assert _local(counted(2.0, 0.031, 0.0012)) == (
        "p0 = 0.031 ± 0.001 from weighted toys; asymptotic p0 = 0.023 (2.00 standard deviations)"
    )


def test_global_p_values_say_where_they_come_from():
    peak = {
        "toys": 300,
        "extreme": 0,
        "method": "up-crossings",
        "p_global": 2e-5,
        "p_upcrossings_error": 1e-6,
    }
    peak |= {"p_global_68": [1.9e-5, 2.1e-5], "z_global": 4.1}
    said = _looked(peak)
    assert (
        said == "global p-value = 2e-05 ± 1e-06 from up-crossings (p < 0.0033: 0 of 300 toys are as extreme)"
    )
    peak |= {"extreme": 30, "method": "toys", "p_global": 0.1, "p_global_68": [0.083, 0.121]}
    assert _looked(peak) == "global p-value = 0.1 (0.083 to 0.12; 30 of 300 toys are as extreme)"
    assert _global(peak | {"z_global": "-inf"}) == "< 0"
    assert _global({}) == "-"


def test_numbers_of_one_row_belong_together():
    row = counted(5.91) | {"peak": {"z": 6.9, "z_global": 6.43}, "limit": limit(5.0)}
    table = screen_table({"inclusive": row, "methods": {}})
    values = dict(zip(table.header[:7], table.rows[0], strict=False))
    assert (values["Z"], values["peak"], values["global"]) == ("5.91", "6.90", "6.43")
    # 80 columns hold a usual row.
    assert expected({"background": 11234.56, "background_error": 60.4}) == "11,235 ± 60"


def test_a_scan_finds_the_best_of_windows_beyond_the_smallest_number():
    def window(region, z, p_toys=None):
        cut = {"count": {"z": z}, "p_toys": p_toys, "working_point": 0.01, "valid": True}
        return {"region": region, "cuts": [cut]}

    best = _best([window((1, 2), 41.0), window((2, 3), 45.0)], 0.01)
    assert best["region"] == (2, 3)
    assert best["z_local"] == 45.0
    assert 44.9 < best["z_global"] < 45.0
    # Toys replace the asymptotic formula.
    best = _best([window((1, 2), 2.0), window((2, 3), 3.0, 0.5)], 0.01)
    assert best["region"] == (1, 2)
    p = stats.norm.sf(2.0)
    assert abs(best["p_global"] - (1 - (1 - p) ** 2)) < 1e-12
