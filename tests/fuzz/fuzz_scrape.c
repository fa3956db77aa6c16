/*
 * A node's /metrics as the load reads them: an HTTP response in pieces (the first byte says how
 * large), and figures out of its body, or out of the bytes themselves where they are no response.
 * Each figure is what a second, simpler reading of the same line finds.
 */
#include "base/check.h"
#include "base/limits.h"
#include "client/scrape.h"
#include "gateway/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text behind the first "NAME " that begins a line; NULL data where there is none. */
static struct text line_find(struct text body, const char *name)
{
    const size_t name_size = strlen(name);
    size_t begin = 0;
    for (size_t at = 0; at <= body.size; at++) {
        if (at < body.size && body.data[at] != '\n') {
            continue;
        }
        if (at - begin > name_size && memcmp(body.data + begin, name, name_size) == 0 &&
            body.data[begin + name_size] == ' ') {
            begin += name_size + 1;
            return (struct text){body.data + begin, at - begin};
        }
        begin = at + 1;
    }
    return (struct text){NULL, 0};
}

static void digit_append(u128 *value, char digit)
{
    const u128 bound = (u128)1 << 100;
    const uint8_t unit = (uint8_t)(digit - '0');
    *value = *value > bound ? *value : *value * 10 + unit;
}

/* [0-9]*(.[0-9]*)? with at least one digit, times factor, cut off: in 128 bits. */
static bool line_value(struct text line, uint32_t factor, u128 *value)
{
    size_t at = 0;
    size_t digits = 0;
    *value = 0;
    for (; at < line.size && line.data[at] >= '0' && line.data[at] <= '9'; at++) {
        digit_append(value, line.data[at]);
        digits += 1;
    }
    if (at < line.size && line.data[at] == '.') {
        at += 1;
        for (; at < line.size && line.data[at] >= '0' && line.data[at] <= '9'; at++) {
            if (factor > 1) {
                factor /= 10;
                digit_append(value, line.data[at]);
            }
            digits += 1;
        }
    }
    *value = *value * factor; /* below 2^124 */
    return at == line.size && digits > 0;
}

static void check_figures(struct text body)
{
    static const struct {
        const char *name;
        uint32_t factor;
    } rows[] = {{"process_cpu_seconds_total", 1000000}, {"payledger_seq", 1}, {"a", 1000}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint64_t found = 7;
        u128 wanted = 0;
        const bool number = scrape_value(body, rows[i].name, rows[i].factor, &found);
        const struct text line = body.size == 0 ? body : line_find(body, rows[i].name);
        const bool right = line.size > 0 && line_value(line, rows[i].factor, &wanted);
        assert(IMPLIES(number, right && found == wanted));
        assert(IMPLIES(!number, found == 7));
        /* Only what comes near 64 bits may be refused for its size. */
        assert(IMPLIES(right && !number, wanted > UINT64_MAX - 1000 * (u128)rows[i].factor));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http *http = NULL;
    if (size == 0 || http_open(&http, HTTP_SIDE_CLIENT) != STATUS_OK) {
        return 0;
    }
    const size_t step = data[0] == 0 ? SIZE_MAX : data[0];
    enum status status = STATUS_AGAIN;
    for (size_t at = 1; at < size && status == STATUS_AGAIN;) {
        const size_t part = size - at < step ? size - at : step;
        size_t taken = 0;
        status = http_feed(http, data + at, part, &taken);
        assert(taken <= part && IMPLIES(status == STATUS_AGAIN, taken == part));
        at += taken;
    }
    if (status == STATUS_OK) {
        assert(http_message(http)->body.size <= MESSAGE_BYTES_MAX);
        check_figures(http_message(http)->body);
    } else {
        assert(status == STATUS_AGAIN || status == STATUS_PROTOCOL);
        check_figures((struct text){(const char *)data + 1, size - 1});
    }
    http_close(http);
    return 0;
}
