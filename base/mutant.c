#include "base/mutant.h"

#ifdef PAYLEDGER_MUTANTS

#include <stdlib.h>
#include <string.h>

bool mutant_is_active(const char *name)
{
    /* Set before the first thread starts and never changed. */
    const char *active = getenv("PAYLEDGER_MUTANT");
    return active != NULL && strcmp(active, name) == 0;
}

#else

/* An empty translation unit is not C11. */
extern bool mutant_is_absent;
bool mutant_is_absent = true;

#endif
