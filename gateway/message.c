/*
 * The door to cJSON: texts become trees of values.
 *
 * Happy path: json_check passes the text and notes the spans of numbers and objects in document
 * order; cJSON builds the tree in the reader's own arena; one walk over the tree in document order
 * gives every number and object its span. A value's number is then read from the source text alone.
 *
 * Failure modes: the check refuses; memory runs out (OVERLOADED); cJSON and the check disagree
 * about a text (INTERNAL; the fuzz target looks for such texts).
 */
#include "gateway/message.h"

#include "base/check.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_CHUNK_BYTES = 64 * 1024, ARENA_CHUNK_BYTES_MAX = 8 * 1024 * 1024 };

/* Memory of one tree: blocks that are only ever appended to, dropped together. */
struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    size_t capacity;
};

struct message_reader {
    struct json_scan scan;
    struct arena_chunk *chunks; /* newest first; the oldest is kept between messages */
};

/* ---- the arena behind cJSON ----------------------------------------------------------------- */

/*
 * cJSON's allocator is one for the process and gets no argument: the reader that parses on this
 * thread is left here for it, only during the call.
 */
static _Thread_local struct message_reader *reader_parsing;
static pthread_once_t hooks_once = PTHREAD_ONCE_INIT;

static struct arena_chunk *chunk_make(struct arena_chunk *next, size_t capacity)
{
    struct arena_chunk *chunk = malloc(sizeof *chunk + capacity);
    if (chunk != NULL) {
        *chunk = (struct arena_chunk){.next = next, .capacity = capacity};
    }
    return chunk;
}

static void *arena_take(size_t size)
{
    struct message_reader *reader = reader_parsing;
    assert(reader != NULL);
    size_t rounded = (size + 7) & ~(size_t)7;
    struct arena_chunk *chunk = reader->chunks;
    if (rounded > chunk->capacity - chunk->size) {
        size_t capacity = 2 * chunk->capacity;
        capacity = capacity > ARENA_CHUNK_BYTES_MAX ? ARENA_CHUNK_BYTES_MAX : capacity;
        chunk = chunk_make(chunk, capacity < rounded ? rounded : capacity);
        if (chunk == NULL) {
            return NULL;
        }
        reader->chunks = chunk;
    }
    void *taken = (char *)(chunk + 1) + chunk->size;
    chunk->size += rounded;
    return taken;
}

static void arena_give_back(void *memory)
{
    (void)memory; /* all at once, at the next message */
}

static void hooks_install(void)
{
    cJSON_Hooks hooks = {.malloc_fn = arena_take, .free_fn = arena_give_back};
    cJSON_InitHooks(&hooks);
}

/* Drops all chunks but the oldest, or that one too. */
static void arena_drop(struct message_reader *reader, bool all)
{
    while (reader->chunks != NULL && (all || reader->chunks->next != NULL)) {
        struct arena_chunk *next = reader->chunks->next;
        free(reader->chunks);
        reader->chunks = next;
    }
    if (reader->chunks != NULL) {
        reader->chunks->size = 0;
    }
}

enum status message_reader_open(struct message_reader **reader, size_t bytes_max)
{
    assert(bytes_max >= JSON_BYTES_PER_VALUE);
    (void)pthread_once(&hooks_once, hooks_install);
    struct message_reader *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return STATUS_NO_MEMORY;
    }
    made->chunks = chunk_make(NULL, ARENA_CHUNK_BYTES);
    if (made->chunks == NULL) {
        free(made);
        return STATUS_NO_MEMORY;
    }
    json_scan_init(&made->scan, bytes_max, (uint32_t)(bytes_max / JSON_BYTES_PER_VALUE));
    *reader = made;
    return STATUS_OK;
}

void message_reader_close(struct message_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    arena_drop(reader, true);
    json_scan_deinit(&reader->scan);
    free(reader);
}

static enum code fail(struct failure *failure, enum code code, const char *message)
{
    failure_set(failure, code, NULL, message);
    return code;
}

/* ---- the tree ------------------------------------------------------------------------------- */

static const cJSON *node_of(const struct value *value)
{
    assert(value != NULL);
    return (const cJSON *)(const void *)value;
}

static const struct value *value_of(const cJSON *node)
{
    return (const struct value *)(const void *)node;
}

/*
 * Gives each number and object its source bytes: valuestring points into the text, valueint is the
 * size. The arena never frees single nodes, so cJSON will not take the pointer for its own.
 */
static bool tree_annotate(const struct json_scan *scan, struct text text, cJSON *root)
{
    cJSON *parents[JSON_DEPTH_MAX];
    uint32_t depth = 0;
    uint32_t next = 0;
    cJSON *node = root;
    while (node != NULL) {
        if ((node->type & (cJSON_Number | cJSON_Object)) != 0) {
            if (next == scan->spans_count) {
                return false;
            }
            const struct json_span *span = &scan->spans[next++];
            assert(span->size <= text.size && span->offset <= text.size - span->size);
            node->valuestring = (char *)(uintptr_t)(text.data + span->offset);
            node->valueint = (int)span->size;
        }
        if (node->child != NULL) {
            if (depth == JSON_DEPTH_MAX) {
                return false;
            }
            parents[depth++] = node;
            node = node->child;
            continue;
        }
        while (node->next == NULL && depth > 0) {
            node = parents[--depth];
        }
        node = node->next;
    }
    return next == scan->spans_count;
}

static enum code check_failed(enum code code, size_t offset, struct failure *failure)
{
    char message[FAILURE_MESSAGE_BYTES_MAX] = "";
    if (code != CODE_OVERLOADED) {
        struct buffer out;
        buffer_init(&out, sizeof message - 1);
        const char *text = code == CODE_INVALID_REQUEST ? "the message has too many values"
                                                        : code_info(code)->text;
        write_format(&out, "%s (at byte %zu)", text, offset);
        if (!out.failed) {
            memcpy(message, out.data, out.size);
        }
        buffer_deinit(&out);
    }
    return fail(failure, code, message);
}

enum code message_parse(struct message_reader *reader, struct text text, const struct value **root,
                        struct failure *failure)
{
    assert(reader_parsing == NULL);
    arena_drop(reader, false);
    enum code code = json_check(&reader->scan, text);
    if (code != CODE_OK) {
        return check_failed(code, reader->scan.error_offset, failure);
    }
    const char *end = NULL;
    reader_parsing = reader;
    cJSON *tree = cJSON_ParseWithLengthOpts(text.data, text.size, &end, 0);
    reader_parsing = NULL;
    if (tree == NULL) {
        return fail(failure, CODE_OVERLOADED, NULL);
    }
    if (!tree_annotate(&reader->scan, text, tree)) {
        return fail(failure, CODE_INTERNAL, NULL);
    }
    *root = value_of(tree);
    return CODE_OK;
}

enum value_kind value_kind(const struct value *value)
{
    switch (node_of(value)->type & 0xFF) {
    case cJSON_False:
    case cJSON_True:
        return VALUE_BOOLEAN;
    case cJSON_Number:
        return VALUE_NUMBER;
    case cJSON_String:
        return VALUE_STRING;
    case cJSON_Array:
        return VALUE_ARRAY;
    case cJSON_Object:
        return VALUE_OBJECT;
    default:
        return VALUE_NULL;
    }
}

const struct value *value_first(const struct value *container)
{
    return value_of(node_of(container)->child);
}

const struct value *value_next(const struct value *value)
{
    return value_of(node_of(value)->next);
}

const char *value_name(const struct value *member)
{
    const char *name = node_of(member)->string;
    return name == NULL ? "" : name;
}

const struct value *value_member(const struct value *object, const char *name)
{
    return value_of(cJSON_GetObjectItemCaseSensitive(node_of(object), name));
}

uint32_t value_count(const struct value *container)
{
    return (uint32_t)cJSON_GetArraySize(node_of(container));
}

struct text value_text(const struct value *value)
{
    return value_kind(value) == VALUE_STRING ? text_of(node_of(value)->valuestring)
                                             : (struct text){.data = "", .size = 0};
}

struct text value_source(const struct value *value)
{
    const cJSON *node = node_of(value);
    if ((node->type & (cJSON_Number | cJSON_Object)) == 0) {
        return (struct text){.data = "", .size = 0};
    }
    return (struct text){.data = node->valuestring, .size = (size_t)node->valueint};
}

bool value_integer(const struct value *value, int64_t *integer)
{
    return value_kind(value) == VALUE_NUMBER && json_integer_parse(value_source(value), integer);
}

bool value_boolean(const struct value *value, bool *boolean)
{
    if (value_kind(value) != VALUE_BOOLEAN) {
        return false;
    }
    *boolean = (node_of(value)->type & cJSON_True) != 0;
    return true;
}
