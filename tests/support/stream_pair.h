/*
 * A client and a server stream over the loopback interface, plain or TLS, on one loop.
 */
#ifndef TESTS_SUPPORT_STREAM_PAIR_H
#define TESTS_SUPPORT_STREAM_PAIR_H

#include "base/stream.h"
#include "tests/support/check.h"

enum { PAIR_RUN_MS = 10000, PAIR_WRITE_MAX = 1024 * 1024 };

/* One end of a connection and what happened to it. */
struct pair_end {
    struct stream *stream;
    struct buffer received;
    int opened;
    int drained;
    int closed;
    enum status reason;
    char error[128];
    uint32_t node;
    char address[64];
    const char *greeting; /* written in on_open */
    size_t pause_after;   /* pauses in on_data once so much has come; 0: never */
    bool close_in_data;   /* closes inside on_data */
    bool close_in_open;
    bool pause_in_open;
    bool echo;
    size_t send_left; /* pumped through on_drain */
    uint64_t send_state, receive_state;
    size_t received_total;
    bool check_pattern;
};

struct pair {
    char *home;
    char *foreign;
    uv_loop_t loop;
    uv_tcp_t listener;
    uint16_t port;
    uv_timer_t alarm;
    bool alarmed;
    struct pair_end client;
    struct pair_end server;
    struct stream_options server_options;
};

/* Of a test group: two certificate authorities. */
int pair_group_setup(void **state);
int pair_group_teardown(void **state);
/* Of a test: *state is a struct pair that listens. */
int pair_setup(void **state);
int pair_teardown(void **state);

/* Listens on this address as the server, at a port of the system's choice. */
void pair_listen(struct pair *pair, const char *host);

struct stream_options pair_options(struct pair *pair, struct pair_end *end);
/* Connects the client; tls may be NULL. */
void pair_connect(struct pair *pair, struct tls_context *tls);
/* A raw socket connected to the listener. */
int pair_connect_raw(struct pair *pair);

/* A side that knows the CA in ca_dir and has the node's certificate of cert_dir (0: none). */
struct tls_context *pair_context(const char *ca_dir, const char *cert_dir, unsigned node,
                                 bool server);
/* A mutual TLS connection; the caller closes the client's context at the end. */
struct tls_context *pair_connect_tls(struct pair *pair);

/* Closes the client; both ends are told. */
void pair_close(struct pair *pair);

void pair_on_alarm(uv_timer_t *timer);
void pair_run_for(struct pair *pair, uint64_t time_ms);

/* Runs the loop until the condition holds; fails after PAIR_RUN_MS. */
#define pair_run_until(pair, condition)                                                            \
    do {                                                                                           \
        uv_timer_start(&(pair)->alarm, pair_on_alarm, PAIR_RUN_MS, 0);                             \
        (pair)->alarmed = false;                                                                   \
        while (!(condition) && !(pair)->alarmed) {                                                 \
            uv_run(&(pair)->loop, UV_RUN_ONCE);                                                    \
        }                                                                                          \
        uv_timer_stop(&(pair)->alarm);                                                             \
        if (!(condition)) {                                                                        \
            fail_msg("never: %s", #condition);                                                     \
        }                                                                                          \
    } while (0)

#endif
