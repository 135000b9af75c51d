//! Reports: a record and its grade in, bytes out. Pure.
