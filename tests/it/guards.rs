//! Each guard, and what it lets through.
