# Recipes for common commands: https://just.systems
# Every recipe is one or two commands that also work without just.

set positional-arguments

# lists the recipes
default:
    @just --list

# the tests that need only Rust and a C compiler: `just test --test it guards::` runs a part of them
test *ARGS:
    cargo test "$@"

# formatting and lints, as the gate checks them
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings

# formats the code
fmt:
    cargo fmt --all

# the whole gate; needs Debian and root, and installs missing packages
ci:
    .ci/run

# the long checks, all or some: `just deep 60 fuzz mutants` runs two of them for 60 minutes
deep *ARGS:
    .ci/deep "$@"

# the benchmarks of each part of a run: `just bench plan` runs those with `plan` in their name
bench *ARGS:
    cargo bench --package rosterd-benches --bench parts -- "$@"

# the daemon and its page against the built-in API; needs no account
sandbox *ARGS:
    cargo run --release -- --sandbox "$@"

# the API documentation, in target/doc
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features
