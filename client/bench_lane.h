/*
 * One thread of the load: connections with slots for requests, on one loop. Known only to the
 * bench_*.c that make up the load; others go through bench_load.h.
 *
 * A slot is FREE, BUSY (sent, no answer yet) or RESTING (refused for now or its connection broke;
 * sent again later, or dropped then). Requests come from lane_next: in the closed loop there always
 * is one, in the open loop the schedule says.
 */
#ifndef CLIENT_BENCH_LANE_H
#define CLIENT_BENCH_LANE_H

#include "base/list.h"
#include "client/bench_ids.h"
#include "client/bench_load.h"
#include "client/bench_message.h"
#include "client/bench_schedule.h"
#include "client/bench_series.h"
#include "client/connection.h"

enum slot_state { SLOT_FREE, SLOT_BUSY, SLOT_RESTING };

struct slot {
    uint64_t intended_ns;
    uint64_t number; /* of the request among its kind */
    uint32_t ms;     /* the time in its ids */
    uint8_t state;
    bool reads;
    bool drop;     /* resting only to be freed */
    bool doubtful; /* an earlier attempt may have been executed */
};

/* One connection and its successors. */
struct line {
    struct lane *lane;
    struct connection *connection;
    uv_timer_t retry;
    struct list ready; /* in lane->ready while it could send */
    struct slot *slots;
    uint16_t *free; /* stack of indexes */
    uint32_t free_count;
    uint32_t node; /* index among the targets */
    bool open;
    bool counted; /* as connected */
};

struct lane {
    struct bench_load *load;
    const struct bench_plan *plan;
    uint32_t index;
    uint32_t lines_count;
    struct line *lines;
    struct list ready;
    uv_loop_t loop;
    uv_async_t go;
    uv_timer_t second_timer;
    uv_timer_t drain_timer;
    uv_poll_t arrival_poll; /* open loop: arrival_file fires when the next one is due */
    int arrival_file;
    uint64_t woken_ns; /* by the last arrival */
    uint64_t armed_ns; /* when arrival_file fires; 0: it does not */
    struct tls_context *tls;
    struct message_reader *reader;
    struct buffer request;
    struct bench_schedule schedule;
    struct bench_ids ids;
    uint64_t reads_given;
    uint64_t requests_given;
    uint64_t busy; /* slots that are not free */
    bool started, ended, closing;
    bool backlogged; /* an arrival had to wait for a free slot */
    uint64_t start_ns, window_begin_ns, window_end_ns;
    /* the second that is running, and what was seen in it */
    uint32_t second;
    struct bench_counts counts;
    struct histogram second_us;
    /* the whole run */
    struct bench_counts run;
    struct bench_errors errors;
    struct histogram latency_us, read_latency_us, late_us;
    uint64_t meant_requests; /* with payments, meant to start in the measured time */
    uint64_t cpu_begin_ns, cpu_end_ns;
    uint64_t seq;
    pthread_t thread;
    bool running;
};

uint64_t lane_now_ns(void);

/* Closes the second that has passed, if one has. */
void lane_clock(struct lane *lane, uint64_t now_ns);
/* Sends what is due as far as there is room, and looks whether all is done. */
void lane_pump(struct lane *lane);
void lane_close(struct lane *lane);

/* Before the thread: loop, arrivals, lines. Whatever comes of it, lane_free follows. */
enum status MUST_CHECK lane_open(struct lane *lane, struct bench_load *load, uint32_t index,
                                 char *error, size_t error_size);
/* The thread: until all is answered or given up. */
void *lane_run(void *lane);
/* After the thread, and after its loop. */
void lane_free(struct lane *lane);

/* In bench_line.c. */
enum status MUST_CHECK line_init(struct line *line, struct lane *lane, uint32_t node);
/* Ends the connection and settles what is under way. */
void line_close(struct line *line);
void line_free(struct line *line);
void line_connect(struct line *line);
/* Sends a new request; the line is ready. */
void line_send_new(struct line *line, uint64_t intended_ns, uint64_t now_ns);

#endif
