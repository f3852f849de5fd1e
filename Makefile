# `make run` does the main job on the embedded default; `make check` installs
# what the tests need and runs them all, as CI does.

.PHONY: run check deps lint test deny bench bench-quick plot

run:
	cargo run --release --bin stockade

check: deps lint test deny
	@echo "all checks passed"

# Debian's packages and cargo's tools; nothing is done where they are there.
deps:
	.ci/deps

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

# One MariaDB and one Redis of its own for the whole run; tests that break
# servers start further ones.
test:
	cargo build --workspace --all-targets --locked
	cargo run --quiet --locked -p stockade-testkit -- run -- \
		cargo nextest run --workspace --all-targets --locked
	cargo test --workspace --doc --locked --quiet
	.ci/readme

deny:
	cargo deny --locked check licenses bans sources

bench:
	cargo bench -p stockade-benches

# Short runs of every bench, as in CI.
bench-quick:
	cargo bench --locked -p stockade-benches -- --quick

# benches/contention.svg, from the last run of the contention bench.
plot:
	cargo run --release --locked -p stockade-benches --bin plot
