//! A shell that answers from a script: for tests.
