"""Write docs/benchmarks.md and the numbers of README.md from docs/results/*.json; none is typed by hand.

    python benchmarks/table.py [--check]

With --check nothing is written, and the exit code is 1 if the pages are not what the results say.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"
START, END = "<!-- numbers: written by benchmarks/table.py -->\n", "<!-- end of numbers -->"
HEAD = """# Benchmarks

Written by `benchmarks/table.py` from the JSON files in `docs/results`; each section names the command that
makes its file. `make bench` runs all that need no files. Peers are installed from
`benchmarks/requirements.txt`.
"""


def cell(value: object) -> str:
    """A value as it stands in a table: three digits are enough for every measurement here."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.3g}"
    return str(value).replace("|", "\\|")


def table(columns: list[str], rows: list[list[object]]) -> str:
    """A Markdown table; columns of numbers are aligned to the right."""
    right = [all(not isinstance(row[i], str) for row in rows) for i in range(len(columns))]
    lines = [columns, ["---:" if r else "---" for r in right], *[[cell(v) for v in row] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def tables_of(name: str) -> list[dict]:
    """The tables of a result."""
    return json.loads((RESULTS / f"{name}.json").read_text())["tables"]


def section(path: Path) -> str:
    """One result file as a section of the page."""
    result = json.loads(path.read_text())
    parts = [
        f"## {result['title']}",
        f"`{result['command']}`" + (f", {result['machine']}" if result.get("machine") else ""),
    ]
    for one in result["tables"]:
        if one.get("title"):
            parts.append(f"### {one['title']}")
        parts.append(table(one["columns"], one["rows"]))
    parts.append("\n".join(f"- {note}" for note in result.get("notes", [])))
    return "\n\n".join(part for part in parts if part)


def find(tables: list[dict], column: str, *row: object) -> object:
    """The value in ``column`` of the row that begins with ``row``, in the first table that has both."""
    for one in tables:
        if column in one["columns"]:
            for values in one["rows"]:
                if values[: len(row)] == list(row):
                    return values[one["columns"].index(column)]
    return None


def shown(first: str, columns: list[str], rows: list[list[object]]) -> str:
    """A table without the columns that have no value."""
    kept = [i for i, _ in enumerate(columns, start=1) if any(row[i] is not None for row in rows)]
    return table(
        [first, *(columns[i - 1] for i in kept)], [[row[0], *(row[i] for i in kept)] for row in rows]
    )


def numbers() -> str:
    """The tables of README.md: a selection of the results."""
    names = ("flow_speed", "maf_sampling", "integration", "generation", "pp_table")
    speed, maf, integrals, events, protons = map(tables_of, names)
    peers = ["nflows", "normflows", "zuko", "madnis", "madspace"]
    times = [
        [f"coupling flow, {job}", *(find(speed, "time / lhcflow's", job, peer) for peer in peers)]
        for job in ("log_prob", "sample", "training step")
    ]
    times.append(
        [
            "madspace's flow in float64, 8 dimensions, sample",
            *(find(speed, "time / lhcflow's", 8, peer) for peer in peers),
        ]
    )
    labels = {
        str(row[1]).split()[0].rstrip(","): row[1]
        for row in maf[0]["rows"]
        if str(row[1]).endswith(", inverse")
    }
    times += [
        [
            f"sampling an autoregressive flow, 368 dimensions, batch {batch}",
            *(find(maf, "ratio (median)", batch, labels.get(peer)) for peer in peers),
        ]
        for batch in (1, 256)
    ]
    methods = {
        "flow": "flow",
        "auto": "auto",
        "VEGAS+": "vegas",
        "vegas": "peer vegas",
        "madnis": "peer madnis",
    }
    problems = list(dict.fromkeys(row[0] for row in integrals[0]["rows"]))
    errors, efficiencies = (
        [[problem, *(find(part, "median", problem, m) for m in methods.values())] for problem in problems]
        for part in (integrals[:1], integrals[1:2])
    )
    for one in events:
        both = ("flow", "auto", "vegas")
        values = [find([one], "efficiency", m) if m in both else None for m in methods.values()]
        efficiencies.append([f"e⁺e⁻ → 3 jets, {one['title']}", *values])
    with_protons = (methods | {"madnis": "madnis"}).values()
    for process in ("W+ + 0 jets", "W+ + 1 jet", "W+ + 2 jets", "W+ + 3 jets"):
        values = [find(protons, "overweight 0.1 %", process, m) for m in with_protons]
        efficiencies.append([f"p p → {process}", *values])
    efficiencies = [row for row in efficiencies if any(v is not None for v in row[1:])]
    return "\n\n".join(
        [
            "CPU time that others take, in units of lhcflow's (equal architecture, one thread):",
            shown("", peers, times),
            "Error of an integral after 200,000 calls (standard deviation over integral, per call); the"
            "\nfunctions are those of 2001.05486:",
            shown("integrand", list(methods), errors),
            "Unweighting efficiency after 200,000 calls, for e⁺e⁻ after a million, for p p after 100,000 (no"
            "\njet) to 500,000 (0.1 % of the integral in overweight points):",
            shown("integrand", list(methods), efficiencies),
            "Showers of e⁺ of 1 to 100 GeV in CaloGAN's calorimeter (504 voxels): AUC of classifiers, 10,000"
            "\nof Geant4 against as many of a model (0.5: can't be told apart), and times:",
            showers(),
            "Significance improvement at a false-positive rate of 1e-3, 500 signal events among 300,000,"
            "\nmedians of 10 seeds (exact: the ratio of the densities; supervised: of labelled events):",
            detectors(),
        ]
    )


def showers() -> str:
    """What shower models reach and cost, and Geant4."""
    quality, cpu, gpu = map(tables_of, ("calo_quality", "calo_sampling", "gpu"))
    models = ["HitFlow", "CaloFlow teacher", "CaloFlow student", "CaloFlow teacher as published"]
    rows = [
        [f"AUC, {name}", *(find(quality, "AUC", name, m) for m in ("Geant4 (floor)", *models))]
        for name in ("unnormalised", "normalised", "boosted trees")
    ]
    of = "lhcflow teacher"
    geant4 = find(cpu, "ms / shower", 256, of) * find(cpu, "Geant4 / this", 256, of)  # type: ignore[operator]
    names = [m.replace("CaloFlow", "lhcflow") if "CaloFlow" in m else f"lhcflow {m}" for m in models]
    rows += [
        [f"CPU ms per shower, batch {n}", geant4, *(find(cpu, "ms / shower", n, m) for m in names)]
        for n in (1, 256)
    ]
    times = (find(gpu, "ms / shower", 10_000, m) for m in models)
    rows.append(["ms per shower on an H200, batch 10,000", None, *times])
    return shown("", ["Geant4", *models], rows)


def detectors() -> str:
    """How much the detectors of anomalies improve a search."""
    results = tables_of("bumphunt_detectors")[:3]
    methods = ["exact", "supervised", "idealized", "CATHODE", "R-ANODE", "CWoLa", "ANODE"]
    samples = ["toy dijets", "jet masses shifted by 0.1 m", "ten noise features more"]
    rows = [
        [sample, *(find([one], "SIC at FPR 1e-3", m) for m in methods)]
        for sample, one in zip(samples, results, strict=True)
    ]
    return shown("sample", methods, rows)


def main() -> int:
    """Write or check the pages."""
    before, _, rest = README.read_text().partition(START)
    _, _, after = rest.partition(END)
    pages = {
        PAGE: "\n\n".join([HEAD.strip(), *(section(f) for f in sorted(RESULTS.glob("*.json")))]) + "\n",
        README: f"{before}{START}{numbers()}\n{END}{after}",
    }
    for path, text in pages.items():
        if "--check" not in sys.argv[1:]:
            path.write_text(text)
        elif not path.is_file() or path.read_text() != text:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
