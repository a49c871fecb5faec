/* The state of a task of attention, for attend.c and attend_score.c. */
#pragma once
#include "codegen/emit/attend.h"

typedef struct {
    Walk w;
    const Attend *a;
    CacheShape s;
    int64_t most;       /* rows of a task's memory */
    Val base, T;
    Val tokens, heads;  /* of a task: tokens, query heads of each */
    Val head, h0, t0;   /* this task's */
    Val rows;           /* its rows: (token, query head) */
    Val q, scores, p, o, m, l, from, to, dst, step; /* memory */
    Val first, last;    /* positions that any row sees */
    Val from_all, to_all; /* that all see */
    Val out;            /* the vector being written */
} At;

Val attend_token(At *a, Val row); /* of the task's row */
Val attend_query(At *a, Val row); /* its query head */
Val attend_cell(At *a, TyName t, Val base, Val row);
void attend_sink(At *a, Val row); /* m and l as if a sink came first */
/* s = q . k of vector `number` of a block as the op has it, times log2(e). */
Val attend_scored(At *a, Val s, Val row, Val block, int number);
