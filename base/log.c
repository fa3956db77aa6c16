/*
 * Each line is put together on the stack and handed to the kernel in one write, so that lines of
 * several threads never mix and nothing is lost in a buffer when the process stops.
 */
#include "base/log.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Atomic int level_least = LOG_INFO;

void log_set_level(enum log_level level)
{
    assert(level >= LOG_DEBUG && level <= LOG_ERROR);
    atomic_store_explicit(&level_least, (int)level, memory_order_relaxed);
}

/* "2026-11-23T10:15:30.201Z " to the front of the line; returns its size. */
static size_t line_time(char *line)
{
    enum { MILLISECONDS_END = 23 };
    char text[TIME_TEXT_BYTES];
    int64_t now_ns = clock_wall_ns(clock_system());
    /* A clock that is set to before 1970 must not stop the node from saying so. */
    time_format(now_ns < 0 || now_ns > TIME_NS_MAX ? 0 : now_ns, text);
    memcpy(line, text, MILLISECONDS_END);
    memcpy(line + MILLISECONDS_END, "Z ", 2);
    return MILLISECONDS_END + 2;
}

/* Appends up to the bound and cuts the rest; returns the new size. */
static size_t line_append(char *line, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static size_t line_append(char *line, size_t size, const char *format, va_list arguments)
{
    /* One byte stays free for the newline, which replaces the terminator. */
    size_t room = LOG_LINE_BYTES_MAX - size;
    assert(room > 1);
    int wanted = vsnprintf(line + size, room, format, arguments);
    assert(wanted >= 0);
    if ((size_t)wanted < room) {
        return size + (size_t)wanted;
    }
    memcpy(line + LOG_LINE_BYTES_MAX - 4, "...", 3);
    return LOG_LINE_BYTES_MAX - 1;
}

static size_t line_append_head(char *line, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static size_t line_append_head(char *line, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t size_new = line_append(line, size, format, arguments);
    va_end(arguments);
    return size_new;
}

/* Foreign text may not begin a line of its own nor steer the reader's terminal. */
static void line_clean(char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)line[i];
        if (byte < 0x20 || byte == 0x7f) {
            line[i] = '?';
        }
    }
}

static void line_write(const char *line, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t result = write(STDERR_FILENO, line + done, size - done);
        if (result > 0) {
            done += (size_t)result;
        } else if (result == 0 || errno != EINTR) {
            return; /* nobody can be told */
        }
    }
}

static void log_line(enum log_level level, const char *part, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void log_line(enum log_level level, const char *part, const char *format, va_list arguments)
{
    static const char *const names[] = {"debug", "info ", "warn ", "error"};
    assert(level >= LOG_DEBUG && level <= LOG_ERROR);
    assert(part != NULL);
    int errno_before = errno;
    char line[LOG_LINE_BYTES_MAX];
    size_t size = line_time(line);
    size = line_append_head(line, size, "%s %.64s: ", names[level], part);
    size = line_append(line, size, format, arguments);
    line_clean(line, size);
    line[size] = '\n';
    line_write(line, size + 1);
    errno = errno_before;
}

void log_write(enum log_level level, const char *part, const char *format, ...)
{
    if ((int)level < atomic_load_explicit(&level_least, memory_order_relaxed)) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    log_line(level, part, format, arguments);
    va_end(arguments);
}

void fail_stop(enum exit_status status, const char *part, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(LOG_ERROR, part, format, arguments);
    va_end(arguments);
    /* Libraries may have printed through stdio. Handlers of exit() could still write to disk. */
    (void)fflush(stderr);
    _exit((int)status);
}
