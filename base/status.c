/* The texts of both vocabularies, made from their two tables. */
#include "base/status.h"

#include "base/check.h"

struct status_row {
    const char *name;
    const char *text;
};

static const struct status_row status_rows[STATUS_COUNT] = {
#define STATUS_ROW(name, text_name, text) [STATUS_##name] = {text_name, text},
    STATUS_TABLE(STATUS_ROW)
#undef STATUS_ROW
};

static const struct code_info code_rows[] = {
#define CODE(value, name, text_name, class, retryable, recorded, text)                             \
    {CODE_##name, text_name, text, class, retryable, recorded},
#include "base/errors.def"
#undef CODE
};

static_assert(STATUS_OK == 0, "zero is success");

const char *status_name(enum status status)
{
    if ((unsigned)status >= STATUS_COUNT) {
        return "invalid_status";
    }
    assert(status_rows[status].name != NULL);
    return status_rows[status].name;
}

const char *status_text(enum status status)
{
    if ((unsigned)status >= STATUS_COUNT) {
        return "not a status";
    }
    assert(status_rows[status].text != NULL);
    return status_rows[status].text;
}

/* A walk: the table is short, and only refusals ask. */
const struct code_info *code_info(enum code code)
{
    for (size_t i = 0; i < ARRAY_COUNT(code_rows); i++) {
        assert(code_rows[i].code != CODE_OK);
        if (code_rows[i].code == code) {
            return &code_rows[i];
        }
    }
    return NULL;
}

const struct code_info *code_table(uint32_t *count)
{
    assert(count != NULL);
    *count = (uint32_t)ARRAY_COUNT(code_rows);
    return code_rows;
}
