//! The table of the plan, enumerated.
