# A thin front of Meson: `make` builds, `make run` serves demo data, `make test [T=room/module]` tests,
# `make bench [B=group]` measures, `make fuzz [F=target]`.  Every target installs what it lacks.
BUILD ?= build
DATA ?= data
export BUILD

.PHONY: all run test test-long asan tsan fuzz lint bench deb fmt
all:
	@tools/install build
	@tools/build $(BUILD)
	@tools/web-build
run: all
	@exec $(BUILD)/bihuan serve --data $(DATA) --demo --packs packs
test: all
	@tools/install test
	@tools/test "$(T)"
test-long: all
	@tools/install test lint bench
	@tests/long/run "$(T)"
asan:
	@tools/install build test lint
	@tools/sanitize asan address,undefined unit store
tsan:
	@tools/install build test lint
	@tools/sanitize tsan thread threads
fuzz:
	@tools/install build lint
	@tools/fuzz $(F)
lint:
	@tools/install build test lint
	@tools/lint
bench: all
	@tools/install test bench
	@bench/run $(B)
deb: all
	@tools/deb
fmt:
	@clang-format -i $$(git ls-files '*.c' '*.h')
