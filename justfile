# Short names for the commands of everyday work: https://just.systems
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

# the whole gate; needs Debian and root, and installs what it lacks
ci:
    .ci/run

# the long checks, all of them or a part: `just deep 60 fuzz mutants` is 60 minutes of two
deep *ARGS:
    .ci/deep "$@"

# the benchmarks of each part of a run: `just bench plan` runs those with `plan` in their name
bench *ARGS:
    cargo bench --package rosterd-benches --bench parts -- "$@"

# the daemon and its page against the built-in API; needs no account
sandbox *ARGS:
    cargo run --release -- --sandbox "$@"

# the documentation of the code, in target/doc
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features
