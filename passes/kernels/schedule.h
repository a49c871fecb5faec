/* Schedules: what may be chosen freely of a kernel, what the choice goes by,
 * and pins that make it. */
#pragma once
#include "dsl/dsl.h"
#include "compiler/graph/graph.h"

/* One kernel computes the nodes of its `out` buffers from its `in` buffers.
 * What it computes is written as trees over graph nodes: from an out's node
 * down until a node that one of `in` holds (kernel_leaf), or that the skeleton
 * computes itself (kernel_hole: the contracts of a matmul, the attend). All in
 * between is emitted by one walker that asks "the value of this node where
 * these dims have these indices", so broadcasts, gathers, renames, orders,
 * flattens, slices cost no memory. Loads widen; each node is rounded to its
 * type as the graph says. */
typedef enum {
    SKEL_map,     /* rows: elementwise trees, reductions, softmax, topk */
    SKEL_matmul,  /* contracts with packed weights that share one x */
    SKEL_grouped, /* the same, the weight picked by an index: rows by expert */
    SKEL_route,   /* an index to its BUF_route, and the map that picks it */
    SKEL_attend,  /* appends k, v to the cache, then attention over it */
    SKEL_scatter, /* adds rows up where an index says */
    SKEL_call,    /* a C function of ours: largest, place, draws */
    SKEL_repeat,  /* runs bodies' plans in turn */
    SKEL_pack,    /* a value in memory to its BUF_panels */
    SKEL_back,    /* attention's gradients */
    SKEL_collect, /* the gradient of a gathered weight */
} Skeleton;
extern const char *const skeleton_name[11]; /* as in its text */

/* What may be chosen freely (schedule.def); the text of a kernel shows it.
 * Choices of rows may differ by T: for 1, 2 .. 8, 9 .. 64, more. */
enum { BUCKETS = 4 };
extern const int bucket_end[BUCKETS]; /* the largest T of each */
typedef struct {
#define SCHEDULE(name, ...) int name;
#define SCHEDULE_T(name, ...) int name[BUCKETS];
#include "passes/kernels/schedule.def"
#undef SCHEDULE
#undef SCHEDULE_T
} Schedule;
/* Its choices in braces: { tokens 12, tasks 4 4 10 10 }. */
void schedule_print(const Schedule *s, FILE *out);
/* n values: 1 for all buckets or, if its choice has them, BUCKETS. False: no
 * such choice. */
bool schedule_list(Schedule *s, const char *name, int n, const int *value);
void schedule_fill(Schedule *s, const Schedule *from); /* where s has none */

typedef struct Kernel Kernel;

/* What a schedule goes by: a kernel's skeleton, the types of x and of its
 * weights (of q and k), its shape: K, then N of each weight, after `+` if it
 * stands beside the one before, after `,` if it is a part of its own; of
 * attention the size of a head, query heads, heads of keys; of a map (without
 * types) the elements of a row, about. Printed:
 *     matmul bf16 bf16 [576 -> 1536 + 1536]
 */
enum { KEY_PARTS = 33 };
typedef struct {
    char before; /* 0, '>', '+', ',' */
    int n;
    const Dim *const *dim; /* whose product it is; none: of a map */
    int64_t size;
} KeyPart;
typedef struct {
    Skeleton skeleton;
    Dtype x, w;
    int n;
    KeyPart part[KEY_PARTS];
} KernelKey;
bool kernel_key(const Kernel *k, KernelKey *key); /* false: no choices */
void kernel_key_print(const KernelKey *key, FILE *out);
int64_t map_row(const Kernel *k); /* elements of a map's row, about */

/* Pins (pins*.c): schedules for kernels of a shape, as a `schedule` definition
 * has them. Where several speak of a kernel, the last has its way. */
typedef struct Pin Pin;
typedef struct {
    Arena *arena;
    LIST(Pin *) at;
} Pins;
/* Those of a definition; mistakes are reported, and false returned. Keeps the
 * tree for messages. */
bool pins_add(Pins *p, const Ast *schedule);
/* Those for exactly this shape. `far`: else those of the nearest shape, if one
 * is near enough. */
Schedule pins_for(const Pins *p, const KernelKey *key, bool far);
/* The next pin of a text, from *at on, that was asked about kernels but spoke
 * of none of them; *at is behind it then. */
bool pins_idle(const Pins *p, int *at, const Source **src, Loc *loc);
/* The place in the text that `choice` of this kernel comes from. */
bool pins_place(const Pins *p, const KernelKey *key, const char *choice,
                const Source **src, Loc *loc);
/* One more; what it leaves open stays as an earlier one of the shape had it. */
void pins_put(Pins *p, const KernelKey *key, const Schedule *s);
void pins_merge(Pins *p, const Pins *more);
/* Those of a text of schedules that pins_print wrote; it must live as long as
 * they. One with a mistake adds none, in silence. */
void pins_from_text(Pins *p, const char *path, const char *text, int len);
/* The last `most` of them as a definition. */
void pins_print(const Pins *p, const char *name, int most, FILE *out);
