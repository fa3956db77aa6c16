/* `payledgerd check`: whole, damaged, foreign and in use. */
#include "node/check.h"

#include "tests/support/check.h"
#include "tests/support/node_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void make_currency_durable(struct node_rig *rig)
{
    node_rig_lead(rig);
    struct call *call = node_rig_execute(rig, "XTS");
    check_ok(node_submit(&rig->node, call));
    node_rig_step(rig);
    node_rig_apply(rig, 4);
    assert_true(node_rig_answered(rig, call) && call->code == CODE_OK);
    node_rig_call_free(call);
    check_ok(ledger_flush(rig->node.ledger));
}

/* The directory as a stopped node leaves it; what is said about it. */
static enum exit_status check(struct node_rig *rig, struct position *position, char error[512])
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s", datadir_path(rig->node.dir));
    datadir_close(rig->node.dir);
    const enum exit_status status = check_run(&rig->config, position, error, 512);
    check_ok(datadir_open(&rig->node.dir, &rig->config, path, sizeof(path)));
    return status;
}

static void a_whole_ledger_tells_its_position(void **state)
{
    struct node_rig *rig = *state;
    struct position position = {0};
    char error[512] = "";
    make_currency_durable(rig);
    assert_int_equal(check(rig, &position, error), EXIT_DONE);
    assert_true(position.index == 4 && position.seq == 1 && position.currencies_count == 1);
}

static void a_running_node_is_left_alone(void **state)
{
    struct node_rig *rig = *state;
    struct position position;
    char error[512] = "";
    assert_int_equal(check_run(&rig->config, &position, error, sizeof(error)), EXIT_DATA);
    assert_string_not_equal(error, "");
}

static void damage_is_told_and_stays(void **state)
{
    struct node_rig *rig = *state;
    static char before[1 << 20];
    static char after[1 << 20];
    struct position position;
    char error[512] = "";
    char path[512];
    make_currency_durable(rig);
    (void)snprintf(path, sizeof(path), "%s/data.mdb", datadir_ledger_path(rig->node.dir));
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    const ssize_t size = pread(fd, before, sizeof(before), 0);
    for (ssize_t i = 0; i + 3 < size; i++) {
        if (memcmp(before + i, "XTS", 3) == 0) {
            before[i] = 'Y';
        }
    }
    assert_int_equal(pwrite(fd, before, (size_t)size, 0), size);
    assert_int_equal(check(rig, &position, error), EXIT_DATA);
    assert_non_null(strstr(error, "table=currenc"));
    assert_int_equal(pread(fd, after, sizeof(after), 0), size);
    assert_memory_equal(before, after, (size_t)size);
    assert_int_equal(close(fd), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, node_rig_set_up, node_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_ledger_tells_its_position),
        TEST(a_running_node_is_left_alone),
        TEST(damage_is_told_and_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
