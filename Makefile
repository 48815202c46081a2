# Howdah's tasks. `make` alone lists them.

CARGO ?= cargo
# Further arguments of the demo, such as: make demo ARGS="--port 7000 --keep /var/tmp/shop"
ARGS ?=
# Seconds that each fuzz target runs.
FUZZ_SECONDS ?= 300

# The order of `test` is part of it.
.NOTPARALLEL:
.PHONY: help demo test format lint doc unit clients bench oracle fuzz setup-demo setup-test

help:
	@echo "make demo    a sharded shop on throwaway Postgres servers, until Ctrl-C"
	@echo "make test    everything that must pass, in the order of CI"
	@echo "make bench   micro-benchmarks, then pgbench side by side with other proxies"
	@echo "make oracle  the lexer against Postgres's own scanner (needs libclang)"
	@echo "make fuzz    each fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS) (needs cargo-fuzz)"

demo: setup-demo
	@$(CARGO) build --locked --bin howdah
	@exec $${CARGO_TARGET_DIR:-target}/debug/howdah demo $(ARGS)

test: setup-test format lint doc unit clients

setup-demo:
	@.ci/setup demo

setup-test:
	@.ci/setup test

format:
	$(CARGO) fmt --check

lint:
	$(CARGO) clippy --locked --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

# Not nextest: it gives every test a process of its own, and so Postgres servers of its own, which the tests of
# one file share.
unit:
	$(CARGO) test --locked --no-fail-fast

# Clients in other languages, against the binary that `unit` has built.
clients:
	@if [ -x tests/clients/run ]; then set -x; tests/clients/run; fi

bench:
	$(CARGO) bench --locked
	@if [ -x benches/pgbench/run ]; then set -x; benches/pgbench/run; fi

oracle:
	cd oracle && $(CARGO) run --locked --release

# Howdah has no unsafe code of its own: without sanitizers cargo-fuzz works on stable Rust.
fuzz:
	fuzz/seed
	cd fuzz && for target in $$($(CARGO) fuzz list); do \
		$(CARGO) fuzz run -s none $$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=10 || exit 1; \
	done
