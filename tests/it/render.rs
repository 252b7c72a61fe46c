//! What a plan looks like.
