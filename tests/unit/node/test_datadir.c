#include "node/datadir.h"
#include "node/directory.h"

#include "base/check.h"
#include "tests/support/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    char *root;
    struct config config;
    char error[DATADIR_ERROR_BYTES];
};

static void config_fill(struct config *config, const char *root, const char *name, uint32_t self)
{
    char text[1024];
    int size = snprintf(text, sizeof(text),
                        "cluster = \"%s\" data = \"deep/er/node{id}\"\n"
                        "node 1 { peer = \"a:1\" client = \"localhost:1\" }\n"
                        "node 2 { peer = \"b:1\" client = \"localhost:2\" }\n"
                        "node 3 { peer = \"c:1\" client = \"localhost:3\" }\n"
                        "tls { ca = \"a\" cert = \"b\" key = \"c\" }",
                        name);
    assert_true(size > 0 && (size_t)size < sizeof(text));
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/cluster.conf", root);
    char error[CONFIG_ERROR_BYTES];
    check_ok(config_parse(config, text_of(text), path, self, error, sizeof(error)));
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->root = test_dir_make();
    config_fill(&fixture->config, fixture->root, "demo", 1);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    test_dir_remove(fixture->root);
    free(fixture);
    return 0;
}

static enum status format(struct fixture *fixture)
{
    fixture->error[0] = '\0';
    return datadir_format(&fixture->config, fixture->error, sizeof(fixture->error));
}

static enum status open_dir(struct fixture *fixture, struct datadir **dir)
{
    fixture->error[0] = '\0';
    return datadir_open(dir, &fixture->config, fixture->error, sizeof(fixture->error));
}

static void path_in(const struct fixture *fixture, const char *name, char path[1200])
{
    (void)snprintf(path, 1200, "%s/%s", fixture->config.data, name);
}

/* Set aside, or a file in its place: what was in it is lost. */
static void test_lost_parts_are_refused_by_name(void **state)
{
    static const char *const parts[] = {"raft", "ledger"};
    struct fixture *fixture = *state;
    check_ok(format(fixture));
    struct datadir *dir = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        char path[1200];
        char aside[1200];
        path_in(fixture, parts[i], path);
        path_in(fixture, "aside", aside);
        assert_int_equal(rename(path, aside), 0);
        assert_int_equal(open_dir(fixture, &dir), STATUS_FOREIGN);
        assert_non_null(strstr(fixture->error, path));
        assert_non_null(strstr(fixture->error, "missing"));
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        assert_int_equal(close(fd), 0);
        assert_int_equal(open_dir(fixture, &dir), STATUS_FOREIGN);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rename(aside, path), 0);
    }
    check_ok(open_dir(fixture, &dir));
    datadir_close(dir);
}

static void test_formatted_directory_opens_again(void **state)
{
    struct fixture *fixture = *state;
    check_ok(format(fixture));
    struct datadir *dir = NULL;
    check_ok(open_dir(fixture, &dir));
    const struct consensus_identity first = *datadir_identity(dir);
    const struct digest cluster_id = datadir_cluster_id(&fixture->config);
    assert_int_equal(first.node_id, 1);
    assert_true(digest_equal(&first.cluster_id, &cluster_id));
    assert_string_equal(datadir_path(dir), fixture->config.data);
    assert_non_null(strstr(datadir_raft_path(dir), "/deep/er/node1/raft"));
    assert_non_null(strstr(datadir_ledger_path(dir), "/deep/er/node1/ledger"));
    struct stat stat_buffer;
    assert_int_equal(stat(datadir_ledger_path(dir), &stat_buffer), 0);
    assert_int_equal(stat(datadir_raft_path(dir), &stat_buffer), 0);
    datadir_close(dir);
    check_ok(open_dir(fixture, &dir));
    assert_memory_equal(&first, datadir_identity(dir), sizeof(first));
    datadir_close(dir);
    datadir_close(NULL);
}

static void test_format_never_overwrites(void **state)
{
    struct fixture *fixture = *state;
    check_ok(format(fixture));
    check_status(format(fixture), STATUS_EXISTS);
    assert_non_null(strstr(fixture->error, "not empty"));
}

static void test_each_format_is_another_incarnation(void **state)
{
    struct fixture *fixture = *state;
    check_ok(format(fixture));
    struct datadir *dir = NULL;
    check_ok(open_dir(fixture, &dir));
    struct consensus_identity first = *datadir_identity(dir);
    datadir_close(dir);
    char moved[600];
    (void)snprintf(moved, sizeof(moved), "%s/moved", fixture->root);
    assert_int_equal(rename(fixture->config.data, moved), 0);
    check_ok(format(fixture));
    check_ok(open_dir(fixture, &dir));
    assert_true(digest_equal(&first.cluster_id, &datadir_identity(dir)->cluster_id));
    assert_memory_not_equal(first.incarnation, datadir_identity(dir)->incarnation, 16);
    datadir_close(dir);
}

static void test_absent_and_empty_are_foreign(void **state)
{
    struct fixture *fixture = *state;
    struct datadir *dir = NULL;
    check_status(open_dir(fixture, &dir), STATUS_FOREIGN);
    assert_non_null(strstr(fixture->error, "payledgerd format"));
    assert_true(directory_make_all(fixture->config.data));
    check_status(open_dir(fixture, &dir), STATUS_FOREIGN);
    assert_non_null(strstr(fixture->error, "holds no node"));
    check_status(directory_empty(fixture->config.data), STATUS_OK);
    assert_null(dir);
}

static void test_other_nodes_and_clusters_are_foreign(void **state)
{
    struct fixture *fixture = *state;
    check_ok(format(fixture));
    struct datadir *dir = NULL;
    struct config *config = &fixture->config;
    char data[PATH_BYTES_MAX];
    memcpy(data, config->data, sizeof(data));

    config_fill(config, fixture->root, "demo", 2);
    memcpy(config->data, data, sizeof(data));
    check_status(open_dir(fixture, &dir), STATUS_FOREIGN);
    assert_non_null(strstr(fixture->error, "belongs to node 1, not to node 2"));

    config_fill(config, fixture->root, "other", 1);
    check_status(open_dir(fixture, &dir), STATUS_FOREIGN);
    assert_non_null(strstr(fixture->error, "another cluster"));

    config_fill(config, fixture->root, "demo", 1);
    config->nodes[2].id = 4;
    check_status(open_dir(fixture, &dir), STATUS_FOREIGN);
    assert_non_null(strstr(fixture->error, "another cluster"));
}

/* Flips each byte of a note, then cuts it at each length: no damage goes unseen. */
static void check_damage(struct fixture *fixture, const char *name, const char *what)
{
    char path[1200];
    path_in(fixture, name, path);
    uint8_t bytes[4096];
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    ssize_t size = read(fd, bytes, sizeof(bytes));
    assert_true(size > 0);
    struct datadir *dir = NULL;
    for (ssize_t i = 0; i < size; i++) {
        uint8_t wrong = (uint8_t)(bytes[i] ^ 0x10);
        assert_int_equal(pwrite(fd, &wrong, 1, i), 1);
        check_status(open_dir(fixture, &dir), STATUS_FOREIGN);
        assert_non_null(strstr(fixture->error, what));
        assert_int_equal(pwrite(fd, &bytes[i], 1, i), 1);
    }
    for (ssize_t i = 0; i < size; i++) {
        assert_int_equal(ftruncate(fd, i), 0);
        check_status(open_dir(fixture, &dir), STATUS_FOREIGN);
        assert_int_equal(pwrite(fd, bytes, (size_t)size, 0), size);
    }
    assert_int_equal(pwrite(fd, "x", 1, size), 1);
    check_status(open_dir(fixture, &dir), STATUS_FOREIGN);
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(close(fd), 0);
    check_ok(open_dir(fixture, &dir));
    datadir_close(dir);
}

static void test_damage_is_found(void **state)
{
    struct fixture *fixture = *state;
    check_ok(format(fixture));
    struct datadir *dir = NULL;
    check_ok(open_dir(fixture, &dir));
    enum datadir_contact contact;
    const uint8_t incarnation[16] = {1};
    check_ok(datadir_peer_incarnation(dir, 2, incarnation, &contact));
    datadir_close(dir);
    check_damage(fixture, "identity", "identity: is damaged");
    check_damage(fixture, "peers", "peers: is damaged");
}

static void test_a_second_process_is_kept_out(void **state)
{
    struct fixture *fixture = *state;
    check_ok(format(fixture));
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    struct datadir *dir = NULL;
    check_ok(open_dir(fixture, &dir));
    struct datadir *second = NULL;
    check_status(open_dir(fixture, &second), STATUS_LOCKED);
    char pid[32];
    (void)snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    assert_non_null(strstr(fixture->error, pid));
    datadir_close(dir);
    check_ok(open_dir(fixture, &dir));

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char verdict = open_dir(fixture, &second) == STATUS_LOCKED ? 'L' : 'x';
        _exit(write(pipe_fds[1], &verdict, 1) == 1 ? 0 : 1);
    }
    char verdict = 0;
    assert_int_equal(read(pipe_fds[0], &verdict, 1), 1);
    assert_int_equal(verdict, 'L');
    assert_int_equal(waitpid(child, NULL, 0), child);
    datadir_close(dir);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

static void test_peers_are_recorded_once(void **state)
{
    struct fixture *fixture = *state;
    check_ok(format(fixture));
    struct datadir *dir = NULL;
    check_ok(open_dir(fixture, &dir));
    enum datadir_contact contact = CONTACT_FOREIGN;
    const uint8_t two[16] = {2, 2};
    const uint8_t three[16] = {3, 3};
    check_ok(datadir_peer_incarnation(dir, 2, two, &contact));
    assert_int_equal(contact, CONTACT_RECORDED);
    check_ok(datadir_peer_incarnation(dir, 2, two, &contact));
    assert_int_equal(contact, CONTACT_SAME);
    check_ok(datadir_peer_incarnation(dir, 2, three, &contact));
    assert_int_equal(contact, CONTACT_FOREIGN);
    check_ok(datadir_peer_incarnation(dir, 3, three, &contact));
    assert_int_equal(contact, CONTACT_RECORDED);
    check_ok(datadir_peer_incarnation(dir, 1, two, &contact));
    assert_int_equal(contact, CONTACT_FOREIGN);
    check_ok(datadir_peer_incarnation(dir, 1, datadir_identity(dir)->incarnation, &contact));
    assert_int_equal(contact, CONTACT_SAME);
    datadir_close(dir);
    check_ok(open_dir(fixture, &dir));
    check_ok(datadir_peer_incarnation(dir, 2, two, &contact));
    assert_int_equal(contact, CONTACT_SAME);
    check_ok(datadir_peer_incarnation(dir, 3, two, &contact));
    assert_int_equal(contact, CONTACT_FOREIGN);
    datadir_close(dir);
}

static void test_peer_records_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    check_ok(format(fixture));
    struct datadir *dir = NULL;
    check_ok(open_dir(fixture, &dir));
    enum datadir_contact contact = CONTACT_FOREIGN;
    const uint8_t incarnation[16] = {7};
    for (uint32_t i = 0; i < PEER_RECORDS_MAX; i++) {
        check_ok(datadir_peer_incarnation(dir, 100 + i, incarnation, &contact));
    }
    check_status(datadir_peer_incarnation(dir, 99, incarnation, &contact), STATUS_LIMIT);
    datadir_close(dir);
    check_ok(open_dir(fixture, &dir));
    check_ok(datadir_peer_incarnation(dir, 100 + PEER_RECORDS_MAX - 1, incarnation, &contact));
    assert_int_equal(contact, CONTACT_SAME);
    datadir_close(dir);
}

static void test_a_failed_write_records_nothing(void **state)
{
    struct fixture *fixture = *state;
    check_ok(format(fixture));
    struct datadir *dir = NULL;
    check_ok(open_dir(fixture, &dir));
    /* A directory in the way of the temporary file. */
    char path[1200];
    path_in(fixture, "peers.tmp", path);
    assert_int_equal(mkdir(path, 0700), 0);
    enum datadir_contact contact = CONTACT_FOREIGN;
    const uint8_t incarnation[16] = {7};
    check_status(datadir_peer_incarnation(dir, 2, incarnation, &contact), STATUS_IO);
    assert_int_equal(contact, CONTACT_FOREIGN);
    assert_int_equal(rmdir(path), 0);
    check_ok(datadir_peer_incarnation(dir, 2, incarnation, &contact));
    assert_int_equal(contact, CONTACT_RECORDED);
    datadir_close(dir);
}

static void test_notes_survive(void **state)
{
    struct fixture *fixture = *state;
    check_ok(format(fixture));
    struct datadir *dir = NULL;
    check_ok(open_dir(fixture, &dir));
    struct consensus_manifest manifest = {.index = 0};
    check_status(datadir_needs_state_read(dir, &manifest), STATUS_NOT_FOUND);
    check_ok(datadir_needs_state_clear(dir));
    uint64_t index = 1;
    check_ok(datadir_copy_index_read(dir, &index));
    assert_int_equal(index, 0);

    const struct consensus_manifest wanted = {
        .index = 0x0102030405060708, .term = 23, .seq = UINT64_MAX, .digest = {{9, 8, 7}}};
    check_ok(datadir_needs_state_write(dir, &wanted));
    check_ok(datadir_copy_index_write(dir, 77));
    check_ok(datadir_copy_index_write(dir, 78));
    check_ok(datadir_log_index_read(dir, &index));
    assert_int_equal(index, 0);
    check_ok(datadir_log_index_write(dir, 79));
    assert_false(datadir_is_marked(dir));
    check_ok(datadir_mark_clear(dir));
    const int mark = openat(datadir_fd(dir), DATADIR_DAMAGED, O_CREAT | O_WRONLY, 0600);
    assert_true(mark >= 0);
    assert_int_equal(datadir_mark_index(dir), 0);
    uint8_t bytes[DATADIR_MARK_BYTES];
    put_u64(bytes, 80);
    put_u64(bytes + 8, ~(uint64_t)81);
    assert_int_equal(pwrite(mark, bytes, sizeof(bytes), 0), sizeof(bytes));
    assert_int_equal(datadir_mark_index(dir), 0); /* damaged itself */
    put_u64(bytes, 81);
    assert_int_equal(pwrite(mark, bytes, sizeof(bytes), 0), sizeof(bytes));
    assert_int_equal(close(mark), 0);
    datadir_close(dir);
    check_ok(open_dir(fixture, &dir));
    check_ok(datadir_needs_state_read(dir, &manifest));
    assert_int_equal(manifest.index, wanted.index);
    assert_int_equal(manifest.term, wanted.term);
    assert_int_equal(manifest.seq, wanted.seq);
    assert_true(digest_equal(&manifest.digest, &wanted.digest));
    check_ok(datadir_copy_index_read(dir, &index));
    assert_int_equal(index, 78);
    check_ok(datadir_log_index_read(dir, &index));
    assert_int_equal(index, 79);
    assert_true(datadir_is_marked(dir));
    assert_int_equal(datadir_mark_index(dir), 81);
    check_ok(datadir_mark_clear(dir));
    assert_int_equal(datadir_mark_index(dir), 0);
    assert_false(datadir_is_marked(dir));
    check_ok(datadir_needs_state_clear(dir));
    check_status(datadir_needs_state_read(dir, &manifest), STATUS_NOT_FOUND);

    /* One kind of note in the place of another is damage. */
    char from[1200];
    char to[1200];
    path_in(fixture, "copy-index", from);
    path_in(fixture, "needs-state", to);
    assert_int_equal(rename(from, to), 0);
    check_status(datadir_needs_state_read(dir, &manifest), STATUS_CORRUPT);
    datadir_close(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lost_parts_are_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_formatted_directory_opens_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_format_never_overwrites, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_format_is_another_incarnation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_absent_and_empty_are_foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_nodes_and_clusters_are_foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_second_process_is_kept_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peers_are_recorded_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_records_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_write_records_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notes_survive, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
