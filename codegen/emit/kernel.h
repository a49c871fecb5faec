/* How kernels are emitted: what their functions look like, and the walker that
 * writes expression trees over dims. Private to codegen. */
#pragma once
#include "passes/kernels/kernels.h"
#include "codegen/emit/emit.h"

/* A kernel is two functions:
 *     void NAME(void *const *arg, const int64_t *run, int64_t task, void *mem)
 *     int64_t NAME_tasks(void *const *arg, const int64_t *run)
 * arg: the buffers in order of kernel_arg (a stacked weight: its pointer
 * table). run: the sizes of Plan.sizes, run[0] = T; then, at negative places,
 * what RUN_ says. task: 0 .. tasks - 1, on any thread in any order; two tasks
 * write different elements, and what a task computes does not depend on how
 * many threads there are. mem: Kernel.scratch bytes of the thread's own,
 * aligned to 64 (the emitter sets Kernel.scratch); its first int64 is 0 at the
 * first of the tasks that a thread runs one after the other, and what they left
 * there at the next. All kernels before are done and visible. */
enum {
    RUN_base = -1,     /* rows in the caches before this step */
    RUN_capacity = -2, /* rows a cache has room for */
    RUN_threads = -3,  /* a hint for how finely to cut; may not change bits */
    RUN_below = 8,     /* int64s below run */
};

/* ---- walker (walk.c) ---- */

/* Where a dim stands: `index` is an i64; in a vector, the first lane's, and
 * lane j is at index + j if `spread`, at index too if not. Or index is a
 * vector of i64 of its own (then spread is false). */
typedef struct {
    const Dim *dim;
    Val index;
    bool spread;
} Place;

typedef struct {
    int n;
    Place at[2 * MAX_RANK];
    int lanes;  /* 1: scalar */
    Val mask;   /* lanes that exist (i1 vector); NULL: all */
} Places;

typedef struct Walk Walk;
/* A node the skeleton computes, at these places; NULL: not one of them. */
typedef Val (*Hole)(Walk *w, const Node *n, const Places *p);
struct Walk {
    Emit *e;
    Plan *plan;
    Kernel *kernel;
    Val arg, run; /* the function's parameters */
    Hole hole;    /* may be NULL; asked first */
    void *user;
};

void places_set(Places *p, const Dim *d, Val index, bool spread);
/* n's value in registers (emit.h: ty_reg), p->lanes wide. */
Val walk(Walk *w, const Node *n, const Places *p);
/* Element (or the lanes) of buffer b at these places. */
Val walk_load(Walk *w, const Buffer *b, const Places *p);
Val walk_at(Walk *w, const Buffer *b, const Places *p); /* where: of scalars */
void walk_store(Walk *w, const Buffer *b, const Places *p, Val v);
Val walk_base(Walk *w, const Buffer *b);   /* pointer to the buffer */
Val walk_size(Walk *w, const Size *s);     /* i64 */
bool walk_varies(const Node *n, const Places *p); /* between the lanes */
Val walk_count(Walk *w, int n, const Dim *const *d); /* product of sizes */
Val walk_run(Walk *w, int place);          /* run[place] */
Val walk_choice(Walk *w, const int at[BUCKETS]); /* the one for this T */
/* Sets the places of n dims from their row-major number `flat` (an i64). With
 * `spread` lane j stands at flat + j, which must start at a multiple of the
 * lanes: then it is one spread dim if its size is a multiple of them, else
 * vectors of indices. */
void walk_unflatten(Walk *w, Places *p, int n, const Dim *const *d, Val flat,
                    bool spread);

/* Begins the two functions of a kernel; the body's `task` and `mem` params are
 * 2 and 3. */
void kernel_begin(Walk *w, Emit *e, Plan *plan, Kernel *k);
Val kernel_task(Walk *w);
Val kernel_mem(Walk *w);
void kernel_end(Walk *w);
void kernel_begin_tasks(Walk *w); /* ends with ret(e, count) */

/* ---- schedules (schedule.c) ---- */

/* Fills in every kernel's schedule, and how its weights are packed: before
 * that nothing can be emitted. First what it says itself, then what is pinned,
 * then what was found by exploring, then what the target likes; both may be
 * NULL. False with err set, which names the place: this machine cannot do what
 * is asked. */
bool schedules_choose(Plan *p, const Target *t, const Pins *pinned,
                      const Pins *found, Err *err);
/* The same for one kernel whose schedule is set, as far as it is. */
void schedule_choose(Kernel *k, const Target *t);
/* What was found on this machine: that in `folder` goes into p. (store.c) */
void store_read(Pins *p, const char *folder);
int64_t map_grain(const Kernel *k); /* units of a task, unless it is said */

/* ---- skeletons: each emits both functions into e's module ---- */
void emit_map(Emit *e, Plan *p, Kernel *k);     /* map*.c */
void emit_route(Emit *e, Plan *p, Kernel *k);   /* route.c */
void emit_scatter(Emit *e, Plan *p, Kernel *k); /* scatter.c */
void emit_pack(Emit *e, Plan *p, Kernel *k);    /* panels.c */
void emit_matmul(Emit *e, Plan *p, Kernel *k);  /* matmul*.c */
void emit_grouped(Emit *e, Plan *p, Kernel *k); /* grouped.c */
/* Two more functions, NAME_append and NAME_append_tasks: a step of its own that
 * must be done before NAME begins. */
void emit_attend(Emit *e, Plan *p, Kernel *k); /* attend*.c */
void emit_attend_back(Emit *e, Plan *p, Kernel *k); /* attend_back*.c */
void emit_collect(Emit *e, Plan *p, Kernel *k); /* collect.c */
/* Bytes of a cache (keys or values) that has room for `rows` rows; kv: the type
 * [T, G, hd] of k or v. New memory may hold anything. */
int64_t attend_bytes(const Target *t, const Type *kv, bool keys, int64_t rows);
/* The first `length` rows of a cache for `rows` to one for `more`. */
void attend_copy(const Target *t, const Type *kv, bool keys, int64_t length,
                 int64_t rows, const void *from, int64_t more, void *to);

/* ---- packing: in step with what matmul kernels read (pack.c) ---- */

enum { PACK_K = 32 }; /* K is filled up with zeros to a multiple of this */

/* Bytes of a packed buffer, to be zeroed; and the copy into it of one tensor
 * of its weight part[i]: that of `index` among the weight's stacked dims.
 * `src`: row-major, of the pack's type. Uses all of OpenMP's threads. */
/* Pack.dtype may be a file's type where pack_keeps says so. */
bool pack_keeps(const Pack *p, Dtype stored);
int64_t pack_bytes(const Pack *p);
int64_t panels_bytes(const Pack *p, int64_t T); /* the same of BUF_panels */
/* Which of N's columns stands at place `at`. */
int64_t pack_column(const Pack *p, int64_t at);
void pack_part(const Pack *p, int i, int stacked, int64_t index,
               const void *src, void *dst);
