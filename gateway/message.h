/*
 * One message between client and node: JSON-RPC 2.0 requests and replies. The door to cJSON. Used
 * by the gateway and by the command line client; knows no methods, no calls, no workers.
 *
 * A message is first checked strictly (json.h), then parsed into a tree that lives in the reader's
 * own memory. Numbers keep their source text, objects the source bytes: nothing is read from a
 * double.
 */
#ifndef GATEWAY_MESSAGE_H
#define GATEWAY_MESSAGE_H

#include "gateway/json.h"

/* ---- why a request was refused before it became a call ------------------------------------------
 */

enum { FAILURE_PARAM_BYTES_MAX = 256, FAILURE_MESSAGE_BYTES_MAX = 256 };

struct failure {
    enum code code;
    char param[FAILURE_PARAM_BYTES_MAX];     /* path as the client sent it; "": none */
    char message[FAILURE_MESSAGE_BYTES_MAX]; /* "": the code's own text */
};

/* Both may be NULL. Longer texts are cut between UTF-8 characters. */
void failure_set(struct failure *failure, enum code code, const char *param, const char *message);

/* ---- values -------------------------------------------------------------------------------------
 */

/* One JSON value of the last message; valid until the reader's next message. */
struct value;

enum value_kind {
    VALUE_NULL,
    VALUE_BOOLEAN,
    VALUE_NUMBER,
    VALUE_STRING,
    VALUE_ARRAY,
    VALUE_OBJECT
};

enum value_kind value_kind(const struct value *value);
/* Members of an object or array in source order: for (v = value_first(o); v; v = value_next(v)). */
const struct value *value_first(const struct value *container);
const struct value *value_next(const struct value *value);
/* The key of an object's member; "" elsewhere. */
const char *value_name(const struct value *member);
/* The member with exactly this key; NULL where there is none, or where `object` is no object. */
const struct value *value_member(const struct value *object, const char *name);
/* Elements or members, counted by walking. */
uint32_t value_count(const struct value *container);
/* A string's bytes (UTF-8, unescaped, without U+0000); empty for other kinds. */
struct text value_text(const struct value *value);
/* A number written as an integer within 2^53; false for anything else. */
bool value_integer(const struct value *value, int64_t *integer);
bool value_boolean(const struct value *value, bool *boolean);
/* The source bytes of a number or of an object; empty for other kinds. */
struct text value_source(const struct value *value);

/* ---- reading messages ---------------------------------------------------------------------------
 */

/* Tables and memory for one message at a time; one thread at a time. */
struct message_reader;

/* bytes_max: MESSAGE_BYTES_MAX on a node; a client may take longer answers. */
enum status MUST_CHECK message_reader_open(struct message_reader **reader, size_t bytes_max);
void message_reader_close(struct message_reader *reader);

/*
 * Parses any JSON text. The values borrow from `text` and from the reader until the next call.
 * CODE_OK, else as json_check (or INTERNAL), with `failure` set.
 */
enum code MUST_CHECK message_parse(struct message_reader *reader, struct text text,
                                   const struct value **root, struct failure *failure);

/* The id of a request, as it is echoed. */
enum request_id_kind { REQUEST_ID_NULL, REQUEST_ID_INTEGER, REQUEST_ID_STRING };

struct request_id {
    uint8_t kind; /* enum request_id_kind */
    uint8_t size;
    char text[REQUEST_ID_BYTES_MAX]; /* the digits as sent, or the string's bytes */
};

/*
 * One message from a client: a single request, or an array of 1..ENVELOPES_MAX of them. Each is
 * then given to envelope_read (or method_prepare) in turn: for (v = message.first; v; v =
 * message_next(&message, v)) ...
 */
struct message {
    bool is_array;
    uint32_t count;
    const struct value *first;
};

/* CODE_OK; else the whole message is answered with one error with id null. */
enum code MUST_CHECK message_read(struct message_reader *reader, struct text text,
                                  struct message *message, struct failure *failure);
const struct value *message_next(const struct message *message, const struct value *value);

struct envelope {
    struct request_id id; /* also set on refusal, as far as it could be read */
    bool is_notification; /* no id: neither executed nor answered, only counted */
    struct text method;
    const struct value *params; /* an object; NULL where absent */
};

/* CODE_OK, INVALID_REQUEST, UNKNOWN_FIELD or FIELD_INVALID (params). */
enum code MUST_CHECK envelope_read(const struct value *value, struct envelope *envelope,
                                   struct failure *failure);

/* ---- client side --------------------------------------------------------------------------------
 */

/* Appends one request. params: a JSON object as text; empty: left out. */
void message_write_request(struct buffer *out, uint64_t id, struct text method, struct text params);

struct reply {
    struct request_id id;
    const struct value *result; /* NULL: refused */
    /* where result is NULL */
    int64_t rpc_number;
    struct text message;
    struct text code; /* data.code; empty where the other side gave none */
    struct text param;
    bool retryable;
    enum certainty recorded;  /* null in JSON: UNSURE */
    uint32_t retry_after_ms;  /* 0: not said */
    const struct value *data; /* the whole data object, or NULL */
};

/* Reads one reply envelope. False where the value is none. */
bool reply_read(const struct value *value, struct reply *reply);
/* The id as the integer that message_write_request wrote; false for other ids. */
bool request_id_number(const struct request_id *id, uint64_t *number);

void json_request_id(struct json_writer *writer, const struct request_id *id);

#endif
