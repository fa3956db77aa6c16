#include "client/table.h"

#include "base/check.h"
#include "base/limits.h"

#include <string.h>

static bool control(uint8_t byte)
{
    return byte < 0x20 || byte == 0x7f;
}

/* Characters, not bytes: UTF-8 continuation bytes do not count. */
static uint32_t text_width(const uint8_t *bytes, size_t size)
{
    uint32_t width = 0;
    for (size_t i = 0; i < size; i++) {
        width += (bytes[i] & 0xc0) != 0x80 ? 1 : 0;
    }
    return width;
}

void table_init(struct table *table, const char *heads)
{
    *table = (struct table){.columns = 0};
    buffer_init(&table->cells, CLIENT_TABLE_BYTES_MAX);
    for (const char *at = heads; at != NULL; at = strchr(at, '|')) {
        at += *at == '|' ? 1 : 0;
        assert(table->columns < TABLE_COLUMNS_MAX);
        table->right[table->columns] = *at == '>';
        table->columns += 1;
    }
    const char *at = heads;
    for (uint32_t i = 0; i < table->columns; i++) {
        at += *at == '>' ? 1 : 0;
        size_t size = strcspn(at, "|");
        table_cell(table, (struct text){at, size});
        at += size + 1;
    }
}

void table_deinit(struct table *table)
{
    buffer_deinit(&table->cells);
}

void table_cell(struct table *table, struct text text)
{
    assert(table->columns > 0);
    write_varint(&table->cells, text.size);
    const size_t begin = table->cells.size;
    write_bytes(&table->cells, text.data, text.size);
    if (table->cells.failed) {
        return;
    }
    uint8_t *bytes = table->cells.data + begin;
    for (size_t i = 0; i < text.size; i++) {
        /* Also U+0080 to U+009F, which some terminals obey. */
        bool second = i > 0 && bytes[i - 1] == 0xc2 && bytes[i] >= 0x80 && bytes[i] < 0xa0;
        if (control(bytes[i]) || second) {
            bytes[i] = '?';
            bytes[i - (second ? 1 : 0)] = '?';
        }
    }
    const uint32_t column = table->cells_count % table->columns;
    const uint32_t width = text_width(bytes, text.size);
    if (width > table->width[column]) {
        table->width[column] = width;
    }
    table->cells_count += 1;
}

void table_string(struct table *table, const char *text)
{
    table_cell(table, text_of(text));
}

static void pad(FILE *out, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)fputc(' ', out);
    }
}

void table_print(const struct table *table, FILE *out)
{
    struct reader reader = reader_of(table->cells.data, table->cells.size);
    const uint32_t rows = table->cells_count / table->columns;
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t owed = 0; /* blanks before the next cell: none at the end of a line */
        for (uint32_t column = 0; column < table->columns; column++) {
            const struct text cell = read_text(&reader, table->cells.size);
            const uint32_t width = text_width((const uint8_t *)cell.data, cell.size);
            const uint32_t rest = table->width[column] - width;
            if (cell.size > 0) {
                pad(out, owed + (table->right[column] ? rest : 0));
                (void)fwrite(cell.data, 1, cell.size, out);
                owed = (table->right[column] ? 0 : rest) + 2;
            } else {
                owed += rest + 2;
            }
        }
        (void)fputc('\n', out);
    }
    if (table->cells.failed) {
        (void)fputs("(the table is too long to be shown whole)\n", out);
    }
}
