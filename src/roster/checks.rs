//! Turns what was written into a roster, or into every problem at once.
