mod mutants;
