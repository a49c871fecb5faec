/* What is known of an operation: its row of ops.def. Through graph.h. */
#pragma once
#include "compiler/graph/graph.h"

enum { /* flags: attributes that its nodes read, facts */
    HAS_num = 1,
    HAS_size = 2,    /* must be there */
    HAS_window = 4,  /* a size that may be NULL */
    HAS_name = 8,    /* must be there */
    HAS_title = 16,  /* a name that may be NULL */
    HAS_weight = 32, /* or a slot */
    HAS_rope = 64,
    HAS_repeat = 128,
    HAS_cap = 65536, /* a number, 0 where there is none; of what attends */
    HAS_any = 255 | HAS_cap,
    IS_exact = 256,       /* a double has the value of any doubles */
    IS_exact_at_0 = 512,  /* of 0 */
    IS_commutative = 1024,
    IS_test = 2048,       /* gives a truth; arguments keep their types */
    IS_order = 4096,      /* a test that indices may stand in */
    IS_same_by_0 = 8192,  /* a where b is 0 */
    IS_same_by_1 = 16384, /* a where b is 1 */
    IS_by_rows = 32768    /* along a dim that it does not name, each element
                           * needs only those at its place */
};
_Static_assert(!(HAS_any & (IS_exact | IS_exact_at_0 | IS_commutative |
                            IS_test | IS_order | IS_same_by_0 |
                            IS_same_by_1 | IS_by_rows)), "flags overlap");
typedef enum { CLASS_leaf, CLASS_map, CLASS_reduce, CLASS_along, CLASS_move,
               CLASS_other } OpClass;
typedef enum { WORK_given, WORK_in_place, WORK_rows, WORK_own } OpWork;
typedef struct {
    const char *name;
    int nargs;
    OpClass class;
    unsigned flags;
    int least_dims, most_dims;
    int over; /* how many of dim[] it takes together, at most */
    OpWork work;
    int cost;             /* of an element */
    const char *sign;     /* "+"; NULL: written as a function */
    const char *flows_to; /* arguments that a gradient goes to: "ab" */
} OpInfo;
extern const OpInfo op_info[OP_COUNT];
bool op_find(const char *name, Op *out);
/* The op of nargs arguments that the language writes so. */
bool op_of_sign(const char *sign, int nargs, Op *out);
bool op_is_map(Op op);
/* Is it a function of the language, elementwise? */
bool op_is_function(Op op);
double op_value(Op op, double a, double b, double c); /* of a map */
/* Is the result known to be above 0 where that is known of the arguments? */
bool op_positive(Op op, bool a, bool b, bool c);
/* The same of arguments that `is` knows; asks no more than it needs. */
bool op_positive_by(Op op, void *const *arg,
                    bool (*is)(void *user, const void *arg), void *user);
bool op_flows(Op op, int arg); /* does a gradient go to the argument? */
int op_over(const Node *n); /* the first so many of dim[] are taken together */
