/* Private to bench*.c: what graft bench measures. */
#pragma once
#include "cli/driver/driver.h"
#include "cli/train/train.h"

/* ---- what is timed (bench_graphs.c) ---- */

/* Which experts the tokens of a layer pick. */
typedef enum {
    ROUTING_uniform, /* any, all as often */
    ROUTING_zipf,    /* the n-th 1 / n as often as the first */
    ROUTING_one      /* all tokens the same */
} Routing;
extern const char *const routing_names[3];

typedef struct {
    const char *name;
    bool shared;         /* an expert for all, beside the routed ones */
    int experts, active; /* routed ones; 0: the layer has no router */
} Layer;
enum { LAYER_matmul, LAYER_xft, LAYER_mixtral, LAYER_top1, LAYER_COUNT };
extern const Layer bench_layers[LAYER_COUNT];

/* The graph of a layer over random weights; input "x" [T, D], output "y". F:
 * the experts' inner size, or the matmul's columns. The names of weights are
 * theirs alone. */
Graph *bench_graph(Arena *a, const Layer *l, Dtype t, int D, int F);
WeightSource bench_noise(void); /* random weights */
void bench_fill(Dtype t, void *out, int64_t n); /* a random input */
/* A random input [T, D] that the layer's router sends as `how` says. */
void bench_input(const Layer *l, Routing how, Dtype t, int64_t T, int64_t D,
                 void *out);

typedef struct {
    Program *p;
    const char *name;
    const Layer *layer; /* NULL: a model, whose input is tokens */
    Dtype t;            /* of a layer's input */
    int64_t width, inner; /* a layer's sizes */
    int64_t vocabulary; /* a model's */
    int64_t context;    /* tokens it has seen before; below 0: the usual */
} BenchSubject;

/* ---- a program ready to run T tokens (bench_run.c) ---- */

/* Tokens that a model has seen when T are timed: usually 64 before one. */
int64_t bench_before(const BenchSubject *s, int64_t T);

typedef struct {
    const BenchSubject *s;
    int64_t T, before;
    int32_t *pos;
    void *x, *y;
    State *state;
} BenchRun;

/* False with err set; bench_run_end in any case. Has run once. */
bool bench_run_begin(BenchRun *r, const BenchSubject *s, int64_t T, Routing how,
                     Err *err);
double bench_run(BenchRun *r, Err *err); /* seconds; below 0: err */
void bench_run_end(BenchRun *r);

/* ---- other programs (bench_peers.c) ---- */

enum { MAX_WAYS = 8 };

/* A process of bench/peers/worker.py, which answers lines of JSON with lines
 * of JSON: {"subject": {..}} with {"ways": [..], "version": ".."}, {"run":
 * "one of the ways"} with {"seconds": ..}, and either with {"error": ".."}. */
typedef struct {
    const char *name;
    const char *file; /* of the model, where not the one named */
    const Common *common;
    double patience; /* seconds that an answer may take */
    int pid, fd;     /* fd below 0: it is not there, or failed */
    char *text;      /* read, and not yet a line */
    size_t ntext, room;
    int nways;       /* how it can run the present subject */
    char way[MAX_WAYS][40], version[80];
} Peer;

/* Starts it; where it cannot, or fails later, one line on stderr says why, and
 * it answers no more. */
void peer_start(Peer *p);
/* Takes the subject. False: it has failed. */
bool peer_subject(Peer *p, cJSON *subject);
double peer_run(Peer *p, int way); /* seconds; below 0: it has failed */
void peer_end(Peer *p);            /* no process is left */
/* p->file: the model as a GGUF file, of another element type unless dtype is
 * NULL. It lies in a folder of its own until peer_drop_gguf. */
void peer_make_gguf(Peer *p, const char *model, const char *dtype);
void peer_drop_gguf(Peer *p);

/* ---- times, in turn (bench_time.c) ---- */

typedef struct {
    BenchRun *run;   /* of ours, or */
    StepTimer *step; /* a step of training, or */
    Peer *peer; /* of a peer, one of its ways */
    int way;
    int n; /* turns so far */
    double *time, median;
    bool out; /* failed, or far behind another way */
} Contender;

/* Each in turn, `tries` times, or as often as `seconds` allow, but thrice;
 * then their medians. A turn is a tenth of a second, or one run. False with
 * err set: ours failed, or Ctrl-C. */
bool bench_contest(Contender *c, int n, int tries, double seconds, Err *err);
void bench_contest_end(Contender *c, int n);

/* ---- what is said (bench_say.c) ---- */

typedef struct {
    const char *what;
    int64_t tokens;
    double seconds, uniform; /* uniform: seconds of that routing, or 0 */
    ProgramWork work;
    const Contender *peer; /* or NULL */
} Row;

typedef struct {
    const Common *common;
    Peaks peaks;
    cJSON *out, *rows;
    bool peers;
} Report;

void bench_say_machine(Report *r);
cJSON *bench_say_row(Report *r, const Row *row); /* what stands in r->rows */
/* Runs a few times more and says how long each kernel took. */
bool bench_say_kernels(Report *r, BenchRun *run, cJSON *row, Err *err);

/* ---- all of it (bench.c), and its rows (bench_rows.c) ---- */

enum { MAX_PEERS = 2 };

typedef struct {
    const char *what, *model;
    const char *machine; /* whose static model is asked; NULL: none */
    int32_t *tokens;
    int ntokens, tries;
    int32_t *sizes;
    int nsizes;
    int64_t context; /* below 0: the usual */
    int routing; /* below 0: uniform, and at 512 tokens the others too */
    bool kernels, with_peers;
    double patience;
    Common common;
    Report report;
    Peer peer[MAX_PEERS];
    int npeers;
} Bench;

void bench_start_peers(Bench *b); /* those for b->what */
/* A row for so many tokens, or one for each peer. False with err set: ours
 * failed, or Ctrl-C. */
bool bench_row(Bench *b, const BenchSubject *s, int64_t T, Routing how,
               Err *err);
/* A row for a training step of so many tokens. */
bool bench_train_row(Bench *b, const BenchSubject *s, int64_t T, Err *err);
int bench_width(const Bench *b); /* of a layer: D, F */
int bench_inner(const Bench *b);

/* ---- expected on a GPU (bench_gpu.c) ---- */

const char *bench_machine_name(int i); /* NULL after the last */
bool bench_expect(Bench *b, Err *err);
