#include "gateway/render.h"

#include "tests/support/check.h"

#include <string.h>

static void the_page_is_whole(void **state)
{
    (void)state;
    struct text page = page_text();
    assert_memory_equal(page.data, "<!DOCTYPE html>", 15);
    assert_memory_equal(page.data + page.size - 8, "</html>\n", 8);
    /* Nothing from elsewhere, and no markup made from texts. */
    assert_null(memmem(page.data, page.size, "http://", sizeof "http://" - 1));
    assert_null(memmem(page.data, page.size, "https://", sizeof "https://" - 1));
    assert_null(memmem(page.data, page.size, "innerHTML", sizeof "innerHTML" - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
