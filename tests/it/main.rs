//! One integration binary, since each costs a link: a module for each thing that is tried from outside.

#![expect(clippy::print_stderr, reason = "figures that a test measured are shown with --nocapture")]

mod ansible;
mod attach;
mod compare;
mod conformance;
mod dials;
mod docker;
mod faults;
mod guests;
mod handed;
mod inspect;
mod invalid;
mod kill9;
mod kill9_attached;
mod kinds;
mod lab;
mod layers;
mod live;
mod manual;
mod mutants;
mod nodes;
mod place;
mod planning;
mod probes;
mod report;
mod rulings;
mod same;
mod shell;
mod shipped;
mod stack;
mod stores;
mod tidy;
mod up;
mod vagrantfile;
mod virtualbox;
mod vms;
mod words;
