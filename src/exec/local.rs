//! Runs commands on this host, each in a process group of its own.
