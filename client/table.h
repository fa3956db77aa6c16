/*
 * Tables for people: columns as wide as their widest cell, numbers to the right.
 */
#ifndef CLIENT_TABLE_H
#define CLIENT_TABLE_H

#include "base/bytes.h"

#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 12 };

struct table {
    struct buffer cells; /* each with its length before it */
    uint32_t columns;
    uint32_t cells_count;
    bool right[TABLE_COLUMNS_MAX];
    uint32_t width[TABLE_COLUMNS_MAX];
};

/* The heads, separated by '|'; a head that begins with '>' makes a right-aligned column. */
void table_init(struct table *table, const char *heads);
void table_deinit(struct table *table);

/*
 * Appends the next cell, row by row. Control characters become '?': what a stranger wrote into a
 * reference must not steer the terminal.
 */
void table_cell(struct table *table, struct text text);
void table_string(struct table *table, const char *text);

/* Prints all complete rows; an empty cell stays blank. */
void table_print(const struct table *table, FILE *out);

#endif
