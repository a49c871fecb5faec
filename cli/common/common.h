/* Room common: the flags that every command takes, what is said and how, files
 * of text, progress. Results go to stdout, all else to stderr. */
#pragma once
#include "base/base.h"
#include <argp.h>
#include <cjson/cJSON.h>

#define CLI_VERSION "0.1.0"

/* How a command ends. */
enum {
    EXIT_done = 0,
    EXIT_wrong_input = 1, /* the spec or a file is wrong */
    EXIT_wrong_usage = 2,
    EXIT_our_bug = 3
};

typedef enum { TARGET_cpu, TARGET_cuda, TARGET_interp } TargetName;

/* The flags every command takes. */
typedef struct {
    TargetName target;
    int device;     /* of TARGET_cuda */
    int threads;    /* 0: as many as there are cores */
    bool has_dtype; /* --dtype was given */
    Dtype dtype;    /* f32, bf16; f64 only with TARGET_interp */
    bool stores;    /* set before parsing: it is what is written, f16 and q8_0
                       too */
    const char *base;     /* --base: what adapters were trained on, or NULL */
    const char *schedule; /* a file of pinned schedules, or NULL */
    bool runs; /* set before parsing: --quantize may be given */
    bool compiled; /* set before parsing: it is about compiled code */
    bool cuda;     /* set before parsing: it can do something for GPUs */
    bool has_quantize;
    Dtype quantize; /* q8_0, q4_1 */
    bool json, quiet;
    int64_t length; /* of the texts to come, where rope depends on it; or 0 */
} Common;

/* ---- flags (options.c) ---- */

/* Parses with the command's own options (argp may be NULL-terminated arrays as
 * argp wants them) and the common ones. `state->input` of the command's parser
 * is `input`. A usage error is reported and exits with 2; a target that the
 * command has not, with 1. */
void options_parse(const struct argp *own, int argc, char **argv, void *input,
                   Common *common);

/* Numbers as arguments; a bad one is a usage error naming `what`. */
int64_t option_int(struct argp_state *state, const char *what, const char *s,
                   int64_t least, int64_t most);
double option_real(struct argp_state *state, const char *what, const char *s,
                   double least, double most);
/* "1,2,3" to ids, malloc'ed. */
int32_t *option_ids(struct argp_state *state, const char *s, int *count);
/* One of n words, else a usage error with "did you mean". */
int option_word(struct argp_state *state, const char *what, const char *s,
                const char *const *words, int n);

/* ---- what is said (report.c) ---- */

/* Says why it failed (with --json also as {"error": ...}); EXIT_wrong_input. */
int report_error(const Common *common, const Err *err);
/* Prints the object on stdout and frees it. */
void report_json(cJSON *object);
/* A line on stderr, unless --quiet. */
PRINTF(2, 3) void report_note(const Common *common, const char *fmt, ...);
/* Flushes stdout; EXIT_wrong_input with a message where it cannot (disk full),
 * else `status`. */
int report_end(int status);

/* ---- the terminal (terminal.c) ---- */

/* From now on what is printed cannot command the terminal. */
void terminal_guard(void);
/* What goes to stdout is data: it is left as it is, unless people see it. */
void terminal_exact(void);
/* For our own commands to the terminal. */
FILE *terminal_stderr(void);

/* ---- files of text (report.c) ---- */

/* All of a file's text, or of stdin's where path is "-"; malloc'ed and
 * NUL-terminated. NULL with err set. */
char *text_read(const char *path, size_t *len, Err *err);
/* Reads a .graft file ("-" is stdin) as a source; false with err set. The
 * text is in `arena`. */
bool source_read(Arena *arena, const char *path, Diags *diags, Source *src,
                 Err *err);

/* ---- progress (progress.c) ---- */

typedef struct {
    const char *what, *unit; /* unit "B" prints as kB, MB, GB */
    int64_t done, total;     /* total 0: not known */
    double began, shown;     /* seconds */
    bool silent, terminal;
    char more[96]; /* what else is told: ", loss 0.8", or "" */
} Progress;

Progress progress_begin(const Common *common, const char *what,
                        const char *unit, int64_t total);
void progress_at(Progress *p, int64_t done); /* cheap to call often */
void progress_end(Progress *p);
/* "1.50 GB", "320 kB", "12 tokens" */
const char *progress_amount(char buf[32], double amount, const char *unit);
