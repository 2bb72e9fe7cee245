# SPDX-License-Identifier: BSD-3-Clause
# Thin verbs over meson and the scripts; `make help` lists them.
BUILD  ?= build
PREFIX ?= /usr/local

.DEFAULT_GOAL := help
.PHONY: help setup build demo run test smoke soak perf perf-quick lint format install uninstall clean

help:
	@echo "credgate: validates signed UDP credentials at line rate"
	@echo
	@echo "  make setup     install what is missing (Debian packages) and configure $(BUILD)/"
	@echo "  make build     compile"
	@echo "  make demo      set up, then validate real packets in private network namespaces"
	@echo "  make run       set up, then leave a gateway running, with commands to try by hand"
	@echo "  make test      set up, then everything: lint, unit, fuzz, smoke, sanitizers"
	@echo "  make smoke     only the tests that run the real programs"
	@echo "  make soak      change everything at random under load for minutes, and account for it"
	@echo "  make perf      measure everything beside its peers; make perf-quick: in a minute"
	@echo "  make lint      format, include arrows, forbidden tokens, licence lines"
	@echo "  make format    clang-format everything in place"
	@echo "  make install   install below $(PREFIX) (PREFIX=..., DESTDIR=...)"
	@echo "  make uninstall remove what install put there"
	@echo "  make clean     remove build folders"

setup:
	@dpdk-config/install.sh
	@test -f $(BUILD)/build.ninja || meson setup --prefix $(PREFIX) $(BUILD)

build: setup
	@ninja -C $(BUILD)

demo: build
	@tests/smoke/demo.py --build $(BUILD)

run: build
	@tests/smoke/demo.py --build $(BUILD) --stay

test:
	@command -v python3 >/dev/null || dpdk-config/install.sh
	@tests/run.py

smoke: setup
	@tests/run.py --only smoke

# SOAK_SECONDS=3600 make soak; a failure prints the seed that repeats it
soak: build
	@tests/soak/soak.py --build $(BUILD) --seconds $(or $(SOAK_SECONDS),300)

perf: build
	@perf/lab.py --build $(BUILD)

perf-quick: build
	@perf/lab.py --build $(BUILD) --quick

lint: setup
	@tests/lint/run.sh

format:
	@git ls-files '*.c' '*.h' '*.cc' | xargs clang-format-14 -i

install: build
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@meson install -C $(BUILD)
	@test -n "$(DESTDIR)" || test "$$(id -u)" != 0 || ldconfig

uninstall:
	@ninja -C $(BUILD) uninstall

clean:
	@rm -rf build build-clang build-sanitize
