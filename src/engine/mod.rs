//! The engine: plan in, record out; on one page.
