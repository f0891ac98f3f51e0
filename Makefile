# A thin front of Meson: `make`, `make run`, `make test [T=room/module]`.  Everything installs what it lacks.
B ?= build
MESON = meson setup $(1) $(2) >/dev/null || { cat $(1)/meson-logs/meson-log.txt >&2; exit 3; }

.PHONY: all run test test-long lint fmt asan tsan bench deb install-build

all: $(B)/build.ninja
	@ninja -C $(B)

$(B)/build.ninja:
	@tools/install build
	@$(call MESON,$(B),)

test:
	@tools/install build test
	@tools/test $(T)
