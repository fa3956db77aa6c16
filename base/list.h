/*
 * Intrusive doubly linked list: a node sits inside the struct that is listed, so membership costs
 * no memory and removal no search. The list itself is a node whose neighbours are first and last.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/check.h"

#include <stdbool.h>

struct list {
    struct list *next;
    struct list *previous;
};

static inline void list_init(struct list *list)
{
    list->next = list;
    list->previous = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_push(struct list *list, struct list *node)
{
    node->previous = list->previous;
    node->next = list;
    list->previous->next = node;
    list->previous = node;
}

/* Leaves the node alone in a list of its own, so that removing twice is harmless. */
static inline void list_remove(struct list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}

/* The first node, removed; NULL where the list is empty. */
static inline struct list *list_pop(struct list *list)
{
    struct list *node = list->next;
    if (node == list) {
        return NULL;
    }
    list_remove(node);
    return node;
}

/* Moves all nodes of `from` to the end of `to`. */
static inline void list_move_all(struct list *to, struct list *from)
{
    if (list_empty(from)) {
        return;
    }
    from->next->previous = to->previous;
    to->previous->next = from->next;
    from->previous->next = to;
    to->previous = from->previous;
    list_init(from);
}

#define LIST_FOREACH(item, head)                                                                   \
    for (struct list *item = (head)->next; item != (head); item = item->next)

#endif
