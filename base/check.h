/*
 * Assertions that no build can switch off: a broken invariant stops the node before it can move
 * money. Use assert() of <assert.h> for what must be and what must not be; input from outside is
 * checked and refused, never asserted.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <assert.h>

#ifdef NDEBUG
#error "payledger is never built with NDEBUG: assertions guard money"
#endif

/* a implies b */
#define IMPLIES(a, b) (!(a) || (b))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The struct that embeds `member`, from a pointer to that member. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#include <stddef.h>

#endif
