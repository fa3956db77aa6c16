/*
 * LMDB's file: a real one, in memory, whose writes since the last flush can be taken back. The
 * linker's --wrap brings LMDB's system calls here.
 */
#ifndef TESTS_SIMULATION_PAGES_H
#define TESTS_SIMULATION_PAGES_H

#include "tests/simulation/world.h"

#include <stddef.h>

enum { PAGE_BYTES = 4096 };

struct page {
    uint64_t number;
    bool absent; /* was behind the end of the file */
    uint8_t bytes[PAGE_BYTES];
};

struct pages {
    char path[256];
    struct page *unflushed; /* as they were at the last flush */
    size_t count;
    size_t capacity;
    uint64_t writes;
    /* faults */
    bool full;
    uint64_t fail_at_write; /* the so many-th write from now fails; 0: none */
    bool fail_flush;
};

/* Takes back what was not flushed, each page by chance. */
void pages_lose(struct pages *pages, struct dice *dice);
/* The process ended without losing power, or the file was replaced. */
void pages_forget(struct pages *pages);

#endif
