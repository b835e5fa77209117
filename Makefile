# Everything there is to do with this project. `make help` lists it.

BUILD ?= .build
PREFIX ?= /usr/local
DESTDIR ?=
LIBDIR ?= lib

SWIFT_BUILD = swift build -c release --scratch-path $(BUILD)
LIBRARY = $(BUILD)/release/libdiffeo.so
PYTHON = .venv/bin/python
WITH_LIBRARY = DIFFEO_LIBRARY=$(abspath $(LIBRARY))
PYTEST = .venv/bin/pytest -q -n auto --dist worksteal
# On x86-64 fused multiply-add has to be asked for.
FMA = $(if $(filter x86_64,$(shell uname -m)),-Xcc -march=x86-64-v3)
# Python that ruff looks after.
CHECKED = bindings/python docs/conf.py packaging/debian/manpage scripts/check-release scripts/generate-interface scripts/declarations scripts/swift-core Tests/abi Tests/clients Tests/exchange Tests/fuzz Tests/inference examples
# How many times as long the tests marked long are in `make test-long`.
LENGTH ?= 20
# Of the demo's weights and shuffling.
SEED ?= 1

.NOTPARALLEL:
.PHONY: all lib interface test bits instructions test-swift test-abi test-python test-long test-exchange test-adapters test-clients test-portable fuzz demo gallery bench install dist deb docs format lint sanitize clean help system python

all: lib

lib: system ## builds the library: .build/release/libdiffeo.so
	$(SWIFT_BUILD) --product diffeo

interface: ## writes what repeats include/diffeo.h: the loader, symbols, declarations of other languages, docs/c-api.md
	scripts/generate-interface

test: test-swift test-abi test-python ## builds and runs every test

test-swift: lib ## the tests of the core, in release: debug numerics are a hundred times slower
	swift test -c release --disable-testable-imports --scratch-path $(BUILD)

bits: system ## writes Tests/bits anew, the checksums that results are held to: where a number was meant to change
	DIFFEO_WRITE_BITS=1 swift test -c release --disable-testable-imports --scratch-path $(BUILD) --filter resultsHaveTheirBits
	DIFFEO_WRITE_BITS=1 DIFFEO_MAX_ISA=baseline swift test -c release --disable-testable-imports --scratch-path $(BUILD) --filter resultsHaveTheirBits

instructions: python ## writes Tests/abi/instructions.txt anew: where work was meant to become more, or has become less
	$(WITH_LIBRARY) DIFFEO_WRITE_INSTRUCTIONS=1 .venv/bin/pytest -q Tests/abi/test_instructions.py

test-abi: python ## the tests of the header, the shared library and the C loader
	$(WITH_LIBRARY) $(PYTEST) Tests/abi

test-python: python ## the tests of the Python package, installed from its wheel, of documents and examples
	$(PYTEST) bindings/python
	$(WITH_LIBRARY) $(PYTEST) Tests --ignore Tests/abi

test-long: python ## the tests that have a long form, in it: damaged files, kills, threads, a posterior (LENGTH=20 times as long)
	DIFFEO_TEST_LENGTH=$(LENGTH) swift test -c release --disable-testable-imports --scratch-path $(BUILD) --filter WeightFileDamageTests
	DIFFEO_TEST_LENGTH=$(LENGTH) $(WITH_LIBRARY) $(PYTEST) -m long Tests/abi
	DIFFEO_TEST_LENGTH=$(LENGTH) $(PYTEST) -m long bindings/python
	DIFFEO_TEST_LENGTH=$(LENGTH) $(WITH_LIBRARY) $(PYTEST) -m long Tests/inference

# Files of flows, files of rows, sequences of calls, and the seed of all.
FILES ?= 200000
ROWS ?= 20000
CALLS ?= 200000
FUZZ_SEED ?= $(shell date +%s)

fuzz: lib ## loads FILES=200000 mutated files, their checksums repaired, ROWS=20000 of rows to train on, and makes CALLS=200000 sequences of calls; keeps in build/fuzz what ends a process
	@mkdir -p build/fuzz
	cc -O2 -Wall -Wextra -Iinclude -Ibindings/c Tests/fuzz/fuzz.c -o build/fuzz/fuzz -ldl
	$(WITH_LIBRARY) build/fuzz/fuzz $(CALLS) $(FUZZ_SEED) build/fuzz
	$(WITH_LIBRARY) build/fuzz/fuzz $(FILES) $(FUZZ_SEED) build/fuzz Tests/files/*/*.h5 Tests/fuzz/corpus/*.h5
	$(WITH_LIBRARY) build/fuzz/fuzz $(ROWS) $(FUZZ_SEED) build/fuzz Tests/fuzz/data/*.h5

test-portable: system ## the tests of the core as it is on 64-bit ARM, on x86-64; compiles the kernels for ARM
	DIFFEO_KERNELS=portable swift test -c release --disable-testable-imports --scratch-path .build-portable $(FMA) --skip WeightFile
	Tests/abi/arm

test-exchange: lib ## converts flows of other libraries, which are installed first (some minutes)
	scripts/setup-exchange
	$(WITH_LIBRARY) PYTHONPATH=$(abspath bindings/python) .venv-exchange/bin/python -m pytest -q Tests/exchange \
	  Tests/python/test_tutorials.py

test-adapters: lib ## runs the tests that want PyTorch, JAX, scikit-learn and Dask, which are installed first (some minutes)
	scripts/setup-adapters
	cd bindings/python && $(WITH_LIBRARY) PYTHONPATH=$(abspath bindings/python) ../../.venv-adapters/bin/python -m pytest -q \
	  -p no:cacheprovider tests/test_torch.py tests/test_jax.py tests/test_sklearn.py tests/test_variational.py tests/test_dask.py
	$(WITH_LIBRARY) PYTHONPATH=$(abspath bindings/python) .venv-adapters/bin/python -m pytest -q -p no:cacheprovider \
	  Tests/python/test_scale.py Tests/python/test_examples.py

test-clients: lib ## runs flows inside sbi, nessai, pocoMC, Pyro and emcee, which are installed first (some minutes)
	scripts/setup-clients
	$(WITH_LIBRARY) PYTHONPATH=$(abspath bindings/python) .venv-clients/bin/python -m pytest -q -p no:cacheprovider \
	  Tests/clients

demo: lib ## trains flows on real data, compares them, hands them to a C program, draws pictures: SEED=1
	@scripts/setup-python $(LIBRARY) requirements-demo.txt
	$(WITH_LIBRARY) $(PYTHON) demo/run.py $(SEED)

gallery: lib ## trains each flow on small densities and draws docs/images (some minutes)
	@scripts/setup-python $(LIBRARY) requirements-demo.txt
	$(WITH_LIBRARY) $(PYTHON) docs/gallery.py
	$(WITH_LIBRARY) $(PYTHON) docs/gallery_objectives.py
	$(WITH_LIBRARY) $(PYTHON) docs/gallery_images.py

bench: lib ## measures speed, alone and against other libraries (some twenty minutes)
	scripts/setup-benchmarks
	$(WITH_LIBRARY) .venv-bench/bin/python benchmarks/run.py

# Without a build where there is one already: root may have no Swift.
install: ## installs library, headers, pkg-config and CMake files: PREFIX=/usr/local DESTDIR= LIBDIR=lib
	test -f $(LIBRARY) || $(MAKE) lib
	scripts/install $(LIBRARY) "$(PREFIX)" "$(DESTDIR)" "$(LIBDIR)"

dist: ## builds what is given to people: a tarball and a wheel that need the C library and libgcc alone, in dist/ (some minutes)
	scripts/dist

deb: ## builds Debian packages of the library that is built, or that it builds, in dist/: libdiffeo, -dev, python3-diffeo
	test -f $(LIBRARY) || $(MAKE) lib
	scripts/deb $(LIBRARY)

docs: lib ## makes the documentation a site that needs no network: build/docs/index.html
	@scripts/setup-python $(LIBRARY) requirements-docs.txt
	$(PYTHON) -m sphinx -q -W --keep-going -c docs -d build/doctrees . build/docs

format: ## formats the sources in place
	swift format -i -r Sources Tests Package.swift
	if [ -x .venv/bin/ruff ]; then .venv/bin/ruff format --config bindings/python/pyproject.toml $(CHECKED); fi

lint: python ## checks formatting and types
	swift format lint --strict -r Sources Tests Package.swift
	cd bindings/python && $(abspath .venv/bin/mypy) --strict diffeo
	.venv/bin/ruff check --config bindings/python/pyproject.toml $(CHECKED)

sanitize: system ## runs the C tests against builds with the address and the thread sanitizer (slow)
	Tests/abi/sanitize

clean: ## removes what was built
	rm -rf .build .build-* build dist .venv .venv-bench .venv-exchange .venv-adapters .venv-clients

help: ## prints this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST) | expand -t 14

system:
	@scripts/setup-system

python: lib
	@scripts/setup-python $(LIBRARY)
