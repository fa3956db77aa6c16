/*
 * Log lines on standard error: one line an event, levelled, "key=value" pairs, never a secret.
 *     2026-11-23T10:15:30.201Z info  core: became leader term=12 node=1
 * Only the layer that decides about an error logs it. Thread-safe.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below this level are dropped (default LOG_INFO). Call before threads start. */
void log_set_level(enum log_level level);

/* part: the writing module ("core"). The format carries no newline. */
void log_write(enum log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(part, ...) log_write(LOG_DEBUG, part, __VA_ARGS__)
#define log_info(part, ...)  log_write(LOG_INFO, part, __VA_ARGS__)
#define log_warn(part, ...)  log_write(LOG_WARN, part, __VA_ARGS__)
#define log_error(part, ...) log_write(LOG_ERROR, part, __VA_ARGS__)

/* Exit statuses of payledgerd (DESIGN.md section 7). */
enum exit_status {
    EXIT_DONE = 0,
    EXIT_USAGE = 64,
    EXIT_DATA = 65,
    EXIT_DISK = 74,
    EXIT_DIVERGED = 76,
    EXIT_CONFIG = 78
};

/*
 * Fail-stop: logs the reason and ends the process at once with the status, without running exit
 * handlers: what raft and LMDB have on disk is the truth, and nothing may be written after this.
 */
void fail_stop(enum exit_status status, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

#endif
