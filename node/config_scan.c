#include "node/config_scan.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct config_key config_keys[] = {
#define STRING(key, fallback)           {SECTION_TOP, KIND_STRING, #key, (fallback) == NULL, 0, 0},
#define NUMBER(key, fallback, min, max) {SECTION_TOP, KIND_NUMBER, #key, false, min, max},
#define SWITCH(key, fallback)           {SECTION_TOP, KIND_SWITCH, #key, false, 0, 0},
#define LIST(key)                       {SECTION_TOP, KIND_LIST, #key, false, 0, 0},
    CONFIG_TOP_KEYS(STRING, NUMBER, SWITCH, LIST)
#undef STRING
#undef NUMBER
#undef SWITCH
#undef LIST
#define STRING(key, fallback) {SECTION_NODE, KIND_STRING, #key, (fallback) == NULL, 0, 0},
        CONFIG_NODE_KEYS(STRING)
#undef STRING
#define STRING(key, fallback) {SECTION_TLS, KIND_STRING, #key, (fallback) == NULL, 0, 0},
#define SWITCH(key, fallback) {SECTION_TLS, KIND_SWITCH, #key, false, 0, 0},
            CONFIG_TLS_KEYS(STRING, SWITCH)
#undef STRING
#undef SWITCH
#define NUMBER(key, fallback, min, max) {SECTION_RAFT, KIND_NUMBER, #key, false, min, max},
                CONFIG_RAFT_KEYS(NUMBER)
#undef NUMBER
};

static const char *const section_names[SECTION_COUNT] = {"", "node", "tls", "raft"};

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_STRING, TOKEN_MARK };

struct token {
    enum token_kind kind;
    struct text text; /* strings with their quotes */
    uint32_t line;
};

struct scanner {
    struct config_scan *scan;
    struct text text;
    size_t at;
    uint32_t line;
    const char *path;
    char *error;
    size_t error_size;
};

/* Writes "FILE:LINE: ..." ; the values inside are cut, so that a sentence stays one. */
static __attribute__((format(printf, 3, 4))) enum status
scanner_fail(struct scanner *scanner, uint32_t line, const char *format, ...)
{
    int used = snprintf(scanner->error, scanner->error_size, "%s:%u: ", scanner->path, line);
    if (used >= 0 && (size_t)used < scanner->error_size) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(scanner->error + used, scanner->error_size - (size_t)used, format,
                        arguments);
        va_end(arguments);
    }
    return STATUS_INVALID;
}

enum { SHOWN_BYTES_MAX = 80 };

static int shown(struct text text)
{
    return (int)(text.size < SHOWN_BYTES_MAX ? text.size : SHOWN_BYTES_MAX);
}

static bool is_mark(char byte)
{
    return byte == '=' || byte == '{' || byte == '}' || byte == ',';
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static void scanner_skip_blanks(struct scanner *scanner)
{
    const struct text text = scanner->text;
    bool comment = false;
    while (scanner->at < text.size) {
        char byte = text.data[scanner->at];
        if (byte == '\n') {
            comment = false;
            scanner->line += 1;
        } else if (byte == '#') {
            comment = true;
        } else if (!comment && !is_blank(byte)) {
            return;
        }
        scanner->at += 1;
    }
}

/*
 * A quoted string holds printable characters. Backslashes and dollars are refused: the library
 * would take them for escapes and variables of the environment.
 */
static enum status scanner_string(struct scanner *scanner, struct token *token)
{
    const struct text text = scanner->text;
    size_t begin = scanner->at;
    for (size_t at = begin + 1; at < text.size; at++) {
        unsigned char byte = (unsigned char)text.data[at];
        if (byte == '"') {
            scanner->at = at + 1;
            *token = (struct token){
                TOKEN_STRING, {text.data + begin, scanner->at - begin}, scanner->line};
            return STATUS_OK;
        }
        if (byte == '\\' || byte == '$') {
            struct text value = {text.data + begin, at + 1 - begin};
            return scanner_fail(scanner, scanner->line, "%.*s: '%c' is not allowed in a string",
                                shown(value), value.data, byte);
        }
        if (byte < ' ' || byte == 0x7f) {
            break;
        }
    }
    return scanner_fail(scanner, scanner->line, "a string is not closed in its line");
}

static enum status scanner_next(struct scanner *scanner, struct token *token)
{
    const struct text text = scanner->text;
    scanner_skip_blanks(scanner);
    size_t begin = scanner->at;
    *token = (struct token){TOKEN_END, {text.data + begin, 0}, scanner->line};
    if (begin == text.size) {
        return STATUS_OK;
    }
    char byte = text.data[begin];
    if (byte == '"') {
        return scanner_string(scanner, token);
    }
    if (is_mark(byte)) {
        scanner->at += 1;
        *token = (struct token){TOKEN_MARK, {text.data + begin, 1}, scanner->line};
        return STATUS_OK;
    }
    size_t at = begin;
    while (at < text.size && !is_mark(text.data[at]) && !is_blank(text.data[at]) &&
           text.data[at] != '"' && text.data[at] != '#') {
        if (text.data[at] <= ' ' || text.data[at] >= 0x7f) {
            return scanner_fail(scanner, scanner->line, "byte 0x%02x outside of a string",
                                (unsigned)(unsigned char)text.data[at]);
        }
        at += 1;
    }
    assert(at > begin);
    scanner->at = at;
    *token = (struct token){TOKEN_WORD, {text.data + begin, at - begin}, scanner->line};
    return STATUS_OK;
}

static bool token_is(const struct token *token, char mark)
{
    return token->kind == TOKEN_MARK && token->text.data[0] == mark;
}

static enum status scanner_expect(struct scanner *scanner, char mark, const char *after)
{
    struct token token;
    enum status status = scanner_next(scanner, &token);
    if (status != STATUS_OK) {
        return status;
    }
    if (!token_is(&token, mark)) {
        return scanner_fail(scanner, token.line, "'%c' expected after %s, found '%.*s'", mark,
                            after, shown(token.text), token.text.data);
    }
    return STATUS_OK;
}

/* [1-9][0-9]* or 0, up to max. */
static bool number_parse(struct text text, uint32_t max, uint32_t *number)
{
    uint64_t value = 0;
    if (text.size == 0 || text.size > 10 || (text.size > 1 && text.data[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (value > max) {
        return false;
    }
    *number = (uint32_t)value;
    return true;
}

static const struct config_key *key_find(enum config_section section, struct text name)
{
    for (size_t i = 0; i < ARRAY_COUNT(config_keys); i++) {
        if (config_keys[i].section == section && text_equal(text_of(config_keys[i].name), name)) {
            return &config_keys[i];
        }
    }
    return NULL;
}

const struct config_item *config_scan_find(const struct config_scan *scan,
                                           enum config_section section, uint32_t title,
                                           const char *name)
{
    for (uint32_t i = 0; i < scan->items_count; i++) {
        const struct config_item *item = &scan->items[i];
        if (item->key->section == section && item->title == title &&
            strcmp(item->key->name, name) == 0) {
            return item;
        }
    }
    return NULL;
}

/* After "key =": { "a", "b" }; the value becomes the text from brace to brace. */
static enum status scan_list(struct scanner *scanner, const struct config_key *key,
                             struct token *value)
{
    const char *begin = value->text.data;
    struct token token;
    enum status status = scanner_next(scanner, &token);
    bool first = true;
    while (status == STATUS_OK && !(first && token_is(&token, '}'))) {
        if (token.kind != TOKEN_STRING) {
            return scanner_fail(scanner, token.line, "%s: a quoted string expected, found '%.*s'",
                                key->name, shown(token.text), token.text.data);
        }
        first = false;
        status = scanner_next(scanner, &token);
        if (status != STATUS_OK || token_is(&token, '}')) {
            break;
        }
        if (!token_is(&token, ',')) {
            return scanner_fail(scanner, token.line, "%s: ',' or '}' expected, found '%.*s'",
                                key->name, shown(token.text), token.text.data);
        }
        status = scanner_next(scanner, &token);
    }
    value->text.size = (size_t)(scanner->text.data + scanner->at - begin);
    return status;
}

static enum status scan_value(struct scanner *scanner, const struct config_key *key,
                              struct token *value)
{
    const struct text text = value->text;
    uint32_t number = 0;
    switch (key->kind) {
    case KIND_STRING:
        if (value->kind == TOKEN_STRING) {
            return STATUS_OK;
        }
        return scanner_fail(scanner, value->line, "%s = %.*s: must be a string in double quotes",
                            key->name, shown(text), text.data);
    case KIND_NUMBER:
        if (value->kind == TOKEN_WORD && number_parse(text, key->max, &number) &&
            number >= key->min) {
            return STATUS_OK;
        }
        return scanner_fail(scanner, value->line,
                            "%s = %.*s: must be a whole number from %u to %u, without leading "
                            "zeros",
                            key->name, shown(text), text.data, key->min, key->max);
    case KIND_SWITCH:
        if (text_equal(text, TEXT("true")) || text_equal(text, TEXT("false"))) {
            return STATUS_OK;
        }
        return scanner_fail(scanner, value->line, "%s = %.*s: must be true or false", key->name,
                            shown(text), text.data);
    case KIND_LIST:
        if (token_is(value, '{')) {
            return scan_list(scanner, key, value);
        }
        return scanner_fail(scanner, value->line, "%s = %.*s: must be a list: { \"a\", \"b\" }",
                            key->name, shown(text), text.data);
    }
    assert(false);
    return STATUS_INVALID;
}

/* name is read; "= value" follows. */
static enum status scan_item(struct scanner *scanner, const struct config_place *place,
                             const struct token *name)
{
    struct config_scan *scan = scanner->scan;
    const char *section = section_names[place->section];
    const struct config_key *key =
        name->kind == TOKEN_WORD ? key_find(place->section, name->text) : NULL;
    if (key == NULL) {
        return scanner_fail(scanner, name->line, "%.*s: there is no such key%s%s",
                            shown(name->text), name->text.data,
                            place->section == SECTION_TOP ? "" : " in section ", section);
    }
    const struct config_item *earlier =
        config_scan_find(scan, place->section, place->title, key->name);
    if (earlier != NULL) {
        return scanner_fail(scanner, name->line, "%s: given again (first in line %u)", key->name,
                            earlier->line);
    }
    enum status status = scanner_expect(scanner, '=', key->name);
    if (status != STATUS_OK) {
        return status;
    }
    struct token value;
    status = scanner_next(scanner, &value);
    if (status != STATUS_OK) {
        return status;
    }
    if (value.kind == TOKEN_END) {
        return scanner_fail(scanner, value.line, "%s: a value is missing", key->name);
    }
    status = scan_value(scanner, key, &value);
    if (status != STATUS_OK) {
        return status;
    }
    /* Each key of each section occurs once, so the table can not run over. */
    assert(scan->items_count < CONFIG_ITEMS_MAX);
    scan->items[scan->items_count] =
        (struct config_item){key, place->title, value.line, value.text};
    scan->items_count += 1;
    return STATUS_OK;
}

static enum status scan_required(struct scanner *scanner, const struct config_place *place)
{
    for (size_t i = 0; i < ARRAY_COUNT(config_keys); i++) {
        const struct config_key *key = &config_keys[i];
        if (key->section == place->section && key->required &&
            config_scan_find(scanner->scan, place->section, place->title, key->name) == NULL) {
            return scanner_fail(scanner, place->line, "%s%s%s is missing",
                                section_names[place->section],
                                place->section == SECTION_TOP ? "" : ": ", key->name);
        }
    }
    return STATUS_OK;
}

/* The name of a section is read; a title may follow. */
static enum status scan_place(struct scanner *scanner, enum config_section section,
                              const struct token *name, struct config_place *place)
{
    struct config_scan *scan = scanner->scan;
    uint32_t title = 0;
    if (section == SECTION_NODE) {
        struct token token;
        enum status status = scanner_next(scanner, &token);
        if (status != STATUS_OK) {
            return status;
        }
        if (token.kind != TOKEN_WORD || !number_parse(token.text, NODE_ID_MAX, &title) ||
            title == 0) {
            return scanner_fail(scanner, token.line,
                                "node %.*s: the title must be a number from 1 to %d, without "
                                "leading zeros or quotes",
                                shown(token.text), token.text.data, NODE_ID_MAX);
        }
    }
    for (uint32_t i = 0; i < scan->places_count; i++) {
        const struct config_place *earlier = &scan->places[i];
        if (earlier->section == section && earlier->title == title) {
            char number[16] = "";
            if (section == SECTION_NODE) {
                (void)snprintf(number, sizeof(number), " %u", title);
            }
            return scanner_fail(scanner, name->line, "%s%s: given again (first in line %u)",
                                section_names[section], number, earlier->line);
        }
    }
    if (scan->places_count == CONFIG_PLACES_MAX) {
        return scanner_fail(scanner, name->line, "node %u: more than %d nodes", title, NODES_MAX);
    }
    *place = (struct config_place){section, title, name->line};
    scan->places[scan->places_count] = *place;
    scan->places_count += 1;
    return scanner_expect(scanner, '{', "the name of a section");
}

static enum status scan_section(struct scanner *scanner, enum config_section section,
                                const struct token *name)
{
    struct config_place place;
    enum status status = scan_place(scanner, section, name, &place);
    while (status == STATUS_OK) {
        struct token token;
        status = scanner_next(scanner, &token);
        if (status != STATUS_OK) {
            return status;
        }
        if (token_is(&token, '}')) {
            return scan_required(scanner, &place);
        }
        if (token.kind == TOKEN_END) {
            return scanner_fail(scanner, token.line, "section %s of line %u is not closed",
                                section_names[section], place.line);
        }
        status = scan_item(scanner, &place, &token);
    }
    return status;
}

static enum config_section section_of(const struct token *token)
{
    for (int section = SECTION_NODE; section < SECTION_COUNT; section++) {
        if (token->kind == TOKEN_WORD && text_equal(token->text, text_of(section_names[section]))) {
            return (enum config_section)section;
        }
    }
    return SECTION_TOP;
}

static enum status scan_all(struct scanner *scanner)
{
    struct config_place top = {SECTION_TOP, 0, 0};
    for (;;) {
        struct token token;
        enum status status = scanner_next(scanner, &token);
        if (status != STATUS_OK) {
            return status;
        }
        if (token.kind == TOKEN_END) {
            break;
        }
        enum config_section section = section_of(&token);
        if (section == SECTION_TOP) {
            status = scan_item(scanner, &top, &token);
        } else {
            status = scan_section(scanner, section, &token);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    top.line = scanner->line;
    scanner->scan->lines_count = scanner->line;
    return scan_required(scanner, &top);
}

enum status config_scan(struct config_scan *scan, struct text text, const char *path, char *error,
                        size_t error_size)
{
    assert(path != NULL);
    assert(error_size > 0);
    *scan = (struct config_scan){.items_count = 0};
    error[0] = '\0';
    struct scanner scanner = {.scan = scan,
                              .text = text,
                              .line = 1,
                              .path = path,
                              .error = error,
                              .error_size = error_size};
    if (text.size > CONFIG_BYTES_MAX) {
        return scanner_fail(&scanner, 1, "larger than %d bytes", CONFIG_BYTES_MAX);
    }
    /* The library reads text up to a NUL byte: nothing may hide behind one. */
    if (text.size > 0 && memchr(text.data, '\0', text.size) != NULL) {
        return scanner_fail(&scanner, 1, "the file holds a NUL byte");
    }
    enum status status = scan_all(&scanner);
    assert(IMPLIES(status != STATUS_OK, error[0] != '\0'));
    return status;
}
