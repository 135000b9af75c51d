mod invalid;
mod mutants;
mod planning;
