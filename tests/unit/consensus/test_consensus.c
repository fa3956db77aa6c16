#include "base/clock.h"
#include "consensus/internal.h"
#include "tests/support/check.h"
#include "tests/support/trio.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint32_t another(const struct trio *trio, uint32_t id)
{
    return id % trio->count + 1;
}

static bool leads(struct trio *trio, void *data)
{
    const struct trio_node *node = data;
    (void)trio;
    return node->role == ROLE_LEADER;
}

static bool leads_no_more(struct trio *trio, void *data)
{
    return !leads(trio, data);
}

static void one_node_elects_itself_and_applies(void **state)
{
    (void)state;
    struct trio *trio = trio_open(1);
    trio_start_all(trio);
    struct trio_node *leader = trio_elect(trio);
    assert_int_equal(leader->id, 1);
    trio_pay(trio, 1, 20, 64);
    assert_int_equal(leader->applied_count, 20);
    trio_close(trio);
}

static void three_nodes_apply_the_same_entries_in_the_same_order(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    trio_elect(trio);
    trio_pay(trio, 1, 1000, 128);
    trio_check_same(trio);
    for (uint32_t id = 1; id <= 3; id++) {
        const struct trio_node *node = trio_node(trio, id);
        assert_int_equal(consensus_last_applied(node->consensus), node->applied_last_index);
        assert_int_equal(consensus_last_index(node->consensus), node->applied_last_index);
        assert_true(consensus_last_stored(node->consensus) <= node->applied_last_index);
        assert_int_equal(consensus_term(node->consensus), node->term);
        assert_int_equal(consensus_leader(node->consensus), node->leader);
        assert_int_equal(consensus_role(node->consensus), node->role);
    }
    trio_close(trio);
}

static void five_nodes_go_on_without_two(void **state)
{
    (void)state;
    struct trio *trio = trio_open(5);
    trio_start_all(trio);
    uint32_t gone = trio_elect(trio)->id;
    trio_pay(trio, 1, 50, 64);
    trio_stop(trio, gone);
    trio_stop(trio, another(trio, gone));
    trio_elect(trio);
    trio_pay(trio, 51, 50, 64);
    trio_check_same(trio);
    trio_close(trio);
}

static void largest_entries_pass(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    trio_elect(trio);
    trio_pay(trio, 1, 12, ENTRY_BYTES_MAX);
    trio_check_same(trio);
    trio_close(trio);
}

static void stopped_node_catches_up_after_its_return(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    uint32_t away = another(trio, trio_elect(trio)->id);
    trio_pay(trio, 1, 100, 128);
    trio_stop(trio, away);
    trio_pay(trio, 101, 100, 128);
    trio_start(trio, away);
    trio_pay(trio, 201, 100, 128);
    trio_check_same(trio);
    assert_int_equal(trio_node(trio, away)->applied[0], 1);
    trio_close(trio);
}

static void another_leads_when_the_leader_closes(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    struct trio_node *first = trio_elect(trio);
    uint64_t term = first->term;
    trio_pay(trio, 1, 100, 128);
    trio_stop(trio, first->id);
    struct trio_node *second = trio_elect(trio);
    assert_int_not_equal(second->id, first->id);
    assert_true(second->term > term);
    trio_pay(trio, 101, 100, 128);
    trio_start(trio, first->id);
    trio_pay(trio, 201, 100, 128);
    trio_check_same(trio);
    trio_close(trio);
}

static void all_nodes_restarted_have_everything(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    trio_elect(trio);
    trio_pay(trio, 1, 300, 128);
    for (uint32_t id = 1; id <= 3; id++) {
        trio_stop(trio, id);
    }
    trio_start_all(trio);
    trio_elect(trio);
    trio_pay(trio, 301, 1, 128);
    trio_check_same(trio);
    for (uint64_t i = 0; i < 300; i++) {
        assert_int_equal(trio_node(trio, 1)->applied[i], i + 1);
    }
    trio_close(trio);
}

static void only_the_leader_takes_proposals(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    struct trio_node *leader = trio_elect(trio);
    struct trio_node *follower = trio_node(trio, another(trio, leader->id));
    uint8_t bytes[16] = {0};
    check_status(consensus_propose(follower->consensus, bytes, 16), STATUS_NOT_LEADER);
    check_status(consensus_transfer(follower->consensus, leader->id), STATUS_NOT_LEADER);
    consensus_resign(follower->consensus, "it does not lead anyway");
    check_ok(consensus_propose(leader->consensus, bytes, 16));
    trio_close(trio);
}

static void leader_without_followers_takes_a_bounded_number_and_steps_down(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    struct trio_node *leader = trio_elect(trio);
    trio_stop(trio, another(trio, leader->id));
    trio_stop(trio, another(trio, another(trio, leader->id)));
    uint8_t bytes[16] = {0};
    enum status status = STATUS_OK;
    uint32_t taken = 0;
    while (leader->role == ROLE_LEADER && status == STATUS_OK) {
        status = consensus_propose(leader->consensus, bytes, sizeof bytes);
        taken += status == STATUS_OK ? 1 : 0;
    }
    check_status(status, STATUS_FULL);
    assert_int_equal(taken, RAFT_PROPOSALS_MAX);
    trio_run_until(trio, leads_no_more, leader, 10000, "the lonely leader steps down");
    assert_int_equal(leader->applied_count, 0);
    check_status(consensus_propose(leader->consensus, bytes, sizeof bytes), STATUS_NOT_LEADER);
    /* The requests came back: with its peers it works again. */
    for (uint32_t id = 1; id <= 3; id++) {
        if (trio_node(trio, id)->consensus == NULL) {
            trio_start(trio, id);
        }
    }
    trio_elect(trio);
    trio_pay(trio, 1000, 20, 16);
    trio_close(trio);
}

static void leadership_moves_to_the_chosen_node(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    struct trio_node *first = trio_elect(trio);
    trio_pay(trio, 1, 10, 64);
    struct trio_node *chosen = trio_node(trio, another(trio, first->id));
    check_ok(consensus_transfer(first->consensus, chosen->id));
    trio_run_until(trio, leads, chosen, 5000, "the chosen node leads");
    assert_true(trio_elect(trio) == chosen);
    trio_pay(trio, 11, 10, 64);
    trio_check_same(trio);
    trio_close(trio);
}

static void resigning_leader_hands_over(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    struct trio_node *first = trio_elect(trio);
    trio_pay(trio, 1, 10, 64);
    consensus_resign(first->consensus, "the test wants it");
    trio_run_until(trio, leads_no_more, first, 5000, "it leads no more");
    trio_elect(trio);
    trio_pay(trio, 11, 10, 64);
    trio_close(trio);
}

static void nobody_to_hand_over_to_is_told(void **state)
{
    (void)state;
    struct trio *trio = trio_open(1);
    trio_start_all(trio);
    struct trio_node *leader = trio_elect(trio);
    check_status(consensus_transfer(leader->consensus, 0), STATUS_NOT_FOUND);
    check_status(consensus_transfer(leader->consensus, 9), STATUS_NOT_FOUND);
    trio_pay(trio, 1, 1, 64);
    trio_close(trio);
}

/* A paused follower is left behind and comes after; the others go on meanwhile. */
static void paused_follower_takes_nothing_until_resumed(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    struct trio_node *leader = trio_elect(trio);
    trio_pay(trio, 1, 10, 64);
    struct trio_node *paused = trio_node(trio, another(trio, leader->id));
    consensus_pause(paused->consensus, true);
    uint8_t bytes[64] = {0};
    put_u64(bytes, 11);
    uint32_t before = paused->applied_count;
    check_ok(consensus_propose(leader->consensus, bytes, sizeof bytes));
    trio_run_for(trio, 150);
    assert_int_equal(paused->applied_count, before);
    assert_int_equal(leader->applied_count, before + 1);
    consensus_pause(paused->consensus, false);
    trio_elect(trio);
    trio_pay(trio, 12, 10, 64);
    trio_check_same(trio);
    trio_close(trio);
}

/* --- opening what can not be opened
 * -------------------------------------------------------------------- */

static void format_refuses_to_overwrite(void **state)
{
    (void)state;
    struct trio *trio = trio_open(1);
    struct consensus_options options = trio_options(trio, 1);
    char error[256] = "";
    check_status(
        consensus_format(options.dir, &options.identity, trio->peers, 1, error, sizeof error),
        STATUS_EXISTS);
    assert_non_null(strstr(error, "holds a log already"));
    trio_close(trio);
}

static void format_reports_an_impossible_place(void **state)
{
    (void)state;
    struct trio *trio = trio_open(1);
    struct consensus_options options = trio_options(trio, 1);
    char error[256] = "";
    check_status(
        consensus_format("/proc/payledger", &options.identity, trio->peers, 1, error, sizeof error),
        STATUS_IO);
    assert_non_null(strstr(error, "/proc/payledger"));
    trio_close(trio);
}

static void check_open_fails(struct trio *trio, const struct consensus_options *options,
                             enum status wanted)
{
    struct consensus *consensus = NULL;
    char error[512] = "";
    check_status(consensus_open(&consensus, options, error, sizeof error), wanted);
    assert_null(consensus);
    assert_true(strlen(error) > 0);
    trio_run_for(trio, 50);
}

static void directory_without_a_log_is_refused(void **state)
{
    (void)state;
    struct trio *trio = trio_open(1);
    struct consensus_options options = trio_options(trio, 1);
    char dir[300];
    (void)snprintf(dir, sizeof dir, "%s/empty", trio->dir);
    options.dir = dir;
    check_open_fails(trio, &options, STATUS_NOT_FOUND); /* not there */
    assert_int_equal(mkdir(dir, 0700), 0);
    check_open_fails(trio, &options, STATUS_NOT_FOUND); /* there, and empty */
    trio_close(trio);
}

static void missing_certificate_is_refused(void **state)
{
    (void)state;
    struct trio *trio = trio_open(1);
    struct consensus_options options = trio_options(trio, 1);
    options.tls_cert_path = "/nonexistent/node1.pem";
    check_open_fails(trio, &options, STATUS_TLS);
    trio_close(trio);
}

/* The last closed segment with a flipped bit: auto-recovery would rename it away and vote without
 * it. */
static void damaged_log_is_refused(void **state)
{
    (void)state;
    struct trio *trio = trio_open(1);
    trio_start(trio, 1);
    trio_elect(trio);
    trio_pay(trio, 1, 20, 64);
    trio_stop(trio, 1);
    char pattern[400];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "%s/0000000000000002-*", trio_node(trio, 1)->dir);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    int file = open(found.gl_pathv[0], O_RDWR);
    globfree(&found);
    assert_true(file >= 0);
    uint8_t byte = 0;
    assert_int_equal(pread(file, &byte, 1, 40), 1);
    byte ^= 1;
    assert_int_equal(pwrite(file, &byte, 1, 40), 1);
    close(file);
    struct consensus_options options = trio_options(trio, 1);
    check_open_fails(trio, &options, STATUS_CORRUPT);
    trio_close(trio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_node_elects_itself_and_applies),
        cmocka_unit_test(three_nodes_apply_the_same_entries_in_the_same_order),
        cmocka_unit_test(five_nodes_go_on_without_two),
        cmocka_unit_test(largest_entries_pass),
        cmocka_unit_test(stopped_node_catches_up_after_its_return),
        cmocka_unit_test(another_leads_when_the_leader_closes),
        cmocka_unit_test(all_nodes_restarted_have_everything),
        cmocka_unit_test(only_the_leader_takes_proposals),
        cmocka_unit_test(leader_without_followers_takes_a_bounded_number_and_steps_down),
        cmocka_unit_test(leadership_moves_to_the_chosen_node),
        cmocka_unit_test(resigning_leader_hands_over),
        cmocka_unit_test(nobody_to_hand_over_to_is_told),
        cmocka_unit_test(paused_follower_takes_nothing_until_resumed),
        cmocka_unit_test(format_refuses_to_overwrite),
        cmocka_unit_test(format_reports_an_impossible_place),
        cmocka_unit_test(directory_without_a_log_is_refused),
        cmocka_unit_test(missing_certificate_is_refused),
        cmocka_unit_test(damaged_log_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
