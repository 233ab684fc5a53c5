# Each target does its own set-up: a virtual environment in .venv with the versions of
# constraints.txt. `make PYTHON=python3.12 test` picks another interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test docs lint clean

demo: $(VENV)/examples.stamp
	$(BIN)/python examples/plot_01_forecast.py
	$(BIN)/python examples/plot_02_matrices.py

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -n auto --dist worksteal

# The site, in docs/_build/html; `make docs GALLERY=0` does not run the examples.
GALLERY ?= 1
docs: $(VENV)/docs.stamp
	$(BIN)/python -m sphinx -W --keep-going -q -D plot_gallery=$(GALLERY) docs docs/_build/html

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) docs/_build docs/api/generated docs/gallery examples/*.png

$(VENV)/%.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[$*]"
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
