# make install   .venv with the package and its native core
# make demo      e+ e- -> 3 jets at the Z pole: events, cross section and report in demo/
# make test      lint, types, tests (test-all: the slow physics checks too)
# make bench     the side-by-side measurements of benchmarks/
# make docs      the documentation site in site/ (figures: its pictures)
# make wheel     a wheel in dist/
# make clean     removes everything that was made, .venv too

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install -q -c constraints.txt
# Packages that are built while they are installed see the same versions.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
NATIVE := CMakeLists.txt $(wildcard src/lhcflow/_native/*.?pp src/lhcflow/_native/*/*.?pp)
LOG := build/install.log

.PHONY: install demo test test-all bench docs figures wheel clean
.DELETE_ON_ERROR:

install: $(VENV)/.installed

$(VENV)/.created: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "lhcflow needs Python 3.11 or newer: make install PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) torch
	$(INSTALL) scikit-build-core nanobind cmake ninja
	@touch $@

# pip is silent about a native core that did not build (the package then runs on its slower twins), so ask for it.
$(VENV)/.installed: $(VENV)/.created pyproject.toml $(NATIVE)
	@mkdir -p build
	@echo "installing lhcflow and its native core ($(LOG))"
	@$(PIP) install -v -c constraints.txt --no-build-isolation -e . > $(LOG) 2>&1 || { tail -30 $(LOG) >&2; exit 1; }
	@$(BIN)/python -c 'from lhcflow import _native as n; import sys; sys.exit(n.core is None and n.reason)' || \
	  { grep -m5 -E "error:|CMake Error" $(LOG) >&2; \
	    echo "*** The native core did not build: lhcflow works, but slowly. It needs a C++20 compiler (g++ >= 11)." >&2; \
	    echo "*** The whole story: $(LOG). After mending it: touch CMakeLists.txt && make install" >&2; }
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(INSTALL) --only-binary pythia8mc,fastjet,geant4_pybind --no-build-isolation -e '.[test]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(INSTALL) --no-build-isolation -e '.[docs]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/lhcflow generate "e+ e- > j j j" --also flat --out demo --force
	@echo "report: $(CURDIR)/demo/report.html"

test: $(VENV)/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright src
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

test-all: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "slow or not slow"

# Peers are taken from their wheels or sources as they come. All of it takes most of a day; jobs that stand in the
# JSON files of integration, generation, detectors and table are not run again. Three scripts need showers, a model
# or the code of the CaloChallenge, and are run by hand: python benchmarks/NAME.py --help
BY_HAND := calo_quality calo_onnx calo_evaluation
BENCHMARKS = $(filter-out table $(BY_HAND),$(basename $(notdir $(wildcard benchmarks/*.py))))
bench: $(VENV)/.installed
	$(INSTALL) -r benchmarks/requirements.txt
	@for name in $(BENCHMARKS); do echo "== $$name"; \
	  $(BIN)/python benchmarks/$$name.py --json docs/results/$$name.json || exit 1; done
	$(BIN)/python benchmarks/table.py

docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build --strict

# The figures of README and tutorials, made by the code that stands in the tutorials, and those of the pages on
# concepts; they are kept in git.
figures: $(VENV)/.installed
	$(BIN)/python docs/figures.py
	$(BIN)/python docs/diagrams.py

wheel: $(VENV)/.created
	$(PIP) wheel -q --no-deps --no-build-isolation -w dist .

clean:
	rm -rf $(VENV) build dist demo site
