#!/usr/bin/env bash
# The protocol's own conformance suite against the real handler and HTTP stack, in both eras.
#
# Usage: tests/interop/mcp_conformance.sh [PORT]
# Installs the suite and the Node it needs on the first run. Fails when any required scenario fails, or
# when the suite could not run.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
port=${1:-18765}
place=$("$root/tests/interop/javascript/install")

cd "$root"
cargo build --quiet --workspace --example conformance_server \
    --features healthimaging-tools/conformance-fixtures
"$target/debug/examples/conformance_server" "$port" &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT

for _ in $(seq 100); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    sleep 0.1
done
# Another process may have used the port.
kill -0 "$server" || { echo "the server ended early" >&2; exit 1; }

export PATH=$place/node_modules/.bin:$PATH
cd "$place"
failed=0
for requirements in 2025-11-25 2026-07-28; do
    echo "== requirements $requirements"
    node node_modules/@modelcontextprotocol/conformance/dist/index.js server \
        --url "http://127.0.0.1:$port/mcp" --requirements "$requirements" || failed=1
done
exit "$failed"
