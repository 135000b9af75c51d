mod invalid;
mod lab;
mod live;
mod mutants;
mod planning;
