/* Dims with names, and types made of them (type.c). */
#pragma once
#include "compiler/graph/size.h"

/* ---- dims and types (type.c) ---- */

/* A dim has an identity: two dims of one name and size may differ. */
typedef struct {
    const char *name; /* interned */
    const Size *size;
    int id;
} Dim;
const Dim *dim_new(const char *name, const Size *size); /* kept for good */

enum { MAX_ARGS = 32 };
typedef struct {
    Dtype dtype;              /* f64 f32 bf16 f16; i32 an index; bool */
    const Dim *index_of;      /* i32: which dim it points into */
    int rank;                 /* 0: a scalar */
    const Dim *dim[MAX_RANK]; /* outermost first; none twice */
} Type;
int type_dim(const Type *t, const Dim *d);    /* its position, or -1 */
bool type_has(const Type *t, int n, const Dim *const *d); /* these and no
                                                           * other, any order */
bool dim_among(const Dim *d, int n, const Dim *const *list);
bool same_shape(const Type *a, const Type *b); /* dims of equal sizes */
bool dims_same(int n, const Dim *const *a, int m, const Dim *const *b);
bool type_same(const Type *a, const Type *b); /* the very same dims */
int64_t type_count(const Type *t, int64_t T); /* elements */
/* Does from .. from + n lie within 0 .. whole, as far as is known? */
bool size_lies_within(const Size *from, const Size *n, const Size *whole);
const char *type_text(const Type *t);         /* "f32[T, D]"; interned */
