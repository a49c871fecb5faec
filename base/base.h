/* Room base: what every room stands on: memory by lifetime, strings, errors,
 * element types. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- memory (arena.c) ---- */

typedef struct {
    struct Block *head; /* {0} is an empty arena */
} Arena;

void *arena_alloc(Arena *a, size_t size); /* zeroed, never NULL */
char *arena_strn(Arena *a, const char *s, size_t len);
PRINTF(2, 3) char *arena_printf(Arena *a, const char *fmt, ...);
void arena_free(Arena *a); /* all of it; the arena is empty and usable */
void *xmalloc(size_t size); /* dies instead of returning NULL */
void *xrealloc(void *old, size_t size);

/* A growable array in an arena: LIST(Node *) args = {0}; list_push(a, &args,
 * n). Old storage stays in the arena until it is freed. */
#define LIST(T) \
    struct { \
        T *at; \
        int n, room; \
    }
#define list_push(arena, list, ...) \
    ((list)->n == (list)->room \
         ? (void)((list)->at = list_grow(arena, (list)->at, (list)->n, \
                                         &(list)->room, sizeof *(list)->at)) \
         : (void)0, \
     (list)->at[(list)->n++] = (__VA_ARGS__))
void *list_grow(Arena *a, const void *old, int n, int *room, size_t size);

/* ---- strings (text.c) ---- */

/* The one copy of a string: equal strings give the same pointer. Lives as long
 * as the process; thread safe. */
const char *intern(const char *s);
const char *intern_n(const char *s, size_t len);
PRINTF(1, 2) const char *intern_printf(const char *fmt, ...);
/* The one of n names nearest to `word`, if near enough to be a slip; or NULL.*/
const char *nearest(const char *word, const char *const *names, int n);
/* As HTML, SVG and DOT have it. */
void put_html(FILE *out, const char *text);
/* s as it may stand within the quotes of a C string, or in a C comment;
 * interned. */
const char *text_c(const char *s);
const char *text_comment(const char *s);
bool utf8_valid(const char *s, size_t len, size_t *bad_at);
/* FNV-1a: the same number for good (hash.c). */
uint64_t hash_bytes(uint64_t seed, const void *data, size_t len);
/* For tables of what comes from files: of this process alone. */
uint64_t hash_of_name(const void *data, size_t len);
uint64_t hash_keyed(const uint64_t key[2], const void *data, size_t len);
/* SHA-256: nobody makes two texts of one (sha256.c). */
void sha256(const void *data, size_t len, unsigned char out[32]);
/* Reads a whole file, NUL-terminated (malloc'ed); NULL with err set. */
typedef struct Err Err;
char *read_file(const char *path, size_t *len, Err *err);

double seconds_now(void); /* of a clock that only goes forward (clock.c) */

/* ---- errors of the user's input at run time (error.c) ---- */

/* Why something failed: one line, lower case, names file and tensor. */
struct Err {
    char text[1024];
};
/* Always false, so that `return err_set(...)` reads well. */
PRINTF(2, 3) bool err_set(Err *err, const char *fmt, ...);

/* ---- errors of the spec, with places (error.c) ---- */

typedef struct {
    int at, len; /* bytes of the source; lines are counted only for a report */
} Loc;

typedef enum { SEVERITY_error, SEVERITY_warning } Severity;

typedef struct {
    Severity severity;
    const struct Source *src;
    Loc loc;
    char *text;
} Diag;

/* All that was said in a run; printed as it comes unless `quiet`. */
typedef struct {
    Arena arena;
    LIST(Diag) said;
    int errors; /* at 20 the run stops: see diag_full */
    int told;   /* errors, those counted that had been said before */
    bool quiet;
} Diags;

typedef struct Source {
    const char *path, *text; /* NUL-terminated */
    int len;
    Diags *diags;
} Source;

/* The spec is wrong: report, count, go on, so one run shows every mistake.
 * Text: what is needed and what was found, lower case, no full stop. A text
 * of several lines continues below the caret. */
PRINTF(3, 4) void error_at(const Source *src, Loc loc, const char *fmt, ...);
PRINTF(3, 4) void warning_at(const Source *src, Loc loc, const char *fmt, ...);
bool diag_full(const Diags *d); /* 20 errors: stop */
/* Line and column from 1, the column in code points. */
void loc_place(const Source *src, int at, int *line, int *col);
void diags_free(Diags *d);

/* The machine cannot go on. */
#define die(...) \
    (fprintf(stderr, "graft: " __VA_ARGS__), fputc('\n', stderr), exit(1))
/* We are wrong: exit status 3. */
#define BUG(...) \
    (fprintf(stderr, "graft bug: " __VA_ARGS__), \
     fprintf(stderr, " (%s:%d)\n", __FILE__, __LINE__), bug_exit())
_Noreturn void bug_exit(void);

/* ---- element types (types.c) ---- */

typedef enum {
#define TYPE(name, ...) TYPE_##name,
#include "base/types.def"
#undef TYPE
    TYPE_COUNT
} Dtype;

typedef struct {
    const char *name;
    int gguf;                /* its number there, or -1 */
    const char *safetensors; /* its name there, or NULL */
    int block_bytes, block_len;
} TypeInfo;
extern const TypeInfo type_info[TYPE_COUNT];

bool type_find(const char *name, Dtype *out); /* by our name */
bool type_is_float(Dtype t);                  /* f64, f32, bf16, f16 */
/* Bytes of `count` elements (a multiple of the block). */
int64_t type_bytes(Dtype t, int64_t count);

static inline float f32_of_bits(uint32_t bits)
{
    union {
        uint32_t u;
        float f;
    } v = {bits};
    return v.f;
}
static inline uint32_t bits_of_f32(float f)
{
    union {
        float f;
        uint32_t u;
    } v = {f};
    return v.u;
}
static inline float f32_of_bf16(uint16_t b)
{
    return f32_of_bits((uint32_t)b << 16);
}
uint16_t bf16_of_f32(float f); /* nearest, ties to even; NaN stays NaN */
float f32_of_f16(uint16_t h);
uint16_t f16_of_f32(float f);
/* Any of f32, f64, bf16, f16, i32, i64, bool to double and back (rounded to
 * nearest even). `data` is the tensor, `i` the element. */
double type_load(Dtype t, const void *data, int64_t i);
void type_store(Dtype t, void *data, int64_t i, double value);
/* The first of n floats that is NaN or infinite; -1: none. */
int64_t type_unfinite(Dtype t, const void *data, int64_t n);

/* A tensor as a file's header describes it; data may be absent. */
enum { MAX_RANK = 8 };
typedef struct {
    const char *name;
    Dtype dtype;
    int rank;
    int64_t shape[MAX_RANK];
    const void *data; /* mapped, or NULL */
    int64_t bytes;
} TensorInfo;
