//! What is said about every mistake in a roster.
