# `make run` starts the server on its embedded store; `make check` installs what
# the tests need and runs every check, as CI does.

.PHONY: run check check-long deps lint features package test ffi header install-c python node deploy laravel bench-laravel openapi openapi-long schemathesis providers control-room deny proof fuzz bench bench-quick bench-ffi plot

# Nothing is skipped: a program that is not installed fails the tests that need it.
export STOCKADE_TEST_REQUIRE = all

run:
	cargo run --release --bin stockade

check: deps lint features package test node deploy laravel openapi schemathesis providers control-room deny
	@echo "all checks passed"

# The behaviour suite on later servers than those installed: MariaDB 11.8 alone
# and with Redis 8, then MySQL with Valkey 9; then MySQL without Redis, and a lock that
# grants to everyone, in whole. The runner prints the versions, and
# nextest the counts.
check-long:
	.ci/deps long
	STOCKADE_TEST_MARIADB_ROOT=mariadb STOCKADE_TEST_REDIS_ROOT=redis \
		cargo run --quiet --locked -p stockade-testkit -- run -- \
		cargo nextest run -p stockade-conformance --test behaviour --locked -E 'test(/^mariadb/)'
	STOCKADE_TEST_REDIS_ROOT=valkey \
		cargo run --quiet --locked -p stockade-testkit -- run -- \
		cargo nextest run -p stockade-conformance --test behaviour --locked -E 'test(/^mysql_redis::/)'
	STOCKADE_TEST_LONG=1 cargo run --quiet --locked -p stockade-testkit -- run -- \
		cargo nextest run -p stockade-conformance --test behaviour --locked \
		-E 'test(/^(mysql|granting_lock)::/)'

# Debian's packages and cargo's tools; skips what is installed.
deps:
	.ci/deps

lint:
	.ci/vocabulary
	.ci/readme --links
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

# Checks the engine without features and with each one, then runs it with SQLite
# alone. The other targets build it with all, those for tests included.
features:
	cargo hack clippy --package stockade --each-feature --locked \
		--exclude-features default,testing,failpoints,bench -- -D warnings
	cargo test --package stockade --no-default-features --features sqlite --test features --locked \
		--config 'profile.dev.package.stockade.opt-level=0'

# Packs the crates that are published, and goes through the steps of publishing
# but the upload. Builds nothing: `make test` has built the same sources.
package:
	cargo publish --dry-run --no-verify --allow-dirty --locked \
		--package stockade-migrations --package stockade --package stockade-server

# Starts one MariaDB, MySQL and Redis for the whole run; tests that break
# servers start their own. Each bench runs once here, without measuring.
test:
	cargo build --workspace --all-targets --locked
	cargo run --quiet --locked -p stockade-testkit -- run -- \
		cargo nextest run --workspace --all-targets --locked
	cargo test --workspace --doc --locked --quiet
	cargo run --quiet --locked -p stockade-testkit -- run -- ffi/php/check
	.ci/readme
	$(MAKE) python

# The Python package's wheel, in a clean virtual environment with tools at
# fixed versions.
python:
	.ci/python

# The Node client: types, lints, tests on the server that is built, and its package.
node:
	cargo build --workspace --all-targets --quiet --locked
	server/client-node/check

# The examples of systemd, nginx, Caddy, Kubernetes and monitoring, as they stand.
deploy:
	cargo build --workspace --all-targets --quiet --locked
	server/tests/deploy/run

# The C ABI, its header, examples and tests under valgrind, then the PHP
# package with its tests under php-fpm. A missing tool is a failure. Builds the
# whole workspace, so that features do not differ and nothing is built twice.
ffi:
	cargo build --workspace --all-targets --locked
	cargo run --quiet --locked -p stockade-testkit -- run -- \
		cargo nextest run --workspace --all-targets --locked -E 'package(stockade-ffi)'
	cargo run --quiet --locked -p stockade-testkit -- run -- ffi/php/check

# The Laravel package and its example, under php-fpm and nginx, by Laravel and PHP of
# Debian's unstable suite.
laravel:
	cargo build --workspace --all-targets --locked
	cargo run --quiet --locked -p stockade-testkit -- run -- .ci/laravel ffi/php/check-laravel

# Writes the C header and that of the PHP package from ffi/src.
header:
	STOCKADE_WRITE_HEADERS=1 cargo test --quiet --locked -p stockade-ffi --test header

# Installs header, libraries and pkg-config file below DESTDIR and PREFIX.
install-c:
	ffi/install

# Checks the OpenAPI document: validators, and generated clients in Python and
# TypeScript that make a hold on a running server.
openapi:
	server/tests/openapi/run

# The same, and the clients of openapi-generator in Python and Java.
openapi-long:
	server/tests/openapi/run --long

# Tests the server against its OpenAPI document with schemathesis.
schemathesis:
	server/tests/schemathesis/run

# Sends the server the webhooks that the payment providers' own libraries sign.
providers:
	server/tests/providers/run

# Drives the control room in headless Chromium; screenshots are in
# target/control_room.
control-room:
	server/tests/control_room/run

# Runs every part of the proof in its long form and writes RELIABILITY.md.
# SEEDS=N tries N seeds of each part instead of its own number.
proof:
	cargo build --quiet --release --locked -p stockade-proof
	cargo run --quiet --release --locked -p stockade-proof -- all --long $(if $(SEEDS),--seeds $(SEEDS))
	STOCKADE_TEST_LONG=1 cargo run --quiet --locked -p stockade-testkit -- run -- \
		cargo nextest run -p stockade-conformance --test behaviour --locked -E 'test(/^flushed_redis::/)'

# Fuzzes the input of hostile clients and programs, each target for SECONDS.
fuzz: SECONDS = 60
fuzz:
	server/fuzz/run server/fuzz http $(SECONDS)
	server/fuzz/run server/fuzz requests $(SECONDS)
	server/fuzz/run server/fuzz socket $(SECONDS)
	server/fuzz/run server/fuzz webhook $(SECONDS)
	server/fuzz/run ffi/fuzz abi $(SECONDS)

deny:
	cargo deny --locked check licenses bans sources

bench:
	cargo bench -p stockade-benches

# Short runs of every bench. A job of its own in CI: the optimized build takes longer
# than the runs.
bench-quick:
	cargo bench --locked -p stockade-benches -- --quick

# Measures a call in Rust, C, PHP and Python, and eight PHP processes on one
# product.
bench-ffi:
	ffi/benches/run

# Measures the Laravel example beside the same routes written by hand.
bench-laravel:
	cargo build --release --locked -p stockade-server
	STOCKADE_SERVER=$(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/release/stockade \
		cargo run --quiet --locked -p stockade-testkit -- run -- .ci/laravel php ffi/php/benches/laravel.php

# Draws benches/contention.svg from the last run of the contention bench.
plot:
	cargo run --release --locked -p stockade-benches --bin plot
