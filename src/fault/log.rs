//! The heal log: what undoes a fault is written here before the fault is made, and struck out when that was seen.
