/*
 * rpc.discover: the OpenRPC 1.2 document, made from the tables that the parsers use.
 */
#include "base/check.h"
#include "gateway/method_table.h"

struct schema {
    const char *name; /* in components.schemas */
    const char *json; /* NULL: written by code, from a table of fields */
};

static const struct schema schemas[] = {
    [TYPE_UUID] = {"Uuid", "{\"type\":\"string\",\"format\":\"uuid\"}"},
    [TYPE_ACCOUNT_ID] = {"AccountId",
                         "{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9:._-]{1,64}$\"}"},
    [TYPE_CURRENCY_CODE] = {"CurrencyCode",
                            "{\"type\":\"string\",\"pattern\":\"^[A-Z][A-Z0-9]{1,11}$\"}"},
    [TYPE_AMOUNT] = {"Amount", "{\"type\":\"string\",\"pattern\":\"^[1-9][0-9]{0,37}$\","
                               "\"description\":\"minor units, below 2^126\"}"},
    [TYPE_BALANCE] = {"Balance", "{\"type\":\"string\",\"pattern\":\"^(0|-?[1-9][0-9]{0,37})$\","
                                 "\"description\":\"minor units\"}"},
    [TYPE_BALANCE_NULL] =
        {"Available", "{\"type\":[\"string\",\"null\"],"
                      "\"description\":\"minor units; null where the overdraft is unlimited\"}"},
    [TYPE_OVERDRAFT] = {"Overdraft",
                        "{\"type\":\"string\",\"pattern\":\"^(0|[1-9][0-9]{0,37}|unlimited)$\"}"},
    [TYPE_NORMAL] = {"Normal", "{\"type\":\"string\",\"enum\":[\"credit\",\"debit\"]}"},
    [TYPE_TIME] = {"Time", "{\"type\":\"string\",\"format\":\"date-time\","
                           "\"description\":\"RFC 3339 in Z, zero to nine decimals\"}"},
    [TYPE_REFERENCE] = {"Reference", "{\"type\":\"string\",\"minLength\":1,\"maxLength\":128}"},
    [TYPE_METADATA] = {"Metadata", "{\"type\":\"object\",\"description\":\"at most 4096 bytes\"}"},
    [TYPE_LEGS] = {"Legs", NULL},
    [TYPE_ITEMS] = {"Items", NULL},
    [TYPE_MODE] = {"Mode", "{\"type\":\"string\",\"enum\":[\"independent\",\"atomic\"]}"},
    [TYPE_SCALE] = {"Scale", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":18}"},
    [TYPE_LIMIT] = {"Limit", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}"},
    [TYPE_CURSOR] = {"Cursor", "{\"type\":[\"string\",\"null\"]}"},
    [TYPE_INTEGER] = {"Integer", "{\"type\":\"integer\",\"minimum\":0,"
                                 "\"maximum\":9007199254740992}"},
    [TYPE_INTEGER_NULL] = {"IntegerOrNull", "{\"type\":[\"integer\",\"null\"]}"},
    [TYPE_BOOLEAN] = {"Boolean", "{\"type\":\"boolean\"}"},
    [TYPE_STRING] = {"String", "{\"type\":\"string\"}"},
    [TYPE_DIGEST] = {"Digest", "{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{64}$\"}"},
    [TYPE_ARRAY] = {"Array", "{\"type\":\"array\"}"},
    [TYPE_OBJECT] = {"Object", "{\"type\":\"object\"}"},
};

static_assert(ARRAY_COUNT(schemas) == TYPE_OBJECT + 1, "every type has its schema");
static_assert(LEGS_MAX == 64 && BATCH_ITEMS_MAX == 8192 && LIST_ITEMS_MAX == 1000 &&
                  METADATA_BYTES_MAX == 4096 && CURRENCY_SCALE_MAX == 18,
              "the texts above name these bounds");

/* {"$ref":"#/components/schemas/Amount"}, with a description beside it. */
static void reference_write(struct json_writer *writer, const struct field_spec *spec)
{
    char path[64];
    struct buffer out;
    buffer_init(&out, sizeof path);
    write_format(&out, "#/components/schemas/%s", schemas[spec->type].name);
    json_object_open(writer);
    json_field_text(writer, "$ref",
                    (struct text){.data = (const char *)out.data, .size = out.size});
    json_field_string(writer, "description", spec->text);
    json_object_close(writer);
    buffer_deinit(&out);
}

/* {"type":"object","properties":{...},"required":[...]} */
static void object_schema_write(struct json_writer *writer, const struct field_spec *specs,
                                uint32_t count, bool closed)
{
    json_object_open(writer);
    json_field_string(writer, "type", "object");
    json_key(writer, "properties");
    json_object_open(writer);
    for (uint32_t i = 0; i < count; i++) {
        json_key(writer, specs[i].name);
        reference_write(writer, &specs[i]);
    }
    json_object_close(writer);
    json_key(writer, "required");
    json_array_open(writer);
    for (uint32_t i = 0; i < count; i++) {
        if (specs[i].required) {
            json_string(writer, specs[i].name);
        }
    }
    json_array_close(writer);
    if (closed) {
        json_field_boolean(writer, "additionalProperties", false);
    }
    json_object_close(writer);
}

static void array_schema_write(struct json_writer *writer, const struct field_spec *specs,
                               uint32_t count, uint32_t items_max)
{
    json_object_open(writer);
    json_field_string(writer, "type", "array");
    json_field_unsigned(writer, "minItems", 1);
    json_field_unsigned(writer, "maxItems", items_max);
    json_key(writer, "items");
    object_schema_write(writer, specs, count, true);
    json_object_close(writer);
}

static void method_write(struct json_writer *writer, const struct method *method)
{
    json_object_open(writer);
    json_field_string(writer, "name", method->name);
    json_field_string(writer, "summary", method->summary);
    json_field_string(writer, "paramStructure", "by-name");
    json_key(writer, "params");
    json_array_open(writer);
    for (uint32_t i = 0; i < method->params_count; i++) {
        const struct field_spec *spec = &method->params[i];
        json_object_open(writer);
        json_field_string(writer, "name", spec->name);
        json_field_string(writer, "summary", spec->text);
        json_field_boolean(writer, "required", spec->required);
        json_key(writer, "schema");
        reference_write(writer, spec);
        json_object_close(writer);
    }
    json_array_close(writer);
    json_key(writer, "result");
    json_object_open(writer);
    json_field_string(writer, "name", "result");
    json_key(writer, "schema");
    object_schema_write(writer, method->results, method->results_count, false);
    json_object_close(writer);
    json_object_close(writer);
}

static void schemas_write(struct json_writer *writer)
{
    json_object_open(writer);
    for (uint32_t i = 0; i < ARRAY_COUNT(schemas); i++) {
        json_key(writer, schemas[i].name);
        if (i == TYPE_LEGS) {
            array_schema_write(writer, leg_specs, leg_specs_count, LEGS_MAX);
        } else if (i == TYPE_ITEMS) {
            array_schema_write(writer, payment_specs, payment_specs_count, BATCH_ITEMS_MAX);
        } else {
            json_raw(writer, text_of(schemas[i].json));
        }
    }
    json_object_close(writer);
}

static void errors_write(struct json_writer *writer)
{
    uint32_t count = 0;
    const struct code_info *infos = code_table(&count);
    json_object_open(writer);
    for (uint32_t i = 0; i < count; i++) {
        json_key(writer, infos[i].name);
        json_object_open(writer);
        json_field_signed(writer, "code", infos[i].rpc_number);
        json_field_string(writer, "message", infos[i].text);
        json_object_close(writer);
    }
    json_object_close(writer);
}

void discover_write(struct json_writer *writer)
{
    json_object_open(writer);
    json_field_string(writer, "openrpc", "1.2.6");
    json_key(writer, "info");
    json_object_open(writer);
    json_field_string(writer, "title", "payledger");
    json_field_string(writer, "version", "1.0.0");
    json_field_string(writer, "description", "JSON-RPC 2.0 over WebSocket or POST at /v1");
    json_object_close(writer);
    json_key(writer, "methods");
    json_array_open(writer);
    for (uint32_t i = 0; i < METHOD_COUNT; i++) {
        method_write(writer, method_row((enum method_kind)i));
    }
    json_array_close(writer);
    json_key(writer, "components");
    json_object_open(writer);
    json_key(writer, "schemas");
    schemas_write(writer);
    json_key(writer, "errors");
    errors_write(writer);
    json_object_close(writer);
    json_object_close(writer);
}
