/*
 * Mutants: faults that are built in on purpose, so that the tests can prove that they would notice
 * them. They exist only in builds with PAYLEDGER_MUTANTS (preset "mutants"), where the environment
 * variable PAYLEDGER_MUTANT names the one that is active; everywhere else MUTANT() is false and
 * leaves no code. jepsen/mutants/ says for each what must catch it.
 */
#ifndef BASE_MUTANT_H
#define BASE_MUTANT_H

#include <stdbool.h>

#ifdef PAYLEDGER_MUTANTS
bool mutant_is_active(const char *name);
#define MUTANT(name) mutant_is_active(name)
#else
#define MUTANT(name) false
#endif

#endif
