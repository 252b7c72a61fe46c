//! The shape of the roster's YAML, with the place of every value.
