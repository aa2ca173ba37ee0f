# The course's verbs. Each sets up .venv by itself when it has to; `make help` lists them.

BIN := .venv/bin
READY := .venv/ready
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help book pdf test check exercises experiments lab clean
.DEFAULT_GOAL := help

help: ## list the verbs
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 14

book: $(READY) ## build the book, every cell run: _build/html/index.html
	@.ci/book

pdf: book ## the whole book for paper, after building it: _build/attention-course.pdf
	@$(BIN)/python .ci/pdf

test: book ## build the book, then run all tests
	@$(BIN)/pytest -n auto --maxprocesses 8 --dist loadgroup

check: $(READY) ## fast: lint, format, types, exercises up to date
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/course release --check
	@$(BIN)/python -m course_utils.records

exercises: $(READY) ## make the student notebooks in exercises/ from solutions/
	@$(BIN)/course release

experiments: $(READY) ## run and record the longer experiments, those that changed since
	@for script in benchmarks/experiments/*.py; do $(BIN)/python "$$script" || exit 1; done

# Jupyter refuses to run as root unless told to; in a container there is often nobody else.
lab: $(READY) ## open JupyterLab on exercises/ (LAB="--no-browser --port 9999" for its options)
	@$(BIN)/jupyter-lab --notebook-dir=exercises $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB)

clean: ## remove what was generated, but not .venv
	rm -rf _build .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The stamp is written last, so an interrupted set-up is simply done again.
$(READY): pyproject.toml requirements.lock
	@.ci/environment
	@touch $@
