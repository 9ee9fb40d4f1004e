# The tasks that CI runs. Start with `make demo` and `make test`.
# Each installs what building needs and this machine lacks (scripts/setup).

.PHONY: demo test lint interop interop-full bench bench-wire fuzz package package-test setup

demo: setup
	cargo run --quiet --release -- demo

test: setup
	cargo test --workspace

lint: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

interop: setup
	tests/interop/run

# The same, with every stream of the codec matrix and a release build.
interop-full: setup
	tests/interop/run --full

# Every fuzz target for ten minutes; `fuzz/run SECONDS TARGET` for one of them.
fuzz: setup
	fuzz/run 600

bench: setup
	cargo bench --workspace

# HTTP compared with the Python server, nginx and Orthanc; `make bench-wire PEERS=nginx` runs one of them.
PEERS ?= python_server nginx orthanc
bench-wire: setup
	benches/wire/run $(PEERS)

# Packages of the release binary in dist/, and one conversation with each; the wheel is built anew.
package: setup
	cargo build --release --locked --bin healthimaging-mcp-server
	scripts/package npm mcpb archive wheel server

package-test: package
	packaging/test.py

setup:
	@scripts/setup
