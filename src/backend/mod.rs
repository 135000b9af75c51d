//! Backends: bring a layer of the stack up and down.
