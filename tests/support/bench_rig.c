#include "tests/support/bench_rig.h"

#include "base/clock.h"
#include "tests/support/check.h"

#include <stdio.h>

enum { ROWS = 64 };

struct bench_rig *bench_rig_open(uint16_t port)
{
    struct bench_rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    rig->options = (struct bench_options){.poisson = true,
                                          .backlog = 1000,
                                          .connections = 2,
                                          .in_flight = 4,
                                          .payments = 1,
                                          .accounts = 10,
                                          .exponent_milli = 990,
                                          .mix_payments = 1,
                                          .ids_v7 = true,
                                          .threads = 1,
                                          .seconds = 1,
                                          .seed = 7,
                                          .verify = UINT64_MAX};
    rig->client.timeout_ms = 1000;
    bench_rig_add(rig, port);
    return rig;
}

void bench_rig_close(struct bench_rig *rig)
{
    bench_load_close(&rig->load);
    bench_series_close(rig->load.series);
    bench_result_deinit(&rig->result);
    free(rig);
}

void bench_rig_add(struct bench_rig *rig, uint16_t port)
{
    struct client_node *node = &rig->client.nodes[rig->client.nodes_count];
    assert_true(rig->client.nodes_count < CLIENT_NODES_MAX);
    (void)snprintf(node->host, sizeof(node->host), "127.0.0.1");
    node->port = port;
    rig->client.nodes_count += 1;
}

void bench_rig_begin(struct bench_rig *rig)
{
    bench_series_close(rig->load.series);
    bench_plan_init(&rig->plan, &rig->options, clock_wall_ns(clock_system()));
    rig->load =
        (struct bench_load){.options = &rig->options, .client = &rig->client, .plan = &rig->plan};
    for (uint32_t i = 0; i < rig->client.nodes_count; i++) {
        rig->load.targets[i] = i;
    }
    rig->load.targets_count = rig->client.nodes_count;
    check_ok(bench_series_open(&rig->load.series, ROWS));
}

void bench_rig_run(struct bench_rig *rig)
{
    char error[256] = "";
    bench_rig_begin(rig);
    check_ok(bench_load_open(&rig->load, error, sizeof(error)));
    bench_load_start(&rig->load);
    bench_load_join(&rig->load);
    bench_load_result(&rig->load, &rig->result);
}
