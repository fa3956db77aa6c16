/*
 * The table of commands, and the functions behind its rows.
 */
#ifndef CLIENT_VERBS_H
#define CLIENT_VERBS_H

#include "client/console.h"

/* All rows; count is set. */
const struct verb *verb_table(uint32_t *count);

/* The options that every command takes. */
const struct option *verb_options(void);

/*
 * The verb that words[0] (and words[1]) name; *used says how many words that took. NULL: none.
 */
const struct verb *verb_find(char *const *words, int count, int *used);

/* Prints the help: of one verb, of all whose first word is `topic`, or the overview (NULL). False
 * where the topic is unknown. */
bool verb_help(FILE *out, const char *topic);

enum client_exit pki_init_run(struct console *console);
enum client_exit currency_create_run(struct console *console);
enum client_exit currency_list_run(struct console *console);
enum client_exit account_open_run(struct console *console);
enum client_exit account_get_run(struct console *console);
enum client_exit account_list_run(struct console *console);
enum client_exit pay_run(struct console *console);
enum client_exit batch_run(struct console *console);
enum client_exit history_run(struct console *console);
enum client_exit totals_run(struct console *console);
enum client_exit status_run(struct console *console);
enum client_exit call_run(struct console *console);
enum client_exit bench_run(struct console *console);

#endif
