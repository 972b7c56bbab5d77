# One-screen list of what can be made; `make demo` and `make test` set themselves up on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What core behaviour needs beyond the package's own dependencies: cloud screening, archives, benchmarks.
EXTRAS := cloud,retrieval,eval
# The folder with real scenes; tests that need it skip where it is not named.
export TERRALOGUE_DATA

.PHONY: demo test lint types bench slow inspector browser clean

demo: $(VENV)/.demo ## answer one question in the terminal, then open the chat
	$(BIN)/python -m terralogue.app --demo

test: $(VENV)/.test ## the default suite
	$(BIN)/python -m pytest -q

slow: $(VENV)/.test ## tests that take minutes
	$(BIN)/python -m pytest -q -m slow

lint: $(VENV)/.test ## style, imports, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p build/typing && ln -sfn ../.. build/typing/terralogue
	$(BIN)/mypy

bench: $(VENV)/.test ## speed and memory, ratios measured in one run
	$(BIN)/python -m terralogue.eval.bench

inspector: $(VENV)/.test ## drive the tool server with a foreign MCP client (fetches it with npx)
	$(BIN)/python -m pytest -q -m inspector

browser: ## install the browser that the page test drives (Debian, root)
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq chromium >/dev/null; \
	  else echo "no chromium here and no right to install it: the page test will skip"; fi; }

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[$(EXTRAS),test]"
	@touch $@ $(VENV)/.demo

clean: ## remove the environment and what was built
	rm -rf $(VENV) build dist *.egg-info
