/*
 * Every bound of the product, with its reason. Units stand at the end of the names. Relations
 * between bounds are asserted at compile time at the end. Full is a normal state: refuse early and
 * clearly.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <assert.h>

enum {
    /* --- the cluster ------------------------------------------------------------------------- */
    NODES_MAX = 7,             /* 3 or 5 voters, and room for a replacement beside them */
    NODE_ID_MAX = 99999,       /* titles in cluster.conf match [1-9][0-9]{0,4} */
    HOST_BYTES_MAX = 255,      /* a DNS name (RFC 1035, 2.3.4) */
    PATH_BYTES_MAX = 1024,     /* paths in cluster.conf; longer ones are refused */
    LOG_LINE_BYTES_MAX = 2048, /* written in one piece: a pipe keeps up to 4096 bytes together */
    CLUSTER_NAME_BYTES_MAX = 64,
    NOTE_BYTES_MAX = 4096,        /* a small file of the data directory */
    PEER_RECORDS_MAX = 64,        /* nodes ever met: replaced ones stay recorded */
    CONFIG_BYTES_MAX = 64 * 1024, /* cluster.conf, comments included */
    ORIGINS_MAX = 16,             /* compared one by one with each Origin header */
    ORIGIN_BYTES_MAX = 320,       /* scheme, DNS name, port */

    /* --- names and fields of the ledger ------------------------------------------------------ */
    ACCOUNT_ID_BYTES_MAX = 64,
    CURRENCY_CODE_BYTES_MAX = 12,
    CURRENCY_SCALE_MAX = 18,
    CURRENCIES_MAX = 4096,  /* totals are cached in memory, one row a currency */
    AMOUNT_DIGITS_MAX = 38, /* 2^126 has 38 digits */
    LEGS_MAX = 64,
    REFERENCE_BYTES_MAX = 128,
    METADATA_BYTES_MAX = 4096,
    OUTCOME_ROWS_MAX = 2 * LEGS_MAX, /* each leg touches at most two accounts */

    /* --- requests ---------------------------------------------------------------------------- */
    BATCH_ITEMS_MAX = 8192,
    MESSAGE_BYTES_MAX = 4 * 1024 * 1024, /* one client message; a full batch fits */
    ENVELOPES_MAX = 64,                  /* requests in one JSON array */
    JSON_DEPTH_MAX = 16,
    JSON_NUMBER_BYTES_MAX = 63, /* what the tree's parser takes; longer ones are malformed */
    JSON_BYTES_PER_VALUE = 8,   /* a tree has at most bytes_max / 8 values: bounds memory */
    REQUEST_ID_BYTES_MAX = 64,
    METHOD_BYTES_MAX = 64,
    LIST_ITEMS_MAX = 1000, /* rows of one list answer */
    LIST_ITEMS_DEFAULT = 100,
    LIST_BYTES_MAX = 4 * 1024 * 1024, /* a list answer that has so many bytes ends early */
    /* The binary form of a message is never longer than twice its text. */
    REQUEST_BYTES_MAX = 2 * MESSAGE_BYTES_MAX,
    ANSWER_BYTES_MAX = 32 * 1024 * 1024, /* outcomes of 8,192 items, with balances */

    /* --- sessions ---------------------------------------------------------------------------- */
    HTTP_HEAD_BYTES_MAX = 8192,
    SESSION_REQUESTS_MAX = 1024,                       /* unanswered requests of one connection */
    SESSION_REQUEST_BYTES_MAX = 2 * MESSAGE_BYTES_MAX, /* and their bytes */
    SESSION_WRITE_BYTES_MAX = 48 * 1024 * 1024,        /* one full answer as JSON, and then some */
    SESSION_WRITE_MARK_BYTES = 1024 * 1024,  /* with more unsent, no further request is taken */
    SESSION_INPUT_BYTES_MAX = 4 * 64 * 1024, /* read and not yet taken: what one read may bring */
    WORKER_INPUT_BYTES_MAX = 256 * 1024 * 1024, /* unfinished messages of a worker's sessions */
    SESSION_INPUT_BYTES_FREE = 64 * 1024, /* a session with less is not closed for their sum */
    WORKER_UNSENT_BYTES_MAX = 256 * 1024 * 1024, /* then readers that take nothing are cut early */
    WORKER_SCAN_TURN_US = 5000, /* of histories and lists, before the other sessions have a turn */
    WORKER_REST_MS = 5,         /* an overloaded node's sockets are looked at so much later */
    WORKER_REPLY_BYTES_KEPT = 256 * 1024, /* memory for one reply that a worker keeps */
    SESSION_PING_MS = 20000,
    SESSION_DEAD_MS = 40000,
    SESSION_STALL_MS = 10000, /* a reader that takes nothing for so long is closed */
    SESSION_OPEN_MS = 10000,  /* TLS handshake and HTTP head together */
    SESSION_BODY_MS = 30000,  /* an HTTP body of 4 MiB over a slow line */
    SESSION_IDLE_MS = 60000,  /* an HTTP connection kept alive without a request */
    SESSION_CLOSE_MS = 2000,  /* from our close frame to the end of the connection */
    SESSION_SWEEP_MS = 1000,  /* how often the times of all sessions are looked at */
    SESSIONS_PER_WORKER_MAX = 16384,
    SESSIONS_REFUSED_MAX = 256, /* above the former these get a 503, others nothing */
    WORKERS_MAX = 64,
    STREAM_READ_BYTES = 64 * 1024,
    STREAM_FLUSH_BYTES = 256 * 1024,         /* encrypted at a time; more would hold up the loop */
    STREAM_LINGER_MS = 1000,                 /* last words (a TLS alert) reach the other side */
    STREAM_KEEPALIVE_S = 15,                 /* silence after which the kernel asks */
    STREAM_ADDRESSES_MAX = 8,                /* addresses of one name that are tried */
    TLS_BUFFER_BYTES_MAX = 64 * 1024 * 1024, /* each buffer of an engine; callers stay below */

    /* --- the node ---------------------------------------------------------------------------- */
    NODE_REQUESTS_MAX = 65536,                 /* requests in flight on one node, all sessions */
    NODE_REQUEST_BYTES_MAX = 64 * 1024 * 1024, /* and their bytes */
    /* Commands that wait for the ledger thread: eight entries, four full batches at once. They are
     * the bound of a sudden rush; of a lasting one it is the time. */
    BACKLOG_COMMANDS_MAX = 8 * 4096,
    BACKLOG_MS_MAX = 250, /* with requests that have waited for longer, no further ones are taken */
    /* While the leader refuses requests a node lets fewer of its clients' through, and more again
     * as they are answered: half as many, at most so often; an eighth more for as many answers. */
    WINDOW_CUT_MS = 20,
    WINDOW_GROWTH = 8,
    WINDOW_REQUESTS_MIN = 64,     /* never fewer: they show when there is room again */
    SLOW_REQUESTS_MAX = 64,       /* instead, while a copy of the state must catch up */
    FORWARDS_MAX = 65536,         /* forwarded requests without an answer */
    REQUEST_TIMEOUT_MS = 5000,    /* then `unknown`, or read_timeout */
    REQUEST_RETRY_AFTER_MS = 100, /* told to clients with `overloaded` */
    SHUTDOWN_DRAIN_MS = 2000,
    SHUTDOWN_TRANSFER_MS = 1500,
    STATUS_PERIOD_MS = 100,    /* how often nodes tell each other their state */
    PEER_SILENT_MS = 1000,     /* without news for so long a peer is unreachable */
    LEADERLESS_LOG_MS = 10000, /* a cluster that stands still says so as often in its log */
    CLOCK_OFFSET_MS_MAX = 500, /* a leader further from the median resigns */

    /* --- the log ----------------------------------------------------------------------------- */
    ENTRY_BYTES_MAX = 1024 * 1024, /* well under raft's 8 MiB segment */
    ENTRY_COMMANDS_MAX = 2 * BATCH_ITEMS_MAX,
    /* With so many an entry is closed: larger ones save nothing more and make everything behind
     * them wait. Requests that the next entry has no room for add to the waiting of all. */
    ENTRY_COMMANDS_ENOUGH = 4096,
    ENTRIES_IN_FLIGHT_MAX = 8, /* proposed and not applied: bounds raft's memory */
    /* Accounts touched by entries in flight; then verification waits for an apply. The largest
     * atomic batch fits, so that it never waits for ever (about 350 bytes a key). */
    OVERLAY_KEYS_MAX = BATCH_ITEMS_MAX * 2 * LEGS_MAX,
    BATCH_REQUEST_BYTES_MAX = 768 * 1024, /* request bytes put into one batch (one may be larger) */
    APPLY_QUEUE_BYTES_MAX = 64 * 1024 * 1024, /* above it peers are not read, nothing is admitted */
    DIGESTS_KEPT = 1024,                      /* recent (seq, digest) pairs of each node */

    /* --- peers ------------------------------------------------------------------------------- */
    PEER_CONNECT_MS = 2000,
    PEER_RETRY_MS = 150,
    PEER_USER_TIMEOUT_MS = 2000,             /* TCP_USER_TIMEOUT: a cut link is noticed */
    PEER_STALL_MS = 3000,                    /* a link that does not drain for so long is cut */
    PEER_WRITE_BYTES_MAX = 48 * 1024 * 1024, /* one full frame, and half as much behind it */
    PEER_HANDSHAKES_MAX = 32,     /* accepted connections that have not said who they are */
    PEER_REFUSAL_LOG_MS = 1000,   /* refused connections are logged at most so often */
    PEER_RESEND_MS = 250,         /* entries on their way are not sent again before */
    PEER_RESENDS_PER_TIMEOUT = 3, /* and at least so often in an election timeout */
    PEER_WATCH_MS = 250,          /* how often streams are checked for a stall */
    PEER_PUMP_BYTES_MAX = 4 * 1024 * 1024, /* raft's bytes waiting for the wire, per stream */
    LINK_FRAME_BYTES_MAX = ANSWER_BYTES_MAX + 1024,

    /* --- raft -------------------------------------------------------------------------------- */
    RAFT_HEARTBEAT_MS = 25,
    RAFT_ELECTION_TIMEOUT_MS = 800,
    RAFT_HEARTBEATS_PER_TIMEOUT_MIN = 8, /* else one lost packet may start an election */
    RAFT_CONNECT_RETRY_MS = 150,
    RAFT_DISK_RETRY_MS = 1000,       /* a full disk is noticed at raft's first retry */
    RAFT_INSTALL_SNAPSHOT_MS = 5000, /* a manifest is stored in milliseconds */
    RAFT_PROPOSALS_MAX = 256,        /* a deposed leader's wait for its election timeout */
    RAFT_INFLIGHT_ENTRIES_MAX = 64,
    RAFT_SNAPSHOT_BYTES = 64 * 1024 * 1024,    /* entries applied between two snapshots */
    RAFT_SNAPSHOT_TRAILING = 1024,             /* entries kept behind a snapshot; never 0 */
    RAFT_SNAPSHOT_ENTRIES_MAX = 65536,         /* a snapshot at the latest after so many entries */
    RAFT_COPY_HOLD_BYTES = 1024 * 1024 * 1024, /* log kept while a peer fetches the state */
    RAFT_WATCHDOG_MS = 10000, /* an append or snapshot that takes longer stops the node */

    /* --- the command line -------------------------------------------------------------------- */
    CLIENT_NODES_MAX = 16,
    CLIENT_WORDS_MAX = 8, /* words of a command besides its options */
    CLIENT_OPTIONS_MAX = 64,
    CLIENT_CONNECT_MS = 2000,                      /* then the next node is tried */
    CLIENT_ATTEMPT_MS = REQUEST_TIMEOUT_MS + 1000, /* the node's own deadline comes first */
    CLIENT_TIMEOUT_MS = 15000, /* all attempts together; several elections fit */
    CLIENT_TIMEOUT_MS_MAX = 3600000,
    CLIENT_REFUSED_MS = 3000,       /* no node listens: given up, unless --timeout says how long */
    CLIENT_NOTICE_MS = 1000,        /* who waits for longer is told what is tried */
    CLIENT_REASON_BYTES_MAX = 8192, /* what every node said: CLIENT_NODES_MAX addresses, texts */
    CLIENT_RETRY_MS = 100,
    CLIENT_FILE_BYTES_MAX = 1024 * 1024 * 1024, /* a batch file is read whole */
    CLIENT_CHUNK_ITEMS = 1000,                  /* payments of one request of a batch file */
    CLIENT_CHUNK_BYTES_MAX = MESSAGE_BYTES_MAX - 64 * 1024, /* room for the envelope */
    CLIENT_TABLE_BYTES_MAX = 256 * 1024 * 1024,
    CLIENT_ANSWER_BYTES_MAX = 64 * 1024 * 1024, /* JSON of the largest answer */
    CLIENT_CURRENCIES_MAX = CURRENCIES_MAX,
    BENCH_CONNECTIONS_MAX = 4096,
    BENCH_ACCOUNTS_MAX = 10000000,
    BENCH_SECONDS_MAX = 86400,
    BENCH_RATE_MAX = 10000000,     /* arrivals a second: 100 ns apart */
    BENCH_BACKLOG = 65536,         /* arrivals that wait for a place; as many as a node takes */
    BENCH_BACKLOG_MAX = 16777216,  /* eight bytes each */
    BENCH_PAYMENT_BYTES_MAX = 256, /* of a payment in a request, with the head of one */
    BENCH_UNANSWERED_MAX = SESSION_WRITE_BYTES_MAX / BENCH_PAYMENT_BYTES_MAX, /* of a connection */
    BENCH_THREADS_MAX = 64,
    BENCH_MIX_MAX = 1000,       /* both parts of --mix */
    BENCH_EXPONENT_MILLI = 990, /* of Zipf's law; what most comparisons take */
    BENCH_EXPONENT_MILLI_MAX = 5000,
    BENCH_CODES_MAX = 32,       /* different codes that are told apart in a result */
    BENCH_VERIFY_IDS = 200000,  /* ids asked for at the end, unless --verify says how many */
    BENCH_IDS_MAX = 1 << 30,    /* payments whose ids are remembered: 200 MiB */
    BENCH_OPEN_IN_FLIGHT = 256, /* of each connection that opens accounts or asks for ids */
    BENCH_WAKE_GAP_US = 100,    /* arrivals are sent together within this, to wake less often */
    BENCH_FLUSH_COUNT = 200,    /* flushes that are measured, */
    BENCH_FLUSH_BYTES = 4096,   /* of so many bytes */

    /* --- storage ----------------------------------------------------------------------------- */
    COMMIT_PERIOD_MS = 250, /* LMDB commits at least so often under load */
    /* A commit that takes long is followed by so many times as long without one, at most by the
     * latter: with 1,000,000 accounts nearly every page changes between two commits anyway. */
    COMMIT_REST_TIMES = 2,
    COMMIT_PERIOD_MS_MAX = 1000,
    COMMIT_SCAN_MS = 5,                       /* a waiting scan brings the commit forward to this */
    COMMIT_ENTRY_BYTES_MAX = 8 * 1024 * 1024, /* entries applied in one transaction */
    /* Pages of 4 KiB that a transaction changes: they are memory until the commit. With random ids
     * over many payments nearly every payment changes one more. */
    COMMIT_PAGES_MAX = 64 * 1024,
    /* Accounts that the ledger thread keeps in memory, about 110 bytes each: the busy ones of a
     * large ledger, all of a smaller one. */
    ACCOUNTS_CACHED_MAX = 1024 * 1024,
    STORE_READERS_MAX = WORKERS_MAX + 16, /* a scan on each worker, the transfer, tools */
    /* The scrub compares everything that a ledger has twice. At a start it does what it can in this
     * time; afterwards it goes round for ever, a piece at a time. */
    SCRUB_START_MS = 1000,
    SCRUB_START_ROWS = 64, /* between two looks at the clock: some 0.1 s from a cold disk */
    SCRUB_PIECE_ROWS = 256,
    SCRUB_PIECE_PAUSE_MS = 20,
    SCRUB_PAUSE_FACTOR = 20,            /* and so many times as long as the piece took */
    SCRUB_PASS_PAUSE_MS = 5000,         /* small ledgers need not be read all the time */
    SCRUB_TOTALS_ACCOUNTS_MAX = 100000, /* read at once, in about 100 ms, to add them up */
    SCRUB_ENTRIES_ACCOUNTS_MAX = 8 * 1024 * 1024, /* noted meanwhile, 8 bytes each: 64 MiB */
    RECORD_BYTES_MAX = 32 * 1024, /* 64 legs with texts, metadata, 128 sides of 49 bytes */
    READER_AGE_MS_MAX = 1000,     /* a read transaction is never held longer */
    /* The same for the ledger's map, where applying what is in the log would stop every node; an
     * eighth of small maps. It holds what comes in between two looks, some 400 ms of payments. */
    MAP_RESERVE_BYTES = 256 * 1024 * 1024,
    DISK_RESERVE_BYTES = 256 * 1024 * 1024 /* below it payments are refused (storage_full) */
};

static_assert(OUTCOME_ROWS_MAX >= 2 * LEGS_MAX, "every account of a payment has its row");
static_assert(ENTRY_COMMANDS_MAX >= BATCH_ITEMS_MAX,
              "an atomic batch of small items fits one entry");
static_assert(ENTRY_COMMANDS_ENOUGH + BATCH_ITEMS_MAX <= ENTRY_COMMANDS_MAX,
              "an entry that is not closed takes an atomic batch");
static_assert((int)BACKLOG_COMMANDS_MAX == 8 * (int)ENTRY_COMMANDS_ENOUGH, "as said there");
static_assert((int)BACKLOG_COMMANDS_MAX == 4 * (int)BATCH_ITEMS_MAX, "as said there");
static_assert(BACKLOG_MS_MAX < REQUEST_TIMEOUT_MS / 4, "what is taken is answered in its time");
static_assert(BATCH_REQUEST_BYTES_MAX < ENTRY_BYTES_MAX, "a batch makes about one entry");
static_assert((long long)ENTRY_BYTES_MAX * ENTRIES_IN_FLIGHT_MAX <= 8 * 1024 * 1024,
              "raft's memory per follower stays within one segment");
static_assert(RAFT_SNAPSHOT_TRAILING > 0, "trailing 0 makes raft lose committed entries");
static_assert(RAFT_ELECTION_TIMEOUT_MS >= RAFT_HEARTBEATS_PER_TIMEOUT_MIN * RAFT_HEARTBEAT_MS,
              "several heartbeats per timeout");
static_assert(SESSION_DEAD_MS >= 2 * SESSION_PING_MS, "a pong has time to arrive");
static_assert(LINK_FRAME_BYTES_MAX > ANSWER_BYTES_MAX, "every answer fits a frame");
static_assert(PEER_WRITE_BYTES_MAX >= LINK_FRAME_BYTES_MAX + 4, "a link's queue takes every frame");
static_assert(PEER_WRITE_BYTES_MAX + PEER_WRITE_BYTES_MAX / 16 <= TLS_BUFFER_BYTES_MAX,
              "peer streams stay below the bound of TLS");
static_assert(RAFT_PROPOSALS_MAX > ENTRIES_IN_FLIGHT_MAX, "the batches in flight have room");
static_assert((long long)COMMIT_PAGES_MAX * 4096 + (long long)ACCOUNTS_CACHED_MAX * 120 <=
                  400 * 1024 * 1024,
              "changed pages and plain accounts leave the rest of a node 112 of 512 MiB");
static_assert(PEER_STALL_MS >= 4 * PEER_WATCH_MS, "a stall is measured, not guessed");
static_assert(RAFT_DISK_RETRY_MS < RAFT_WATCHDOG_MS, "a failed write is named, not timed out");

#endif
